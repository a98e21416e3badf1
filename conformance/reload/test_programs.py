"""Random programs on models of a directory: whatever order things happen in, every answer is explained."""

import pytest

from conformance.marks import SMALL_CACHE, Grow, Planting, clause, planting
from conformance.reload.programs import PREDICTORS, programs_on, search
from conformance.stand import Stand

# Those that an answer can break; each is charged with what was found against it.
CLAUSES = (
    "layouts.latest-is-highest",
    "clients.by-name",
    "clients.explicit-version",
    "reload.model-added",
    "reload.model-removed",
    "reload.version-added",
    "reload.version-removed",
    "reload.structure-changed",
    "reload.updated-in-place",
    "reload.removed-then-restored",
    "reload.versioned-to-unversioned",
    "reload.no-gap",
    "reload.never-back",
    "reload.never-mixed",
    "reload.broken-keeps-last-good",
)

_charged = pytest.mark.parametrize("charged", [pytest.param(name, marks=clause(name), id=name) for name in CLAUSES])


def _resident(grow: Grow) -> Planting:
    return Planting({"resident": grow()})


@planting(_resident, alone="random programs", predictors=PREDICTORS, adds_models=True)
@_charged
def test_random_programs(stand: Stand, charged: str) -> None:
    """Every answer in the course of a random program is explained by a state of its source."""
    _expect_nothing_found(stand, charged)


@planting(_resident, alone="random programs", predictors=PREDICTORS, adds_models=True, configuration=SMALL_CACHE)
@_charged
def test_random_programs_with_a_cache(stand: Stand, charged: str) -> None:
    """The same holds with a cache that has room for fewer models than the program has."""
    _expect_nothing_found(stand, charged)


def _expect_nothing_found(stand: Stand, charged: str) -> None:
    run = stand.forest.run
    programs = programs_on(run.clock, stand.forest.ground.setting.source, run.implementation.declares)
    found = stand.forest.once("random programs", lambda: search(stand, programs, run.seed))
    found.check(charged)
