"""The clause that a random program names when it publishes a version."""

from __future__ import annotations

import pytest

from conformance.reload.publication import publication_event

EVENTS = {
    "the first of a model": ("2", (), [], "reload.model-added"),
    "a model without versions": ("", (), [], "reload.model-added"),
    "beside others": ("9", ("2",), [("2",)], "reload.version-added"),
    "back beside others": ("9", ("2",), [("2", "9"), ("2",)], "reload.version-added"),
    "back before anyone looked": ("9", ("2",), [("2", "9")], "reload.updated-in-place"),
    "back alone before anyone looked": ("9", (), [("2", "9")], "reload.updated-in-place"),
    "back, though nobody had seen it": ("9", ("2",), [("2",)], "reload.version-added"),
    "in place of all others, and nobody saw them gone": ("9", (), [("2",)], "reload.version-added"),
    "back after the model was gone": ("9", (), [("9",), ()], "reload.removed-then-restored"),
    "another one after the model was gone": ("9", (), [("2",), ()], "reload.removed-then-restored"),
    "one more after the model was gone": ("9", ("2",), [("2",), ()], "reload.version-added"),
    "instead of a model without versions": ("9", (), [("",)], "reload.versioned-to-unversioned"),
    "a model without versions instead": ("", (), [("2",)], "reload.versioned-to-unversioned"),
    "after what nobody saw": ("9", (), [()], "reload.model-added"),
}


@pytest.mark.parametrize(("version", "beside", "seen", "event"), EVENTS.values(), ids=EVENTS)
def test_event(version: str, beside: tuple[str, ...], seen: list[tuple[str, ...]], event: str) -> None:
    """What a version comes in by depends on what the server has seen, not on what came and went before it looked."""
    assert publication_event(version, beside, seen) == event
