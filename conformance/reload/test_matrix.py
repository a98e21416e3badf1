"""The events of reloading, judged by their own tests in further cases of the product."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from random import Random

import pytest

from conformance.forest import Grower
from conformance.marks import Naming, PlantingMark, clause
from conformance.reload import test_events
from conformance.reload.matrix import Case, all_cases, usual_cases
from conformance.stand import Stand
from conformance.suite import suite_of


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run every event in every case of the matrix that it can happen in."""
    if "event" in metafunc.fixturenames:
        sources = suite_of(metafunc.config).run.implementation.declares.sources
        cases = all_cases() if metafunc.config.getoption("--matrix") == "full" else usual_cases(sources)
        metafunc.parametrize("event", [parameter for case in cases for parameter in _events(case)])


def test_event_in_further_cases(stand: Stand, event: Callable[[Stand], None]) -> None:
    """The event changes in time what is served."""
    event(stand)


def _events(case: Case) -> Iterator[object]:
    for name, test in vars(test_events).items():
        if not name.startswith("test_"):
            continue
        marks = {mark.name: mark.args[0] for mark in test.pytestmark}
        planting: PlantingMark = marks["planting"]
        if None in planting.clocks and case.naming in _namings(planting):
            further = replace(
                planting,
                naming=case.naming,
                predictors=(case.predictor,) if case.predictor in planting.predictors else (),
                sources=(case.source,),
                configuration=case.configuration,
                clocks=(None,),
                side_by_side=True,
            )
            yield pytest.param(
                test,
                marks=[clause(case.clause or marks["clause"]), further.marker],
                id=f"{name.removeprefix('test_')}-{case}",
            )


def _namings(planting: PlantingMark) -> tuple[Naming, ...]:
    if planting.adds_models:
        return ("dir",)
    models = planting.plant(Grower("python", Random(0))).models
    return ("dir", "paths", "model_path") if len(models) == 1 else ("dir", "paths")
