"""Judges changed servers: runs the suite against each and compares what it says with what it should say."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from conformance.catalogue import Catalogue, Level, load_catalogue
from tests.faults.configurations import LONG_TESTS, ROOT, Configuration
from tests.faults.registry import Change

CATALOGUE: Catalogue = load_catalogue()

# How a changed server is started without anything prepared.
DIRECTLY = (sys.executable, "-m", "tests.faults.server")

# What decides a judgement beside the module of the change itself.
_SOURCES = (
    *(ROOT / place for place in ("conformance", "fixtures", "reference", "uv.lock")),
    *Path(__file__).parent.glob("*.py"),
)


@dataclass(frozen=True)
class Options:
    """How the suite is run.

    `clock` (None: that of the change), `patience` and `seed` are handed on to it; `most` is the number of seconds after
    which a run is given up. `command`, before the name of the change, starts a changed server, with `environment` added
    to its environment.
    """

    report: Path
    clock: str | None = None
    patience: float = 1.0
    seed: int = 1
    most: float = 900.0
    command: tuple[str, ...] = DIRECTLY
    environment: Mapping[str, str] = field(default_factory=dict)

    def clock_for(self, change: Change) -> str | None:
        """Give the clock that a change is judged on; None: that which the suite chooses."""
        return self.clock or change.clock


@dataclass(frozen=True)
class Judgement:
    """What the suite said of one change; `problems` is empty when that was exactly right.

    `key` stands for the change, the suite and the reference as they were.
    """

    name: str
    key: str
    seconds: float
    failed: tuple[str, ...]
    blocked: tuple[str, ...]
    verdicts: Mapping[str, str]
    """By configuration."""
    problems: tuple[str, ...]

    @property
    def is_right(self) -> bool:
        """Whether the suite accused the server of exactly what is wrong with it."""
        return not self.problems


def judge(change: Change, options: Options) -> Judgement:
    """Run the suite on every configuration of a change, one after the other, and keep the judgement in the report."""
    key = key_of(change, options)
    begun = time.monotonic()
    runs = [_Run(change, configuration, options) for configuration in change.on]
    failed = {clause for run in runs for clause in run.having("fail")}
    blocked = {clause for run in runs for clause in run.having("blocked")} - failed
    judgement = Judgement(
        name=change.name,
        key=key,
        seconds=round(time.monotonic() - begun, 1),
        failed=_ordered(failed),
        blocked=_ordered(blocked),
        verdicts={run.configuration.name: run.verdict for run in runs},
        problems=tuple(problem for run in runs for problem in run.problems()),
    )
    _file(change, options).write_text(json.dumps(asdict(judgement), indent=2) + "\n", encoding="utf-8")
    return judgement


def recall(change: Change, options: Options) -> Judgement | None:
    """Give the judgement that is kept, if it was made on what is there now."""
    file = _file(change, options)
    if not file.exists():
        return None
    kept: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    judgement = Judgement(**{name: tuple(value) if isinstance(value, list) else value for name, value in kept.items()})
    return judgement if judgement.key == key_of(change, options) else None


def key_of(change: Change, options: Options) -> str:
    """Identify a change together with the suite and the reference that it is judged with."""
    facts = [change.name, sorted(change.clauses), [each.name for each in change.on], sorted(change.needs)]
    how = [options.clock_for(change), options.patience, options.seed]
    digest = hashlib.sha256(json.dumps([*facts, *how, _hash_of_sources()]).encode())
    for file in sorted(change.files):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


@cache
def _hash_of_sources() -> str:
    digest = hashlib.sha256()
    for place in sorted(_SOURCES):
        for file in [place] if place.is_file() else sorted(place.rglob("*.*")):
            if file.suffix in {".py", ".toml", ".json", ".lock"}:
                digest.update(file.relative_to(ROOT).as_posix().encode() + file.read_bytes())
    return digest.hexdigest()


def _file(change: Change, options: Options) -> Path:
    return options.report / change.name / "judgement.json"


def _ordered(clauses: Iterable[str]) -> tuple[str, ...]:
    chosen = set(clauses)
    return tuple(clause for clause in CATALOGUE if clause in chosen)


def _differences(wanted: set[str], failed: set[str]) -> list[str]:
    missed = [f"not caught: {clause}" for clause in _ordered(wanted - failed)]
    return missed + [f"wrongly accused: {clause}" for clause in _ordered(failed - wanted)]


class _Run:
    """One run of the suite against a changed server."""

    def __init__(self, change: Change, configuration: Configuration, options: Options) -> None:
        self.configuration = configuration
        self._needs, self._breaks = change.needs, change.breaks
        self._wanted = {clause for clause in change.clauses if configuration.concerns(CATALOGUE[clause])}
        folder = options.report / change.name / configuration.name
        folder.mkdir(parents=True, exist_ok=True)
        results = folder / "results.json"
        results.unlink(missing_ok=True)
        implementation = folder / "implementation.toml"
        command = DIRECTLY if change.directly else options.command
        configuration.write(implementation, [*command, change.name], change.intervals)
        left_out = [words for kind, words in LONG_TESTS.items() if kind not in change.needs]
        how = replace(options, clock=options.clock_for(change))
        self._timed_out = not _run_suite(implementation, folder, left_out, how)
        self._results: dict[str, Any] | None = None
        if results.exists():
            self._results = json.loads(results.read_text(encoding="utf-8"))

    @property
    def verdict(self) -> str:
        """The verdict of the suite, or why there is none."""
        if self._results is None:
            return "took too long" if self._timed_out else "no results"
        return str(self._results["verdict"])

    def having(self, outcome: str) -> list[str]:
        """Give the clauses with this outcome."""
        return [clause["id"] for clause in (self._results or {}).get("clauses", ()) if clause["outcome"] == outcome]

    def problems(self) -> list[str]:
        """Say where the suite said of this configuration something else than it should have said."""
        where = self.configuration.name
        if self._results is None:
            return [f"{where}: {self.verdict}"]
        # What went wrong with the whole run is why its clauses are errors.
        found = [f"{where}: {error}" for error in self._results["run"]["errors"]]
        found = found or [f"{where}: {clause} is an error" for clause in self.having("error")]
        accused = any(CATALOGUE[clause].level is Level.MUST for clause in self.having("fail"))
        # Without a failed MUST the verdict is partial where a hardware or a clock is missing.
        right = {"not conformant"} if accused else {"conformant", "partial"}
        found += [f"{where}: found without random programs, by {test}" for test in self._found_without_programs()]
        if self.verdict not in right:
            found.append(f"{where}: the verdict is {self.verdict}, not {' or '.join(sorted(right))}")
        return [f"{where}: {problem}" for problem in _differences(self._wanted, set(self.having("fail")))] + found

    def _found_without_programs(self) -> list[str]:
        """Give the tests that accused a server of which only random programs are to find the fault."""
        clauses = (self._results or {}).get("clauses", ()) if "programs" in self._needs else ()
        return [
            test["id"]
            for clause in clauses
            if clause["id"] in self._breaks
            for test in clause["tests"]
            if test["outcome"] == "fail" and LONG_TESTS["programs"] not in test["id"]
        ]


def _run_suite(implementation: Path, folder: Path, left_out: Sequence[str], options: Options) -> bool:
    """Run the suite without the tests of which the ids hold some words; tells whether it came to an end."""
    command: Sequence[str] = [
        *(sys.executable, "-m", "pytest", "-p", "conformance.plugin", "-p", "no:cacheprovider", "-q"),
        *("--implementation", str(implementation), "--report-dir", str(folder), "--patience", str(options.patience)),
        *("--seed", str(options.seed), "-k", " and ".join(f"not ({words})" for words in left_out)),
        *(("--clock", options.clock) if options.clock else ()),
        "conformance",
    ]
    with (folder / "output.log").open("wb") as output:
        try:
            subprocess.run(
                command,
                cwd=ROOT,
                env=os.environ | options.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=options.most,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return False
    return True
