"""The events of live reloading, judged by the tests of their own family, on servers that cache."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from conformance.marks import SMALL_CACHE, PlantingMark, clause
from conformance.reload import test_events
from conformance.stand import Stand


def _planting_of(test: Callable[[Stand], None]) -> PlantingMark:
    (mark,) = (mark.args[0] for mark in getattr(test, "pytestmark", ()) if mark.name == "planting")
    assert isinstance(mark, PlantingMark)
    return mark


# What takes a server of its own, or the default clock, is not about the cache, and model_path cannot be cached.
EVENTS = [
    pytest.param(
        test,
        id=name.removeprefix("test_"),
        marks=pytest.mark.planting(replace(mark, clocks=(None,), side_by_side=True)),
    )
    for name, test in vars(test_events).items()
    if name.startswith("test_")
    and not (mark := replace(_planting_of(test), configuration=SMALL_CACHE)).alone
    and None in mark.clocks
]


@clause("cache.reload")
@pytest.mark.parametrize("event", EVENTS)
def test_event_with_caching(stand: Stand, event: Callable[[Stand], None]) -> None:
    """The event changes in time what is served from a cache too."""
    event(stand)
