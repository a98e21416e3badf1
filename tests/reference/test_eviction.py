"""Eviction by itself, without processes."""

import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import REGISTRY

from reference import eviction as eviction_module
from reference.errors import UnavailableError
from reference.eviction import Eviction, Limits, least_recently_used
from reference.resident import Slot
from tests.reference.harness import ALLOWANCE, await_
from tests.reference.surroundings import NEW, Surroundings


class Enough(BaseException):
    """Ends what would go on for ever."""


class FakeModels:
    """The models of a process, as eviction sees them; `on_run` is called by each run."""

    def __init__(self, around: Surroundings, count: int) -> None:
        self.supply = around.supply
        self.retries = 0
        self.on_run: Callable[[], object] = lambda: None
        self._slots = [Slot("m", str(number), 2, around.supply) for number in range(count)]

    def slots(self) -> list[Slot]:
        """Return all slots."""
        return self._slots

    def retry_failed(self) -> None:
        """Count."""
        self.retries += 1
        self.on_run()


class FakeLink:
    """A keeper that holds every version on disk and notes what it is told; `on_call` is called by each call."""

    process = "7"

    def __init__(self, on_disk: list[tuple[str, str]]) -> None:
        self.there = on_disk
        self.dropped: list[list[tuple[str, str]]] = []
        self.closed: list[tuple[list[int], str]] = []
        self.on_call: Callable[[], object] = lambda: None

    def call(self, name: str, *arguments: Any) -> Any:
        """Answer one call."""
        if name == "drop":
            self.dropped.append(arguments[0])
        if name == "close":
            self.closed.append(arguments)
        self.on_call()
        return self.there if name == "on_disk" else None


