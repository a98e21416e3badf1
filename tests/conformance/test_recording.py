"""What a recording tells the judge about changes that a server may have had no look between."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from conformance import timing
from conformance.broken_content import BROKEN
from conformance.clock import Driven
from conformance.implementation import Intervals
from conformance.judge import Request
from conformance.recording import Recording
from conformance.stand import Stand
from conformance.timing import Pace
from fixtures.trees import File, Tree


class Field:
    """The parts of a stand that a recording writes to, before a server that looks when it is told to."""

    predictor = "onnx"
    processes = 1

    def __init__(self) -> None:
        self.models = {"m": Tree({"1/model.onnx": File("content", "old")})}
        clock = Driven(Pace(Intervals()), lambda: None, lambda: None)
        self.deployment = SimpleNamespace(clock=clock, ready_at=timing.now())

    def put(self, name: str, files: Tree) -> None:
        """Add or overwrite files."""
        self.models[name] = Tree({**self.models.get(name, {}), **files})

    def remove_file(self, name: str, key: str) -> None:
        """Delete a file."""
        self.models[name] = self.models[name].without(key)

    def look(self) -> None:
        """Make the server look."""
        self.deployment.clock.catch_up(timing.now())


def put(recording: Recording, token: str) -> None:
    """Publish version 2."""
    recording.put("m", Tree({"2/model.onnx": File("content", token)}), event="reload.version-added")


@pytest.mark.parametrize(
    ("looks", "clause"), [(False, "reload.updated-in-place"), (True, "reload.broken-keeps-last-good")]
)
def test_mending(clause: str, *, looks: bool) -> None:
    """A version that is mended before a server had to see it broken has been overwritten, and is charged as that."""
    field = Field()
    recording = Recording(cast(Stand, field))
    field.look()
    recording.break_version("m", "1", BROKEN["onnx"])
    if looks:
        field.look()
    recording.mend_version("m", "1", Tree({"model.onnx": File("content", "new")}), obstacle=None)
    field.look()
    now = timing.now()
    (finding,) = recording.findings(Request(now, now, "m", None, "1", frozenset({"old"})))
    assert finding.clause == clause


def test_what_came_and_went_between_two_looks() -> None:
    """States that no server had to see are none that it has seen."""
    field = Field()
    recording = Recording(cast(Stand, field))
    assert recording.seen("m") == []
    field.look()
    put(recording, "brief")
    recording.remove("m", "2", event="reload.version-removed")
    assert [set(versions) for versions in recording.seen("m")] == [{"1"}]
    put(recording, "lasting")
    field.look()
    assert [set(versions) for versions in recording.seen("m")] == [{"1"}, {"1", "2"}]
    assert recording.seen("other") == []
