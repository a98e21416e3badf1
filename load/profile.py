"""Profiles: one TOML file that says all there is to say about a load run, checked as a whole before anything starts."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from conformance.catalogue import Source
from conformance.problems import InvalidInputError

PROFILES = Path(__file__).with_name("profiles")

_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?(B|kB|MB|GB|KiB|MiB|GiB)")
_UNITS = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


def parse_bytes(value: object) -> object:
    """Read a size such as `100kB` or `64MiB`; other values are left for the caller to judge."""
    if not isinstance(value, str):
        return value
    match = _SIZE.fullmatch(value)
    if match is None:
        raise ValueError(f"{value!r} is no size: 4096, 10kB, 1.5MB, 64MiB")
    return round(float(match[1]) * _UNITS[match[2]])


Bytes = Annotated[int, BeforeValidator(parse_bytes), Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Trees(_Table):
    """What is published before the server starts; `size` is the payload of each version, all of it held in memory."""

    models: Count
    versions: Count = 1
    size: Bytes = 100_000
    source: Source = "s3"


class Cache(_Table):
    """The limits of the document, in models."""

    cache_size: Count
    disk_cache_size: Count

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.disk_cache_size < self.cache_size:
            raise ValueError("disk_cache_size must be greater than or equal to cache_size")
        return self


class Server(_Table):
    """How the server is started, where it lets itself be told; seconds between two scans and two eviction runs."""

    reload_interval: Seconds = 10.0
    evict_interval: Seconds = 10.0
    threads: Count = 8


class _Open(_Table):
    """Requests that are due at moments of their own, however long the answers take."""

    users: Count
    exponent: Annotated[float, Field(ge=0)] = 1.0
    explicit_versions: Share = 0.0
    duration: Seconds
    warm_up: Annotated[float, Field(ge=0)] = 0.0


class Rate(_Open):
    """A promised rate, in requests a second.

    `exponent` is that of Zipf's law, 0 for models that are all alike; the first `warm_up` seconds are not counted, and
    `duration` is that of the rest.
    """

    arrival: Literal["rate"]
    rate: Annotated[float, Field(gt=0)]

    @property
    def requests(self) -> float:
        """How many there are to be, after the warm-up."""
        return self.rate * self.duration

    def rate_at(self, seconds: float) -> float:  # noqa: ARG002 - that of a ramp depends on it
        """Give the rate of requests a second, so many seconds after the beginning."""
        return self.rate


class Ramp(_Open):
    """A rate that grows by a factor from step to step, to where the p99 is `knee` times that of the first step."""

    arrival: Literal["ramp"]
    first_rate: Annotated[float, Field(gt=0)]
    factor: Annotated[float, Field(gt=1)] = 1.5
    step: Seconds = 10.0
    knee: Annotated[float, Field(gt=1)] = 5.0

    @property
    def requests(self) -> float:
        """How many there are to be, after the warm-up."""
        steps = int(self.duration // self.step)
        return sum(self.first_rate * self.factor**number for number in range(steps)) * self.step

    def rate_at(self, seconds: float) -> float:
        """Give the rate of requests a second, so many seconds after the beginning."""
        return float(self.first_rate * self.factor ** int(max(0.0, seconds - self.warm_up) / self.step))


class Waves(_Table):
    """So many users at once, each with one request: for a cold model each, or for the same one.

    A wave begins right after an eviction run, on a cache that is full.
    """

    arrival: Literal["waves"]
    users: Count
    waves: Count
    models: Literal["different", "same"]

    @property
    def requests(self) -> float:
        """How many there are to be, after the caches are full."""
        return float(self.users * self.waves)


class Publications(_Table):
    """Changes of the trees under traffic: so many a second, on the most popular models.

    `add`, `overwrite` and `remove` are how often each is chosen. The lowest version of a model always stays.
    """

    rate: Annotated[float, Field(gt=0)]
    models: Count
    add: Annotated[float, Field(ge=0)] = 1.0
    overwrite: Annotated[float, Field(ge=0)] = 1.0
    remove: Annotated[float, Field(ge=0)] = 1.0

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.add + self.overwrite + self.remove:
            raise ValueError("add, overwrite and remove cannot all be 0")
        return self


class Validity(_Table):
    """What a run must reach to say anything; a request that starts `late` seconds after it was due is late."""

    requests: Count = 1000
    late: Seconds = 0.05
    late_share: Share = 0.01
    generator_cpu: Share = 0.9


class Limits(_Table):
    """What passes; a limit that is left out is not checked.

    `failed` and `wrong` are counts; `longest_over` bounds one stretch over a limit of the cache, in eviction intervals;
    with `evicts_in_runs` eviction must not go on all the time; `prediction` bounds the relative distance of measured
    peaks from predicted ones; `*_p99` are seconds; `loads_per_wave` is for waves of one model, `knee` the rate that the
    knee of a ramp must reach.
    """

    failed: Annotated[int, Field(ge=0)] = 0
    wrong: Annotated[int, Field(ge=0)] = 0
    longest_over: float | None = 1.5
    evicts_in_runs: bool = True
    prediction: float | None = None
    hit_p99: float | None = None
    cold_p99: float | None = None
    loads_per_wave: int | None = None
    knee: float | None = None


class Profile(_Table):
    """A profile, as its file has it."""

    about: str
    seed: int = 1
    trees: Trees
    cache: Cache
    server: Server = Server()
    traffic: Annotated[Rate | Ramp | Waves, Field(discriminator="arrival")]
    publications: Publications | None = None
    sampling: Annotated[float, Field(gt=0, le=20)] = 5.0
    validity: Validity = Validity()
    limits: Limits = Limits()

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.publications is not None and self.publications.models > self.trees.models:
            raise ValueError("publications.models: there are only so many models as trees.models says")
        if self.traffic.requests < self.validity.requests:
            raise ValueError(f"validity.requests: the traffic is of {self.traffic.requests:.0f} requests only")
        if isinstance(self.traffic, Waves):
            if self.publications is not None:
                raise ValueError("publications: there are none between waves; take traffic.arrival rate or ramp")
            fresh = self.traffic.users if self.traffic.models == "different" else 1
            if self.trees.models < self.cache.disk_cache_size + 1 + fresh:
                raise ValueError(
                    f"trees.models: for models that are cold on disk too, a wave needs at least"
                    f" {self.cache.disk_cache_size + 1 + fresh}: cache.disk_cache_size + 1 + {fresh}"
                )
        return self

    def model_name(self, number: int) -> str:
        """Name a model; numbers count from 0, the most popular first."""
        return f"m{number:05d}"


def profile_names() -> list[str]:
    """Name the profiles that come with this package."""
    return sorted(file.stem for file in PROFILES.glob("*.toml"))


def load_profile(name: str, overrides: Sequence[str] = ()) -> Profile:
    """Read a profile by its name, or by the path of a file of your own.

    Each override is `table.key=value`, the value as TOML writes it (text needs no quotes). Raises `InvalidInputError`,
    which names the file, the key and the fault.
    """
    path = PROFILES / f"{name}.toml" if name in profile_names() else Path(name)
    if path.suffix != ".toml":
        raise InvalidInputError(f"there is no profile {name!r}: write one of {', '.join(profile_names())}, or a file")
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidInputError(f"profile {path}: {error.strerror}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InvalidInputError(f"profile {path}: not TOML: {error}") from error
    for override in overrides:
        _apply(document, override)
    try:
        return Profile.model_validate(document)
    except ValidationError as error:
        told = f", with {' '.join(f'--set {override}' for override in overrides)}" if overrides else ""
        faults = "\n".join(f"  {_key(fault['loc'])}{_message(fault['msg'])}" for fault in error.errors())
        raise InvalidInputError(f"profile {path}{told}:\n{faults}") from error


def _apply(document: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise InvalidInputError(f"--set {override}: write table.key=value")
    *tables, last = key.strip().split(".")
    place = document
    for table in tables:
        place = place.setdefault(table, {})
        if not isinstance(place, dict):
            raise InvalidInputError(f"--set {override}: {table} is no table")
    try:
        place[last] = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        place[last] = text


def _key(location: tuple[int | str, ...]) -> str:
    # Behind `traffic` comes the kind of arrival that was recognised, which is no key of the file.
    named = (location[0], *location[2:]) if location[:1] == ("traffic",) else location
    return f"{'.'.join(map(str, named))}: " if named else ""


def _message(text: str) -> str:
    return text.removeprefix("Value error, ")
