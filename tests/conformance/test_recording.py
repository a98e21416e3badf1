"""What a recording tells the judge about changes that a server may have had no look between."""

from __future__ import annotations

from typing import cast

import pytest

from conformance import timing
from conformance.broken_content import BROKEN
from conformance.judge import Request
from conformance.recording import Recording
from conformance.stand import Stand
from fixtures.trees import File, Tree
from tests.conformance.driven_field import DrivenField


@pytest.fixture
def field() -> DrivenField:
    """Publish version 1 of a model."""
    return DrivenField("onnx", {"m": Tree({"1/model.onnx": File("content", "old")})})


def put(recording: Recording, token: str) -> None:
    """Publish version 2."""
    recording.put("m", Tree({"2/model.onnx": File("content", token)}), event="reload.version-added")


@pytest.mark.parametrize(
    ("looks", "clause"), [(False, "reload.updated-in-place"), (True, "reload.broken-keeps-last-good")]
)
def test_mending(field: DrivenField, clause: str, *, looks: bool) -> None:
    """A version that is mended before a server had to see it broken has been overwritten, and is charged as that."""
    recording = Recording(cast(Stand, field))
    field.catch_up()
    recording.break_version("m", "1", BROKEN["onnx"])
    if looks:
        field.catch_up()
    recording.mend_version("m", "1", Tree({"model.onnx": File("content", "new")}), obstacle=None)
    field.catch_up()
    now = timing.now()
    (finding,) = recording.findings(Request(now, now, "m", None, "1", frozenset({"old"})))
    assert finding.clause == clause


def test_what_came_and_went_between_two_looks(field: DrivenField) -> None:
    """States that no server had to see are none that it has seen."""
    recording = Recording(cast(Stand, field))
    assert recording.seen("m") == []
    field.catch_up()
    put(recording, "brief")
    recording.remove("m", "2", event="reload.version-removed")
    assert [set(versions) for versions in recording.seen("m")] == [{"1"}]
    put(recording, "lasting")
    field.catch_up()
    assert [set(versions) for versions in recording.seen("m")] == [{"1"}, {"1", "2"}]
    assert recording.seen("other") == []
