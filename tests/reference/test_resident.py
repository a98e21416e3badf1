"""Slots and eviction by themselves, without processes."""

import threading
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from reference import eviction as eviction_module
from reference import resident
from reference.errors import LoadError
from reference.eviction import Eviction, Limits, least_recently_used
from reference.resident import (
    LOAD_RETRY_AFTER,
    LOAD_RETRY_AT_MOST,
    Candidate,
    Slot,
    Supply,
    begin_request,
    end_request,
    hold,
)
from tests.reference.harness import ALLOWANCE, await_


class Content:
    """What a load gives; it can be watched."""

    def __init__(self, path: str) -> None:
        self.path = path


class Surroundings:
    """What a slot needs: `offered` is what may be loaded, `broken` the paths that cannot."""

    def __init__(self, *offered: Candidate) -> None:
        self.offered = list(offered)
        self.broken: set[str] = set()
        self.loads: list[str] = []
        self.reports: list[tuple[int, str | None]] = []
        self.on_load: Callable[[], object] = lambda: None
        self.asked: list[tuple[str, str, int]] = []
        self.supply = Supply(self.candidates, self.load, self.report)

    def candidates(self, name: str, label: str, stamp: int) -> list[Candidate]:
        """Lease what may be loaded."""
        self.asked.append((name, label, stamp))
        return list(self.offered)

    def load(self, name: str, path: str) -> Any:
        """Load one path."""
        assert name == "m"
        self.loads.append(path)
        self.on_load()
        if path in self.broken:
            raise ValueError(path)
        return Content(path)

    def report(self, slot: Slot, candidate: Candidate, started: float, failure: str | None) -> None:
        """Take in an outcome."""
        assert slot.name == "m"
        assert started <= resident.time.monotonic()
        self.reports.append((candidate.revision, failure))

    def released(self) -> list[int]:
        """Return the revisions whose lease ended since the last call."""
        queue = self.supply.released
        return [queue.get_nowait() for _ in range(queue.qsize())]  # type: ignore[misc]

    def slot(self, stamp: int) -> Slot:
        """Make a slot for the version `1`."""
        return Slot("m", "1", stamp, self.supply)


OLD, NEW = Candidate(10, 1, "old"), Candidate(20, 2, "new")


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
    together = threading.Barrier(4)

    def ask() -> object:
        together.wait()
        return slot.get()

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
    while delays[-1] < LOAD_RETRY_AT_MOST:
        clock[0] += delays[-1] - 1
        with pytest.raises(LoadError):
            slot.get()
        clock[0] += 1
        with pytest.raises(LoadError):
            slot.get()
        delays.append(slot.failure.delay)
        assert slot.failure.retry_at == clock[0] + delays[-1]
    assert delays == [60.0, 120.0, 240.0, 480.0, 960.0, 1920.0, 3600.0]
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


class FakeModels:
    """The models of a process, as eviction sees them."""

    def __init__(self, around: Surroundings, count: int) -> None:
        self.supply = around.supply
        self.retries = 0
        self.failures = 0
        self._slots = [Slot("m", str(number), 2, around.supply) for number in range(count)]

    def slots(self) -> list[Slot]:
        """Return all slots."""
        return self._slots

    def retry_failed(self) -> None:
        """Count, and fail as often as `failures` says."""
        self.retries += 1
        if self.failures:
            self.failures -= 1
            raise RuntimeError("a run that fails")


class FakeLink:
    """A keeper that holds every version on disk and notes what it is told."""

    process = "7"

    def __init__(self, on_disk: list[tuple[str, str]]) -> None:
        self.there = on_disk
        self.dropped: list[list[tuple[str, str]]] = []
        self.closed: list[tuple[list[int], str]] = []

    def call(self, name: str, *arguments: Any) -> Any:
        """Answer one call."""
        if name == "on_disk":
            return self.there
        if name == "drop":
            self.dropped.append(arguments[0])
        if name == "close":
            self.closed.append(arguments)  # type: ignore[arg-type]
        return None


def evicting(count: int, limits: Limits | None) -> tuple[list[Slot], FakeLink, Eviction, FakeModels]:
    """Make the eviction of a process in which so many versions are loaded, version 0 first."""
    around = Surroundings(NEW)
    models = FakeModels(around, count)
    link = FakeLink([("m", str(number)) for number in range(count)])
    eviction = Eviction(link, models, limits)  # type: ignore[arg-type]
    eviction.start(None)
    for slot in models.slots():
        slot.get()
    return models.slots(), link, eviction, models


def loaded(slots: list[Slot]) -> list[str]:
    """Return the labels of the versions in memory."""
    return [slot.label for slot in slots if slot.resident is not None]


def test_run_leaves_the_most_recently_used() -> None:
    """A run evicts exactly the excess of memory and disk, what was accessed longest ago first."""
    slots, link, eviction, models = evicting(5, Limits(2, 3))
    slots[0].get()
    eviction.run()
    assert loaded(slots) == ["0", "4"]
    assert link.dropped == [[("m", "1"), ("m", "2")]]
    assert models.retries == 1


def test_run_ends_the_leases_of_what_it_evicts() -> None:
    """When a run has ended the keeper knows that the files of what it evicted are not needed here."""
    _, link, eviction, _ = evicting(3, Limits(1, 3))
    eviction.run()
    assert link.closed == [([20], "7")] * 2


def test_run_at_the_limit_evicts_nothing() -> None:
    """With as many as there is room for, nothing goes, and the keeper is asked to drop nothing."""
    slots, link, eviction, _ = evicting(3, Limits(3, 3))
    eviction.run()
    assert loaded(slots) == ["0", "1", "2"]
    assert link.dropped == []


def test_what_was_never_accessed_goes_from_disk_first() -> None:
    """What is on disk and was not asked for in this process goes before what was."""
    _, link, eviction, _ = evicting(2, Limits(2, 2))
    link.there = [("m", "0"), ("other", ""), ("m", "1")]
    eviction.run()
    assert link.dropped == [[("other", "")]]


def test_run_cleans_up_where_something_was_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """Garbage is collected, and memory given back, by each run that let something go, and by no other."""
    trims: list[int] = []
    monkeypatch.setattr(eviction_module, "_trim", lambda: trims.append(1))
    slots, _, eviction, _ = evicting(2, None)
    eviction.run()
    assert trims == []
    for slot in slots:
        slot.evict()
        eviction.run()
        eviction.run()
    assert len(trims) == len(slots)


def test_runs_go_on_whatever_goes_wrong() -> None:
    """Runs follow each other by themselves, also after one that failed."""
    _, link, eviction, models = evicting(1, None)
    models.failures = 2
    eviction.start(0.01)

    def has_run_often() -> None:
        assert models.retries > 4

    await_(has_run_often, ALLOWANCE)
    assert link.closed == []


def test_run_without_limits_evicts_nothing() -> None:
    """Without a cache a run lets nothing go."""
    slots, link, eviction, _ = evicting(4, None)
    eviction.run()
    assert len(loaded(slots)) == 4
    assert link.dropped == []


@pytest.mark.parametrize(("limit", "gone"), [(0, ["0", "1", "2"]), (2, ["0"]), (3, []), (9, [])])
def test_least_recently_used(limit: int, gone: list[str]) -> None:
    """Exactly the excess has to go, the one used longest ago first."""
    slots = evicting(3, None)[0]
    assert [slot.label for slot in least_recently_used(reversed(slots), limit)] == gone
