"""Slots by themselves, without processes."""

import weakref
from concurrent.futures import ThreadPoolExecutor

import pytest

from reference import resident
from reference.errors import LoadError
from reference.resident import LOAD_RETRY_AFTER, LOAD_RETRY_AT_MOST, begin_request, end_request, hold
from tests.reference.harness import ALLOWANCE, await_
from tests.reference.surroundings import NEW, OLD, Surroundings


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Make a clock that stands still; its one item is the time."""
    now = [1000.0]
    monkeypatch.setattr(resident.time, "monotonic", lambda: now[0])
    return now


def test_first_candidate_is_loaded_and_kept() -> None:
    """The newest content is loaded, once, and its lease lasts as long as it is resident."""
    around = Surroundings(NEW, OLD)
    slot = around.slot(2)
    assert slot.get() is slot.get()
    assert (slot.get().content.path, slot.get().stamp) == ("new", 2)
    assert around.loads == ["new"]
    assert around.asked == [("m", "1", 2)]
    assert around.reports == [(20, None)]
    assert around.released() == [10]
    watched = weakref.ref(slot.get())
    slot.evict()
    assert watched() is None
    assert around.released() == [20]


def test_many_first_requests_are_one_load() -> None:
    """However many ask at once, one loads and all get what it loaded."""
    around = Surroundings(NEW)
    slot = around.slot(2)
    asking: list[int] = []

    def all_ask() -> None:
        assert len(asking) == 4

    def ask() -> object:
        asking.append(1)
        return slot.get()

    around.on_load = lambda: await_(all_ask, ALLOWANCE)
    with ThreadPoolExecutor(4) as pool:
        assert len({id(each.result()) for each in [pool.submit(ask) for _ in range(4)]}) == 1
    assert around.loads == ["new"]
    assert around.asked == [("m", "1", 2)]


def test_older_content_stands_in_for_what_fails(clock: list[float]) -> None:
    """When the newest cannot be loaded the last good one serves, and the failure is remembered until its time."""
    around = Surroundings(NEW, OLD)
    around.broken = {"new"}
    slot = around.slot(2)
    assert slot.get().content.path == "old"
    assert around.reports == [(20, "ValueError: new"), (10, None)]
    assert around.released() == [20]
    assert slot.failure is not None
    assert (slot.failure.stamp, slot.failure.reason, slot.failure.hopeless) == (2, "ValueError: new", False)
    assert slot.servable
    slot.refresh()
    assert around.loads == ["new", "old"]
    assert not slot.retry_due()
    clock[0] += LOAD_RETRY_AFTER
    assert slot.retry_due()
    around.broken = set()
    slot.refresh()
    assert slot.get().content.path == "new"
    assert slot.failure is None
    assert not slot.retry_due()


def test_what_cannot_be_loaded_is_not_tried_on_every_request(clock: list[float]) -> None:
    """Without any content that loads each request errs with the reason, and the load is repeated when it is due."""
    around = Surroundings(NEW)
    around.broken = {"new"}
    slot = around.slot(2)
    assert slot.servable
    for _ in range(3):
        with pytest.raises(LoadError, match=r"^ValueError: new$"):
            slot.get()
    assert around.loads == ["new"]
    # The keeper is not asked either.
    assert around.asked == [("m", "1", 2)]
    assert not slot.servable
    assert slot.failure is not None
    delays = [slot.failure.delay]
    for _ in range(7):
        clock[0] += delays[-1] - 1
        with pytest.raises(LoadError):
            slot.get()
        clock[0] += 1
        with pytest.raises(LoadError):
            slot.get()
        delays.append(slot.failure.delay)
        assert slot.failure.retry_at == clock[0] + delays[-1]
    assert delays == [LOAD_RETRY_AFTER, 120.0, 240.0, 480.0, 960.0, 1920.0, LOAD_RETRY_AT_MOST, LOAD_RETRY_AT_MOST]
    assert (LOAD_RETRY_AFTER, LOAD_RETRY_AT_MOST) == (60.0, 3600.0)
    assert len(around.loads) == len(delays)


def test_other_content_is_tried_at_once(clock: list[float]) -> None:
    """A failure says nothing about newer content: that is loaded at once, and a failure of it waits from the start."""
    around = Surroundings(OLD)
    around.broken = {"old", "new"}
    slot = around.slot(1)
    for _ in range(2):
        with pytest.raises(LoadError):
            slot.get()
        clock[0] += LOAD_RETRY_AFTER
    around.offered = [NEW]
    slot.stamp = 2
    slot.refresh()
    assert slot.failure is not None
    assert (slot.failure.stamp, slot.failure.delay) == (2, LOAD_RETRY_AFTER)
    assert around.loads == ["old", "old", "new"]


def test_refresh_loads_what_is_newer_only() -> None:
    """What is resident is loaded again when the stamp has changed, serves until then, and not when it has not."""
    around = Surroundings(OLD)
    slot = around.slot(1)
    before = slot.get()
    slot.refresh()
    assert slot.get() is before
    around.offered = [NEW, OLD]
    slot.stamp = 2
    serving = []
    around.on_load = lambda: serving.append(slot.get())
    slot.refresh()
    assert serving == [before]
    assert slot.get().content.path == "new"
    assert around.loads == ["old", "new"]


def test_refresh_without_newer_content_gives_its_leases_back() -> None:
    """A refresh that finds what is resident already loads nothing and keeps no lease of it twice."""
    around = Surroundings(OLD)
    slot = around.slot(1)
    before = slot.get()
    slot.stamp = 2
    slot.refresh()
    assert slot.get() is before
    assert around.loads == ["old"]
    assert around.released() == [10]


def test_removed_version_cannot_be_loaded() -> None:
    """A version of which nothing is offered any more errs."""
    with pytest.raises(LoadError, match=r"^it was removed$"):
        Surroundings().slot(1).get()


def test_each_access_is_numbered() -> None:
    """The order of accesses over all slots is the order of `used`, which is 0 before the first."""
    around = Surroundings(NEW)
    one, other = around.slot(2), around.slot(2)
    assert (one.used, other.used) == (0, 0)
    one.get()
    other.get()
    assert 0 < one.used < other.used
    one.get()
    assert other.used < one.used


def test_request_holds_what_it_was_given() -> None:
    """What a request holds lives until the request ends, and outside a request nothing is held."""
    around = Surroundings(NEW)
    slot = around.slot(2)
    begin_request()
    hold(slot.get())
    watched = weakref.ref(slot.get())
    slot.evict()
    assert watched() is not None
    end_request()
    assert watched() is None
    again = slot.get()
    hold(again)
    watched = weakref.ref(again)
    del again
    slot.evict()
    assert watched() is None
