"""The events of reloading, judged by their own tests in further cases of the product; in all of it, the rest too."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import replace
from random import Random
from types import ModuleType

import pytest

from conformance.cache import test_changes, test_limits, test_recency, test_requests
from conformance.forest import Grower
from conformance.marks import Naming, PlantingMark, clause
from conformance.reload import test_events, test_in_flight, test_robustness
from conformance.reload.matrix import Case, all_cases, usual_cases
from conformance.stand import Stand
from conformance.suite import suite_of

# What reloading must not do, and what a cache does. Their clauses speak of every combination as well.
_HARMS = (test_robustness, test_in_flight)
_CACHE = (test_changes, test_limits, test_recency, test_requests)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run every event in every case of the matrix that it can happen in; of the full one, all other tests too."""
    if "judge" in metafunc.fixturenames:
        is_full = metafunc.config.getoption("--matrix") == "full"
        sources = suite_of(metafunc.config).run.implementation.declares.sources
        cases = all_cases() if is_full else usual_cases(sources)
        events = [parameter for case in cases for parameter in _events(case)]
        metafunc.parametrize("judge", [*events, *_harms(), *_with_paths()] if is_full else events)


def test_in_further_cases(stand: Stand, judge: Callable[[Stand], None]) -> None:
    """What holds in one case holds in the others."""
    judge(stand)


def _events(case: Case) -> Iterator[object]:
    for name, test, clause_id, planted in _tests_of(test_events):
        if None in planted.clocks and case.naming in _namings(planted):
            further = replace(_placed(planted, case), clocks=(None,), side_by_side=True)
            yield _parameter(test, case.clause or clause_id, further, f"{name}-{case}")


def _harms() -> Iterator[object]:
    for case in all_cases():
        for module in _HARMS:
            for name, test, clause_id, planted in _tests_of(module):
                if planted.alone or case.naming not in _namings(planted) or (case.cache and clause_id in _OF_THE_CACHE):
                    continue
                threads = planted.configuration.threads_per_process
                further = _placed(planted, case)
                configured = replace(further.configuration, threads_per_process=threads)
                yield _parameter(test, clause_id, replace(further, configuration=configured), f"{name}-{case}")


# The cache has a test of its own of what becomes of it, as an eviction may take away what was served.
_OF_THE_CACHE = frozenset({"reload.broken-keeps-last-good"})


def _with_paths() -> Iterator[object]:
    for module in _CACHE:
        for name, test, clause_id, planted in _tests_of(module):
            if planted.naming == "dir" and not planted.adds_models:
                yield _parameter(test, clause_id, replace(planted, naming="paths"), f"{name}-paths")


def _tests_of(module: ModuleType) -> Iterator[tuple[str, Callable[[Stand], None], str, PlantingMark]]:
    """Give the tests of a module that need nothing but a stand: name, function, clause and planting."""
    for name, test in vars(module).items():
        if name.startswith("test_") and [*inspect.signature(test).parameters] == ["stand"]:
            marks = {mark.name: mark.args[0] for mark in test.pytestmark}
            yield name.removeprefix("test_"), test, marks["clause"], marks["planting"]


def _placed(planted: PlantingMark, case: Case) -> PlantingMark:
    """Give a planting in a case; of a predictor or a source that it does not speak of, none is left."""
    return replace(
        planted,
        naming=case.naming,
        predictors=(case.predictor,) if case.predictor in planted.predictors else (),
        sources=(case.source,) if case.source in planted.sources else (),
        configuration=case.configuration,
    )


def _parameter(test: Callable[[Stand], None], clause_id: str, planted: PlantingMark, name: str) -> object:
    return pytest.param(test, marks=[clause(clause_id), planted.marker], id=name)


def _namings(planting: PlantingMark) -> tuple[Naming, ...]:
    if planting.adds_models:
        return ("dir",)
    models = planting.plant(Grower("python", Random(0))).models
    return ("dir", "paths", "model_path") if len(models) == 1 else ("dir", "paths")