class Passing:
    """The time and the threads of eviction: to wait takes no time but moves `now`, and no thread runs by itself."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.started: list[threading.Thread] = []
        passing = self

        class Thread(threading.Thread):
            def start(self) -> None:
                passing.started.append(self)

        class Event(threading.Event):
            def wait(self, timeout: float | None = None) -> bool:
                passing.now += timeout or 0.0
                return True

        self.threading = SimpleNamespace(Event=Event, Lock=threading.Lock, Thread=Thread)
        self.time = SimpleNamespace(monotonic=lambda: self.now)

    def spend(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds


@pytest.fixture
def passing(monkeypatch: pytest.MonkeyPatch) -> Passing:
    """Take time and threads from eviction."""
    made = Passing()
    monkeypatch.setattr(eviction_module, "threading", made.threading)
    monkeypatch.setattr(eviction_module, "time", made.time)
    return made


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    """Collect what eviction logs."""
    lines: list[tuple[str, dict[str, Any]]] = []

    def note(name: str, **fields: Any) -> None:
        lines.append((name, fields))

    monkeypatch.setattr(eviction_module, "log", SimpleNamespace(event=note, failure=note))
    return lines


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


def metric(name: str, **labels: str) -> float:
    """Return the value of a metric in this process."""
    return REGISTRY.get_sample_value(f"reference_{name}", labels) or 0.0


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
    """What is on disk and was not asked for in this process goes before what was, be it by the first access of all."""
    slots, link, eviction, _ = evicting(2, Limits(2, 2))
    slots[0].used, slots[1].used = 1, 2
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


def test_free_memory_goes_back_to_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    """All that glibc keeps of the memory of an evicted model is trimmed, and another C library is no error."""
    trims: list[int] = []
    glibc, another = SimpleNamespace(malloc_trim=trims.append), SimpleNamespace()
    slots, _, eviction, _ = evicting(1, Limits(0, 1))
    for library in (glibc, another):
        process = {None: library}
        monkeypatch.setattr(eviction_module, "ctypes", SimpleNamespace(CDLL=process.__getitem__))
        slots[0].get()
        eviction.run()
        assert trims == [0]


def test_run_without_limits_evicts_nothing() -> None:
    """Without a cache a run lets nothing go."""
    slots, link, eviction, _ = evicting(4, None)
    eviction.run()
    assert len(loaded(slots)) == 4
    assert link.dropped == []


@pytest.mark.parametrize(
    ("limits", "memory", "disk"),
    [(Limits(2, 4), 3, 1), (Limits(2, 5), 3, 0), (Limits(5, 4), 0, 1), (Limits(5, 5), 0, 0), (None, 0, 0)],
)
def test_run_is_counted(
    limits: Limits | None, memory: int, disk: int, passing: Passing, logged: list[tuple[str, dict[str, Any]]]
) -> None:
    """Metrics tell of each run, of its seconds and of what went from where; the log only of runs that evict."""
    _, _, eviction, models = evicting(5, limits)
    models.on_run = lambda: passing.spend(1.23456)
    runs, seconds = metric("eviction_runs_total"), metric("eviction_seconds_total")
    from_memory, from_disk = metric("evictions_total", layer="memory"), metric("evictions_total", layer="disk")
    eviction.run()
    assert metric("eviction_runs_total") == runs + 1
    assert metric("eviction_seconds_total") == pytest.approx(seconds + 1.23456)
    assert metric("evictions_total", layer="memory") == from_memory + memory
    assert metric("evictions_total", layer="disk") == from_disk + disk
    assert metric("models_in_memory") == 5 - memory
    assert logged == ([("eviction", {"memory": memory, "disk": disk, "seconds": 1.2346})] if memory or disk else [])
    if limits is not None:
        assert (metric("cache_limit", layer="memory"), metric("cache_limit", layer="disk")) == limits


def test_threads_end_with_the_process(passing: Passing) -> None:
    """Neither the thread that releases leases nor the one that runs eviction keeps a process from ending."""
    eviction = Eviction(FakeLink([]), FakeModels(Surroundings(), 0), None)  # type: ignore[arg-type]
    eviction.start(10.0)
    assert [(thread.name, thread.daemon) for thread in passing.started] == [("release", True), ("evict", True)]


def test_runs_keep_their_period(passing: Passing, logged: list[tuple[str, dict[str, Any]]]) -> None:
    """Runs start at multiples of the interval, however long each takes and whether it fails; a late one at once."""
    models = FakeModels(Surroundings(), 0)
    eviction = Eviction(FakeLink([]), models, None)  # type: ignore[arg-type]
    eviction.start(10.0)
    began: list[float] = []

    def run() -> None:
        began.append(passing.now)
        number = len(began)
        if number == 3:
            raise RuntimeError
        if number == 5:
            raise Enough
        passing.spend({1: 4.0, 2: 9.5, 4: 25.0}[number])

    models.on_run = run
    with pytest.raises(Enough):
        passing.started[-1].run()
    assert began == [1010.0, 1020.0, 1030.0, 1040.0, 1065.0]
    assert logged == [("eviction_failed", {"exc_info": True})]


def test_lease_that_cannot_be_ended_holds_up_no_other(
    passing: Passing, logged: list[tuple[str, dict[str, Any]]]
) -> None:
    """While the keeper does not answer, each lease that ends is reported as such and the next one is told to it."""
    link, models = FakeLink([]), FakeModels(Surroundings(), 0)
    eviction = Eviction(link, models, None)  # type: ignore[arg-type]
    eviction.start(None)
    for revision in (1, 2, 3):
        models.supply.released.put(revision)
    outcomes = iter([UnavailableError("away"), UnavailableError("away"), Enough()])

    def answer() -> None:
        raise next(outcomes)

    link.on_call = answer
    with pytest.raises(Enough):
        passing.started[0].run()
    assert link.closed == [([1], "7"), ([2], "7"), ([3], "7")]
    assert logged == [("release_failed", {"reason": "away"})] * 2


def test_runs_go_on_whatever_goes_wrong() -> None:
    """Runs follow each other by themselves, also after one that failed."""
    _, link, eviction, models = evicting(1, None)

    def run() -> None:
        if models.retries <= 2:
            raise RuntimeError("a run that fails")
        if models.retries == 5:
            threading.Event().wait()  # no later test shall meet these runs

    models.on_run = run
    eviction.start(0.01)

    def has_run_often() -> None:
        assert models.retries == 5

    await_(has_run_often, ALLOWANCE)
    assert link.closed == []


@pytest.mark.parametrize(("limit", "gone"), [(0, ["0", "1", "2"]), (2, ["0"]), (3, []), (9, [])])
def test_least_recently_used(limit: int, gone: list[str]) -> None:
    """Exactly the excess has to go, the one used longest ago first."""
    slots = evicting(3, None)[0]
    assert [slot.label for slot in least_recently_used(reversed(slots), limit)] == gone
