"""Which tests a run has: each judges a clause of the catalogue, once for every setting that the clause speaks of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import InitVar, dataclass, replace
from random import Random

import pytest

from conformance.catalogue import PREDICTORS, SOURCES, Catalogue, Clause, Profile, Source
from conformance.forest import MODELS, Ground, Grower, Setting
from conformance.hardware.detection import MISSING
from conformance.implementation import ClockName, Implementation
from conformance.marks import PLAIN, SMALL_CACHE, PlantingMark
from conformance.problems import InvalidInputError

_SEVERAL_MODELS = "feature multi-model"


def parametrize_settings(metafunc: pytest.Metafunc) -> None:
    """Run a test that has a stand once for each predictor that has a witness, each source and each of its clocks."""
    if "setting" in metafunc.fixturenames:
        mark = planting_of(metafunc.definition)
        clocks = mark.clocks if mark is not None else (None,)
        # What of TensorFlow need not be in real time may share the server of what must be.
        of_tensorflow = dict.fromkeys((*clocks, ClockName.DEFAULT))
        settings = [
            Setting(predictor, source, clock)
            for predictor in MODELS
            for source in SOURCES
            for clock in (of_tensorflow if predictor == "tensorflow" else clocks)
        ]
        metafunc.parametrize("setting", settings, ids=str, indirect=True)


def clause_of(item: pytest.Item, catalogue: Catalogue) -> Clause:
    """Give the clause that a test judges; raises `InvalidInputError` when it names none, or one that does not exist."""
    marker = item.get_closest_marker("clause")
    if marker is None:
        raise InvalidInputError(f"{item.nodeid}: the test judges no clause; mark it with @clause(...)")
    (clause_id,) = marker.args
    if clause_id not in catalogue:
        raise InvalidInputError(f"{item.nodeid}: {clause_id!r} is no clause of the catalogue")
    return catalogue[clause_id]


def planting_of(item: pytest.Item) -> PlantingMark | None:
    """Give what a test wants published, if it has a stand."""
    marker = item.get_closest_marker("planting")
    if marker is None:
        return None
    mark = marker.args[0]
    assert isinstance(mark, PlantingMark)
    return mark


def setting_of(item: pytest.Item) -> Setting | None:
    """Give the setting that a test runs in, if it has one."""
    setting = (
        item.callspec.params.get("setting") if isinstance(item, pytest.Function) and hasattr(item, "callspec") else None
    )
    assert setting is None or isinstance(setting, Setting)
    return setting


def ground_of(item: pytest.Item) -> Ground | None:
    """Give the ground that a test is judged on, if it has a stand."""
    setting, mark = setting_of(item), planting_of(item)
    if setting is None or mark is None:
        return None
    return Ground(setting, mark.naming, mark.witness, mark.party(item.nodeid), mark.configuration, mark.started)


def is_about(item: pytest.Item, clause: Clause) -> bool:
    """Whether the clause, and the test of it, say anything about the setting."""
    setting, mark = setting_of(item), planting_of(item)
    if setting is None or mark is None:
        return True
    return (
        setting.predictor in clause.predictors
        and setting.predictor in mark.predictors
        and setting.source in clause.sources
        and setting.source in mark.sources
    )


def is_in_matrix(item: pytest.Item, implementation: Implementation, *, full: bool) -> bool:
    """Whether a test belongs to the product of settings and namings that a run covers: all of it, or what is usual."""
    ground, mark = ground_of(item), planting_of(item)
    if ground is None or mark is None:
        return True
    setting, declares = ground.setting, implementation.declares
    first, *_, last = 2 * [source for source in SOURCES if source in declares.sources]
    if setting.predictor == "tensorflow" and not full and not ground.configuration.of_compute:
        return _is_shared_by_tensorflow(ground, first, last)
    if full or ground.clock not in mark.clocks:
        return ground.clock in mark.clocks
    if mark.one_predictor and setting.predictor != min(declares.predictors, key=PREDICTORS.index):
        return False
    if mark.one_source:
        return setting.source == last
    # Real time is expensive, and what the source is makes no difference to it.
    return ground.clock is not ClockName.DEFAULT or setting.source == first


def _is_shared_by_tensorflow(ground: Ground, first: Source, last: Source) -> bool:
    """Whether a ground is one of the three on which TensorFlow is judged, as a server of it takes ten seconds to start.

    Each source that is declared and each of these namings occurs, without and with a cache.
    """
    case = (ground.setting.source, ground.naming, ground.configuration, ground.clock)
    three = (
        (first, "dir", PLAIN, ClockName.DEFAULT),
        (first, "dir", SMALL_CACHE, None),
        (last, "paths", PLAIN, None),
    )
    return case in three and not ground.alone and ground.witness == "usual"


@dataclass(frozen=True)
class Choice:
    """The clauses, families and profiles that a run was asked for; without any, all are.

    Raises `InvalidInputError` for one of `clauses` that selects nothing.
    """

    clauses: Sequence[str]
    profiles: Sequence[Profile]
    catalogue: InitVar[Catalogue]

    def __post_init__(self, catalogue: Catalogue) -> None:
        for name in self.clauses:
            if not any(_selects(name, clause) for clause in catalogue.values()):
                raise InvalidInputError(f"--clause: {name!r} is neither a clause nor a family of the catalogue")

    def includes(self, clause: Clause) -> bool:
        """Whether a clause is among those asked for."""
        named = not self.clauses or any(_selects(name, clause) for name in self.clauses)
        return named and (not self.profiles or clause.profile in self.profiles)


def replant(item: pytest.Item, clause: Clause, implementation: Implementation) -> None:
    """Have a server that knows only one model judged on that one, where a test needs no other."""
    setting, mark = setting_of(item), planting_of(item)
    if setting is None or mark is None:
        return
    if missing_for(item, clause, implementation) == [_SEVERAL_MODELS] and not implementation.missing_for(clause):
        planting = mark.plant(Grower(setting.predictor, Random(0)))
        if len(planting.models) == 1 and not planting.strays and not mark.adds_models:
            item.add_marker(replace(mark, naming="model_path").marker, append=False)


def missing_for(item: pytest.Item, clause: Clause, implementation: Implementation) -> list[str]:
    """Name what the implementation would have to declare for this test."""
    setting = setting_of(item)
    if setting is None:
        return implementation.missing_for(clause)
    missing = implementation.missing_for(clause, setting.predictor, setting.source)
    mark = planting_of(item)
    if mark is not None:
        needed = [*mark.configuration.features, *(["multi-model"] if mark.naming != "model_path" else [])]
        missing += [f"feature {name}" for name in needed if name not in implementation.declares.features]
    return list(dict.fromkeys(missing))


def missing_hardware(item: pytest.Item) -> str | None:
    """Say what hardware a test needs that this machine lacks; None when there is what it needs."""
    for name, missing in MISSING.items():
        if item.get_closest_marker(name) is not None and (reason := missing()) is not None:
            return reason
    return None


def by_ground(items: Iterable[pytest.Item]) -> list[pytest.Item]:
    """Put the tests of one ground together, the grounds in the order of their first test.

    Those with a clock of their own come first: what waits for a server's own pace leaves time for the others.
    """
    order: dict[Ground | None, int] = {}

    def place(item: pytest.Item) -> tuple[bool, int]:
        ground = ground_of(item)
        return ground is None or ground.clock is None, order.setdefault(ground, len(order))

    return sorted(items, key=place)


def _selects(name: str, clause: Clause) -> bool:
    return clause.id == name or clause.id.startswith(f"{name}.")
