"""How a test says what it is about: the clause that it judges, and what must be published for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, asdict, dataclass, field
from random import Random
from typing import Any, Literal, Protocol, TypeVar

import pytest

from conformance.catalogue import PREDICTORS, SOURCES, Feature, PredictorType, Source
from conformance.implementation import ClockName
from fixtures.trees import Tree

Test = TypeVar("Test", bound=Callable[..., Any])
Naming = Literal["dir", "paths", "paths-by-alias", "model_path"]


class Grow(Protocol):
    """Makes one more model that the predictor of the setting can serve, with tokens of its own."""

    predictor: PredictorType
    random: Random

    def __call__(self) -> Tree:
        """Make a model in its usual form."""
        ...


@dataclass(frozen=True)
class Planting:
    """What is published for a test before its server is started.

    `models` are named to the server; `strays` lie beside them: at the root of models.dir, or beside the model paths.
    """

    models: Mapping[str, Tree]
    strays: Tree = field(default_factory=Tree)


Plant = Callable[[Grow], Planting]


@dataclass(frozen=True)
class Configuration:
    """What a configuration says beyond predictor and models; None leaves a key out, under its name in the document."""

    cache_size: int | None = None
    disk_cache_size: int | None = None
    processes_per_replica: int | None = None
    threads_per_process: int | None = None
    gpu: int | None = None
    inf: int | None = None

    @property
    def of_models(self) -> Mapping[str, int]:
        """The keys that stand in the section `models`."""
        return self._of("cache_size", "disk_cache_size")

    @property
    def of_predictor(self) -> Mapping[str, int]:
        """The keys that stand in the section `predictor`."""
        return self._of("processes_per_replica", "threads_per_process")

    @property
    def of_compute(self) -> Mapping[str, int]:
        """The keys that stand in the section `compute`."""
        return self._of("gpu", "inf")

    @property
    def features(self) -> list[Feature]:
        """The features that a server must have to be configured so."""
        needed: Mapping[str, Feature] = {
            "cache_size": "cache",
            "processes_per_replica": "processes",
            "threads_per_process": "threads",
            "gpu": "gpu",
            "inf": "inferentia",
        }
        return [feature for key, feature in needed.items() if key in self._given]

    def _of(self, *keys: str) -> Mapping[str, int]:
        return {key: number for key, number in self._given.items() if key in keys}

    @property
    def _given(self) -> Mapping[str, int]:
        return {key: number for key, number in asdict(self).items() if number is not None}

    def __str__(self) -> str:
        return ", ".join(f"{key} {number}" for key, number in self._given.items())


PLAIN = Configuration()

# Clocks of a test, None being that of the run.
IN_REAL_TIME: tuple[ClockName | None, ...] = (ClockName.DEFAULT,)
ALSO_IN_REAL_TIME: tuple[ClockName | None, ...] = (None, ClockName.DEFAULT)

# Most tests of the cache are content with this one, so that they share a server.
SMALL_CACHE = Configuration(cache_size=2, disk_cache_size=4)

# A request is under way while others are answered, and the server told to look at its source.
THREADED = Configuration(threads_per_process=4)
THREADED_CACHE = Configuration(cache_size=2, disk_cache_size=4, threads_per_process=8)


@dataclass(frozen=True)
class PlantingMark:
    """Says what is published for a test, in which way models are named, which predictor class runs, configured how.

    Tests share a server unless they are to be `alone`; those with the same text for `alone` share one among themselves.
    With model_path, which holds only one model, they have the server in turns, each with its planting in the place of
    the one before: a test that needs the server as it started, or strays, is to be alone.
    `predictors` and `sources` leave out those for which the contract does not say what the test expects, or where
    nothing shows it; with `one_source` or `one_predictor`, one is as good as another. `clocks` are those on which it is
    judged, None being that of the run. Unless it is `started`, the test has a server of its own, and starts it. Tests
    of a server with a cache have it one after the other, as what it holds depends on all requests, unless they may run
    `side_by_side`.
    A test that `adds_models` later needs a directory of them.
    """

    plant: Plant
    _: KW_ONLY
    naming: Naming = "dir"
    witness: str = "usual"
    alone: bool | str = False
    predictors: tuple[PredictorType, ...] = PREDICTORS
    configuration: Configuration = PLAIN
    sources: tuple[Source, ...] = SOURCES
    clocks: tuple[ClockName | None, ...] = (None,)
    started: bool = True
    one_source: bool = False
    one_predictor: bool = False
    side_by_side: bool = False
    adds_models: bool = False

    def __call__(self, test: Test) -> Test:
        """Mark a test, as a decorator."""
        marked: Test = self.marker(test)
        return marked

    @property
    def marker(self) -> pytest.MarkDecorator:
        """The same for pytest."""
        return pytest.mark.planting.with_args(self)

    @property
    def is_exclusive(self) -> bool:
        """Whether no other test may use the server meanwhile."""
        return self.configuration.cache_size is not None and not self.side_by_side

    def party(self, test_id: str) -> str:
        """Name those who share a server, of which this test is one: nobody else, some, or with no name all others."""
        if self.alone is True or not self.started:
            return test_id
        return self.alone or ""


planting = PlantingMark


def clause(clause_id: str) -> pytest.MarkDecorator:
    """Say which clause of the catalogue a test judges; every test has one."""
    return pytest.mark.clause(clause_id)
