"""What the schedule makes of things that go wrong on a shared server, without any server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from conformance import schedule as schedule_module
from conformance.deployment import ServerDiedError
from conformance.forest import Forest, Ground, Setting
from conformance.implementation import ClockName
from conformance.marks import Grow, Plant, Planting
from conformance.run import FAST_INTERVAL, Run
from conformance.schedule import Scenario, Schedule
from conformance.violations import Evidence, ViolationError
from tests.conformance.suite_runs import reference_run

ONE, ANOTHER = (Ground(Setting("python", "local"), naming, "usual") for naming in ("dir", "paths"))

IN_TURNS = Ground(Setting("python", "local"), "model_path", "usual")

DRIVEN = pytest.mark.parametrize("schedule", [{"clock": ClockName.DRIVEN}], indirect=True)

EVIDENCE = Evidence("python, local", [], [], ["3.2 s: it answers"], "", ["the last words"])


@dataclass(eq=False)
class Plantings:
    """Stand for a forest, of which these scenarios want no more than which tests it is for."""

    run: Run
    ground: Ground
    plantings: list[Plant]
    turns: int = 1

    def start(self) -> None:
        """Start nothing."""

    def turn_to(self, plant: Plant) -> None:
        """Count whose turn it is."""
        self.plantings = [plant]
        self.turns += 1

    def close(self) -> None:
        """End nothing."""


@pytest.fixture
def schedule(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Schedule]:
    """Make a schedule that starts no servers; those that it would start go at the pace that the test gives."""
    monkeypatch.setattr(schedule_module, "Forest", Plantings)
    run = reference_run(**getattr(request, "param", {}))
    schedule = Schedule(run)
    yield schedule
    schedule.close()
    run.close()


def wrong(error: Exception, *, when: Callable[[int], bool]) -> Callable[[Forest], None]:
    """Write a scenario that goes wrong on a server for so many tests."""

    def call(forest: Forest) -> None:
        if when(len(forest.plantings)):
            raise error

    return call


def always(_: int) -> bool:
    """Say that it goes wrong on every server."""
    return True


def when_shared(tests: int) -> bool:
    """Say that it goes wrong beside other tests only."""
    return tests > 1


def expect(schedule: Schedule, name: str, ground: Ground, call: Callable[[Forest], None]) -> None:
    """Announce a scenario that shares its server with one that goes well."""
    for test_id, what in ((name, call), (f"beside-{name}", wrong(ValueError(), when=lambda _: False))):

        def plant(_: Grow) -> Planting:
            return Planting({})

        schedule.expect(Scenario(test_id, ground, plant, what, lambda _: EVIDENCE, exclusive=True))


def test_what_is_not_seen_again_and_not_explained_is_told_apart(schedule: Schedule) -> None:
    """What goes wrong on a shared server only is held against nobody, and is left to be explained."""
    expect(schedule, "dies-once", ONE, wrong(ServerDiedError("it died"), when=when_shared))
    schedule.result("dies-once")
    (unexplained,) = schedule.unrepeated(explained=False)
    assert unexplained.startswith(f"{ONE}: it died\n")
    assert schedule.unrepeated(explained=True) == []


@pytest.mark.parametrize("error", [ServerDiedError("it died"), ViolationError("this", "that", EVIDENCE)])
def test_what_is_left_to_be_explained_comes_with_its_evidence(schedule: Schedule, error: Exception) -> None:
    """Of what goes wrong on a shared server only, the timeline and the end of its log are shown."""
    expect(schedule, "goes-wrong-once", ONE, wrong(error, when=when_shared))
    schedule.result("goes-wrong-once")
    (unexplained,) = schedule.unrepeated(explained=False)
    assert "3.2 s: it answers" in unexplained
    assert "the last words" in unexplained


def test_death_is_explained_by_one_that_is_seen_again(schedule: Schedule) -> None:
    """A server that dies of one test alone too has that test failed; its death elsewhere needs no other explanation."""
    expect(schedule, "dies-once", ONE, wrong(ServerDiedError("it died"), when=when_shared))
    expect(schedule, "dies-always", ANOTHER, wrong(ServerDiedError("it died too"), when=always))
    schedule.result("dies-once")
    with pytest.raises(ViolationError, match="it died too, twice"):
        schedule.result("dies-always")
    assert schedule.unrepeated(explained=False) == []
    assert schedule.unrepeated(explained=True) == [f"{ONE}: it died"]


def test_death_is_not_explained_by_a_violation(schedule: Schedule) -> None:
    """A server that breaks a clause without dying of it has to have another reason to die."""
    expect(schedule, "dies-once", ONE, wrong(ServerDiedError("it died"), when=when_shared))
    expect(schedule, "breaks", ANOTHER, wrong(ViolationError("this", "that"), when=always))
    schedule.result("dies-once")
    with pytest.raises(ViolationError, match="expected this"):
        schedule.result("breaks")
    (unexplained,) = schedule.unrepeated(explained=False)
    assert unexplained.startswith(f"{ONE}: it died\n")


@DRIVEN
def test_plantings_with_model_path_have_one_server_in_turns(schedule: Schedule) -> None:
    """A server that is told to look does for all models of model_path, one after the other."""
    seen: list[int] = []
    expect(schedule, "first", IN_TURNS, lambda forest: seen.append(forest.turns))
    expect(schedule, "third", IN_TURNS, lambda forest: seen.append(forest.turns))
    schedule.result("first")
    schedule.result("beside-third")
    assert seen == [1, 3]


def test_servers_that_look_by_themselves_have_no_turns(schedule: Schedule) -> None:
    """Where a server would have to be given the time to see the next model, each model has its own."""
    seen: list[int] = []
    for name in ("one", "another"):
        expect(schedule, name, IN_TURNS, lambda forest: seen.append(forest.turns))
    for name in ("one", "another"):
        schedule.result(name)
    assert seen == [1, 1]


@DRIVEN
@pytest.mark.parametrize("error", [ServerDiedError("it died"), ViolationError("this", "that")])
def test_what_goes_wrong_in_its_turn_only_is_noted(schedule: Schedule, error: Exception) -> None:
    """What does not go wrong on a new server is no failure; the new one is that of the next."""
    turns: list[int] = []

    def call(forest: Forest) -> None:
        turns.append(forest.turns)
        if forest.turns > 1:
            raise error

    expect(schedule, "first", IN_TURNS, wrong(ValueError(), when=lambda _: False))
    expect(schedule, "third", IN_TURNS, call)
    expect(schedule, "fifth", IN_TURNS, lambda forest: turns.append(forest.turns))
    for name in ("first", "third", "fifth"):
        schedule.result(name)
    assert turns == [3, 1, 3]
    (note,) = schedule.spoilt
    assert str(error) in note
    assert schedule.unrepeated(explained=False) == []


@DRIVEN
def test_what_goes_wrong_in_its_turn_and_again_is_a_failure(schedule: Schedule) -> None:
    """What goes wrong on a new server too is held against the server, and another is started for the next."""
    turns: list[int] = []
    expect(schedule, "first", IN_TURNS, wrong(ViolationError("this", "that"), when=always))
    schedule.expect(
        Scenario(
            "third", IN_TURNS, lambda _: Planting({}), lambda forest: turns.append(forest.turns), lambda _: EVIDENCE
        )
    )
    with pytest.raises(ViolationError, match="expected this"):
        schedule.result("first")
    schedule.result("third")
    assert turns == [2]
    assert schedule.spoilt == []


@pytest.mark.parametrize(
    ("schedule", "together"), [({"interval": FAST_INTERVAL}, 12), ({"interval": 10.0}, 4)], indirect=["schedule"]
)
def test_idling_servers_share_what_takes_turns(schedule: Schedule, together: int) -> None:
    """Twelve plantings that take turns have one server where servers are busy, and three where they mostly idle."""
    seen: list[int] = []
    for number in range(6):
        expect(schedule, f"{number}", ONE, lambda forest: seen.append(len(forest.plantings)))
    for number in range(6):
        schedule.result(f"{number}")
        schedule.result(f"beside-{number}")
    assert seen == [together] * 6
