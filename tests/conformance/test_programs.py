"""How many random programs a run has, and what a search makes of what breaks it."""

import itertools
from collections import Counter
from types import SimpleNamespace
from typing import cast

import pytest
from hypothesis import strategies as st
from hypothesis.errors import Flaky
from hypothesis.stateful import RuleBasedStateMachine, rule

from conformance.catalogue import SOURCES, PredictorType, Source
from conformance.implementation import ClockName, Declares
from conformance.reload import programs
from conformance.reload.programs import programs_on
from conformance.stand import Stand

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


def test_most_programs_are_new(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the programs of a search few resemble others: more than half begin with steps that no other begins with."""
    beginnings: list[tuple[str, ...]] = []

    class Noted(RuleBasedStateMachine):
        """Takes steps of two kinds, and notes the first ones."""

        def __init__(self, *_: object) -> None:
            super().__init__()
            self.steps: list[str] = []

        @rule(number=st.integers(0, 9))
        def publish(self, number: int) -> None:
            """Note a number."""
            self.steps.append(f"publish {number}")

        @rule(number=st.integers(0, 9))
        def remove(self, number: int) -> None:
            """Note another number."""
            self.steps.append(f"remove {number}")

        def teardown(self) -> None:
            """Keep the first steps."""
            beginnings.append(tuple(self.steps[:6]))

    monkeypatch.setattr(programs, "Program", Noted)
    programs.search(STAND, programs=200, seed=1)
    assert len(beginnings) >= 200
    assert sum(times == 1 for times in Counter(beginnings).values()) > 100
