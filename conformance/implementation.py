"""The implementation file: one TOML file that tells the suite how to run a server and what it promises."""

from __future__ import annotations

import string
import tomllib
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from conformance.catalogue import Clause, Feature, PredictorType, Source
from conformance.problems import InvalidInputError

REQUIRED_PLACEHOLDERS = frozenset({"project", "port"})
INTERVAL_PLACEHOLDERS = frozenset({"reload_interval", "evict_interval"})
OPTIONAL_PLACEHOLDERS = frozenset({"host"}) | INTERVAL_PLACEHOLDERS


def _placeholders(command: list[str]) -> set[str]:
    return {name for part in command for _, name, _, _ in string.Formatter().parse(part) if name is not None}


def _without_intervals(command: list[str]) -> list[str]:
    kept: list[str] = []
    for part in command:
        if not _placeholders([part]) & INTERVAL_PLACEHOLDERS:
            kept.append(part)
        elif part.startswith("{") and kept and kept[-1].startswith("-"):
            kept.pop()
    return kept


def _check_command(command: list[str]) -> list[str]:
    used = _placeholders(command)
    if unknown := used - REQUIRED_PLACEHOLDERS - OPTIONAL_PLACEHOLDERS:
        known = sorted(REQUIRED_PLACEHOLDERS | OPTIONAL_PLACEHOLDERS)
        raise ValueError(
            f"unknown placeholder {{{min(unknown)}}}; known are {', '.join(f'{{{name}}}' for name in known)}"
        )
    if missing := REQUIRED_PLACEHOLDERS - used:
        raise ValueError(f"the placeholder {{{min(missing)}}} is missing, so the server cannot be told about it")
    if lost := used - INTERVAL_PLACEHOLDERS - _placeholders(_without_intervals(command)):
        raise ValueError(
            f"the placeholder {{{min(lost)}}} stands in one part with an interval, and would go with it when the server"
            " is started as by default"
        )
    return command


def _check_call(call: str) -> str:
    method, _, path = call.partition(" ")
    if method not in {"GET", "POST", "PUT"} or not path.startswith("/"):
        raise ValueError(f"{call!r} is no call; write a method and a path, such as 'GET /'")
    return call


Call = Annotated[str, AfterValidator(_check_call)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ClockName(StrEnum):
    """How a server is run."""

    TIMED = "timed"
    """It looks at its source and evicts by itself, at an interval that the suite chooses where the server lets it."""
    DRIVEN = "driven"
    """It looks and evicts when the suite tells it to, and never by itself; feature `control`."""
    DEFAULT = "default"
    """As it is without any setting: in real time, at its own intervals."""


class Identity(_Table):
    """Who the implementation is; goes into every report."""

    name: str = Field(min_length=1)
    version: str = Field(min_length=1)
    url: str = Field(min_length=1)


class Process(_Table):
    """How to start the server and which calls it answers.

    `command` runs in the folder in which the suite was started; `ready` answers 200 once the server can be used.
    """

    command: Annotated[list[str], Field(min_length=1), AfterValidator(_check_command)]
    ready: Call = "GET /"
    predict: Call = "POST /"


class Declares(_Table):
    """What the server promises; clauses about anything else are not supported."""

    predictors: list[PredictorType] = Field(min_length=1)
    sources: list[Source] = Field(min_length=1)
    features: list[Feature] = []


class Control(_Table):
    """Feature `control`: a server that looks at its source and evicts only when it is told to.

    `arguments` are added to the command. A call returns, with a status below 300 (or 502, 503, 504 when the source
    could not be read), when every process of the server
    serves what a scan or an eviction run has led to that began after the call had arrived.
    """

    arguments: list[str] = []
    reload: Call = "POST /-/reload"
    evict: Call = "POST /-/evict"


class Intervals(_Table):
    """The server's own pace, in seconds; every deadline is derived from it.

    `passes` is the number of scans after which a change is served, `propagate` the time until all parts of the server
    have switched, `scan` whether models are looked at one after the other or side by side: that goes into the report
    only, as the suite proves that nothing happens in a way that is right for both.
    """

    reload: float = Field(default=10.0, gt=0)
    evict: float = Field(default=10.0, gt=0)
    passes: int = Field(default=2, ge=1)
    propagate: float = Field(default=0.0, ge=0)
    scan: Literal["sequential", "parallel"] = "sequential"


class Implementation(_Table):
    """A server under test."""

    implementation: Identity
    process: Process
    declares: Declares
    control: Control | None = None
    intervals: Intervals = Intervals()

    @model_validator(mode="after")
    def _check_control(self) -> Self:
        if ("control" in self.declares.features) != (self.control is not None):
            raise ValueError("the feature control and the table [control] need each other")
        return self

    @property
    def chosen_intervals(self) -> list[str]:
        """The intervals, by their key, that the command takes from the suite."""
        names = _placeholders(self.process.command)
        return [key for key in ("reload", "evict") if f"{key}_interval" in names]

    def command(self, clock: ClockName) -> list[str]:
        """Give the command with its placeholders; that of the default clock has none of the intervals.

        An option in front of an interval, such as `--poll` in `--poll {reload_interval}`, goes with it.
        """
        if clock is ClockName.DEFAULT:
            return _without_intervals(self.process.command)
        driven = self.control.arguments if clock is ClockName.DRIVEN and self.control is not None else []
        return [*self.process.command, *driven]

    def missing_for(self, clause: Clause, predictor: str | None = None, source: str | None = None) -> list[str]:
        """Name what the clause needs and the implementation does not declare; nothing missing means supported.

        With `predictor` or `source` the question is about this one case of the clause.
        """
        missing = [f"feature {name}" for name in clause.features if name not in self.declares.features]
        predictors = [predictor] if predictor else clause.predictors
        if not set(predictors) & set(self.declares.predictors):
            missing.append(f"predictor {' or '.join(predictors)}")
        sources = [source] if source else clause.sources
        if not set(sources) & set(self.declares.sources):
            missing.append(f"source {' or '.join(sources)}")
        return missing


def load_implementation(path: Path) -> Implementation:
    """Read an implementation file; raises `InvalidInputError`, which names the file, the key and the fault."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InvalidInputError(f"implementation file {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InvalidInputError(f"implementation file {path}: not UTF-8 text") from error
    try:
        return Implementation.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise InvalidInputError(f"implementation file {path}: not TOML: {error}") from error
    except ValidationError as error:
        faults = "\n".join(
            f"  {'.'.join(map(str, fault['loc']))}: {fault['msg'].removeprefix('Value error, ')}"
            for fault in error.errors()
        )
        raise InvalidInputError(f"implementation file {path}:\n{faults}") from error
