"""How many random programs a run has, and what a search makes of what breaks it."""

import itertools
from random import Random
from types import SimpleNamespace
from typing import cast

import pytest
from hypothesis.errors import Flaky
from hypothesis.stateful import invariant

from conformance.catalogue import SOURCES, PredictorType, Source
from conformance.deployment import Answer
from conformance.forest import Grower
from conformance.implementation import ClockName, Declares
from conformance.marks import PLAIN
from conformance.recording import Recording
from conformance.reload import programs
from conformance.reload.program import Program
from conformance.reload.programs import programs_on
from conformance.reload.search import Search
from conformance.source_states import answer
from conformance.stand import LEFT_OUT, Stand, Version
from fixtures.trees import Tree
from tests.conformance.driven_field import DrivenField

DECLARED: list[tuple[list[PredictorType], list[Source], bool]] = [
    (["python", "onnx", "tensorflow"], list(SOURCES), True),
    (["python"], ["local"], False),
    (["onnx", "tensorflow"], ["s3"], False),
    (["onnx"], list(SOURCES), True),
]

# All that a search needs to know of a server that its programs never ask.
STAND = cast(Stand, SimpleNamespace(models={}, deployment=SimpleNamespace(clock=None)))


@pytest.mark.parametrize(("predictors", "sources", "caches"), DECLARED)
def test_driven_run_has_two_hundred_programs(
    predictors: list[PredictorType], sources: list[Source], *, caches: bool
) -> None:
    """Whatever a server declares that is told when to look, at least 200 programs run on it."""
    declares = Declares(predictors=predictors, sources=sources, features=["cache"] if caches else [])
    servers = itertools.product({"python", "onnx"} & {*predictors}, sources, {False, caches})
    assert sum(programs_on(ClockName.DRIVEN, source, declares) for _, source, _ in servers) >= 200


def test_what_breaks_hypothesis_is_raised_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """A search that ends without a fault of the server, and not by itself, tells why."""

    def break_down(*_: object, **__: object) -> None:
        raise Flaky("not for the server's sake")

    monkeypatch.setattr(programs, "run_state_machine_as_test", break_down)
    with pytest.raises(Flaky, match="not for the server's sake"):
        programs.search(STAND, programs=1, seed=1)


class RightStand(DrivenField):
    """A stand as programs use it, of a server that is always right."""

    def __init__(self) -> None:
        super().__init__("python", {})
        self.forest = SimpleNamespace(ground=SimpleNamespace(configuration=PLAIN))
        self.grow = Grower("python", Random(1))
        self.recording: Recording | None = None

    def remove(self, name: str, folder: str = "") -> None:
        """Remove a model."""
        assert not folder
        self.models[name] = Tree()

    def ask(self, name: str, version: Version = LEFT_OUT) -> Answer:
        """Answer by what is published now."""
        assert self.recording is not None
        tokens = answer(self.recording.servable(name), None if version is LEFT_OUT else version)
        return Answer(200 if tokens else 404, "", {"process": 1, "tokens": sorted(tokens)} if tokens else {})


def test_every_program_is_another_one_and_every_step_of_it_acts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A search runs as many different programs as it is to, and each of their 24 steps changes or asks something."""
    stand = RightStand()
    ran: list[Program] = []

    class Noted(Program):
        """A program that notes how long its script was after each step."""

        def __init__(self, found: Search, number: int) -> None:
            super().__init__(found, number)
            stand.recording = self._recording
            self.lengths: list[int] = []
            ran.append(self)

        @invariant()
        def note(self) -> None:
            """Note it."""
            self.lengths.append(len(self.script))

    monkeypatch.setattr(programs, "Program", Noted)
    programs.search(cast(Stand, stand), programs=40, seed=1)
    # What Hypothesis gives up on its way ends earlier, and is made up for by another one.
    whole = [program for program in ran if len(program.lengths) > programs.STEPS]
    assert len({tuple(program.script) for program in whole}) >= 40
    assert all(before < after for program in whole for before, after in itertools.pairwise(program.lengths))
