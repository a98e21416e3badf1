"""The product of the ways in which a server can be set up, for the events of reloading."""

from __future__ import annotations

import itertools
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from conformance.catalogue import PREDICTORS, SOURCES, PredictorType, Source
from conformance.marks import PLAIN, SMALL_CACHE, Configuration, Naming

NAMINGS: tuple[Naming, ...] = ("dir", "paths", "model_path")

_FILE = Path(__file__).with_name("matrix.toml")


@dataclass(frozen=True)
class Case:
    """One combination."""

    predictor: PredictorType
    naming: Naming
    source: Source
    cache: bool = False
    processes: int = 1

    @property
    def is_possible(self) -> bool:
        """Whether the document allows the combination: config.cache-pair and config.cache-one-process."""
        return not self.cache or (self.processes == 1 and self.naming != "model_path")

    @property
    def configuration(self) -> Configuration:
        """What the configuration of the server says."""
        if self.cache:
            return SMALL_CACHE
        return PLAIN if self.processes == 1 else Configuration(processes_per_replica=self.processes)

    @property
    def clause(self) -> str | None:
        """The clause that is broken if an event goes wrong in this case only; None for that of the event."""
        if self.cache:
            return "cache.reload"
        return "reload.processes" if self.processes > 1 else None

    def __str__(self) -> str:
        layers = "cached" if self.cache else f"{self.processes} processes" if self.processes > 1 else ""
        return "-".join(filter(None, (self.predictor, self.source, self.naming, layers)))


def usual_cases(sources: Sequence[Source] = SOURCES) -> list[Case]:
    """Give those of matrix.toml, each once, in the source that it names or else in the only one that there is."""
    listed = [Case(**case) for case in tomllib.loads(_FILE.read_text(encoding="utf-8"))["case"]]
    there = [case if case.source in sources else replace(case, source=sources[0]) for case in listed]
    return list(dict.fromkeys(there))


def all_cases() -> Iterator[Case]:
    """Give every combination that is possible, but for those in which test_events.py judges its events by itself."""
    for values in itertools.product(PREDICTORS, NAMINGS, SOURCES, (False, True), (1, 2)):
        case = Case(*values)
        if case.is_possible and case != Case(case.predictor, "dir", case.source):
            yield case
