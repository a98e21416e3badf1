"""Models in memory: one slot per version, at most one resident revision in it, loaded once however many ask for it."""

import itertools
import queue
import threading
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from reference.errors import LoadError

_ACCESSES = itertools.count(1)

LOAD_RETRY_AFTER = 60.0
"""Seconds until content that failed to load is tried again; doubled with each failure."""
LOAD_RETRY_AT_MOST = 3600.0


class Candidate(NamedTuple):
    """A revision on disk that a slot may load."""

    revision: int
    stamp: int
    path: str


class Resident:
    """One loaded revision. Whoever holds it, holds the lease of its files too."""

    __slots__ = ("__weakref__", "content", "stamp")

    def __init__(self, content: Any, stamp: int) -> None:
        self.content = content
        self.stamp = stamp


@dataclass(slots=True)
class Failure:
    """Why content could not be loaded, and when it is tried again."""

    stamp: int
    reason: str
    retry_at: float
    """On the monotonic clock, in seconds."""
    delay: float
    hopeless: bool = False
    """No older content could take its place."""


class Supply:
    """What a slot needs from its surroundings."""

    def __init__(
        self,
        candidates: Callable[[str, str, int], list[Candidate]],
        load: Callable[[str, str], Any],
        report: Callable[["Slot", Candidate, float, str | None], None],
    ) -> None:
        self.candidates = candidates
        """Lease the revisions of (model, version, stamp) that may be loaded, newest first; raises MovedError when there
        is other content by now than that of the stamp."""
        self.load = load
        """Load (model, path); raises whatever the framework or the predictor raises."""
        self.report = report
        """Tell the outcome of a load: what, when it started (monotonic), and why it failed or None."""
        self.released: queue.SimpleQueue[int | threading.Event] = queue.SimpleQueue()
        """Revisions whose lease is over, written by finalizers in whatever thread they run; an event is set when all
        before it are done."""


class _Request(threading.local):
    """What the request in this thread holds until it ends; None outside a request."""

    residents: list[Resident] | None = None


_REQUEST = _Request()


def begin_request() -> None:
    """Keep what `hold` is given in this thread until `end_request`."""
    _REQUEST.residents = []


def end_request() -> None:
    """Let go of what the request in this thread held."""
    _REQUEST.residents = None


def hold(resident: Resident) -> None:
    """Keep a resident, and so the files of its revision, until the request in this thread ends."""
    if _REQUEST.residents is not None:
        _REQUEST.residents.append(resident)


class Slot:
    """The place of one version of one model in the memory of this process."""

    __slots__ = ("_lock", "_supply", "failure", "label", "name", "resident", "stamp", "used")

    def __init__(self, name: str, label: str, stamp: int, supply: Supply) -> None:
        self.name = name
        self.label = label
        self.stamp = stamp
        self.resident: Resident | None = None
        self.failure: Failure | None = None
        self.used = 0
        """Number of the last access, over all slots; 0 before the first."""
        self._supply = supply
        self._lock = threading.Lock()

    @property
    def servable(self) -> bool:
        """Whether nothing is known that keeps it from being served."""
        return self.resident is not None or self.failure is None

    def is_behind(self, stamp: int) -> bool:
        """Whether content of this stamp has other content to replace: what is resident, failed to load, or is loaded.

        A load that begins after this was False begins with that content, or finds that it has moved.
        """
        if self.stamp == stamp:
            return False
        # In this order: a load that ends meanwhile has left something.
        is_loading, resident = self._lock.locked(), self.resident
        if resident is not None:
            return resident.stamp != stamp  # what was loaded ahead of the catalog is there already
        return is_loading or self.failure is not None

    def get(self) -> Resident:
        """Return what is resident, loading it first if nothing is; raises LoadError.

        No lock is taken when it is resident.
        """
        self.used = next(_ACCESSES)
        return self.resident or self._load_once()

    def refresh(self) -> None:
        """Load content that is newer than the resident, or that failed; what is resident serves meanwhile."""
        with self._lock:
            if self.resident is None or self.resident.stamp != self.stamp:
                self._load()

    def retry_due(self) -> bool:
        """Whether content that failed should be tried again now."""
        return self.failure is not None and time.monotonic() >= self.failure.retry_at

    def evict(self) -> None:
        """Let go of what is resident; requests that hold it finish with it."""
        self.resident = None

    def anew(self, stamp: int) -> "Slot":
        """Return an empty slot for other content of the version, which no load that began in this one can fill."""
        slot = Slot(self.name, self.label, stamp, self._supply)
        slot.used = self.used
        return slot

    def _load_once(self) -> Resident:
        with self._lock:
            resident = self.resident
            if resident is None:
                if self.failure is not None and self.failure.hopeless and self._waiting(self.failure.stamp):
                    raise LoadError(self.failure.reason)
                resident = self._load()
            if resident is None:
                raise LoadError(self.failure.reason if self.failure else "it was removed")
            return resident

    def _waiting(self, stamp: int) -> bool:
        failure = self.failure
        return failure is not None and failure.stamp == stamp and time.monotonic() < failure.retry_at

    def _load(self) -> Resident | None:
        """Make the first candidate that loads resident, unless it is already; return what is resident then."""
        candidates = self._supply.candidates(self.name, self.label, self.stamp)
        newest = candidates[0].stamp if candidates else None
        try:
            while candidates:
                candidate = candidates[0]
                if self.resident is not None and self.resident.stamp == candidate.stamp:
                    return self.resident
                loaded = None if self._waiting(candidate.stamp) else self._try(candidate, candidate.stamp == newest)
                if loaded is not None:
                    del candidates[0]  # its lease lives on in the resident
                    return loaded
                self._supply.released.put(candidates.pop(0).revision)
            if self.failure is not None:
                self.failure.hopeless = self.resident is None
            return self.resident
        finally:
            for candidate in candidates:
                self._supply.released.put(candidate.revision)

    def _try(self, candidate: Candidate, newest: bool) -> Resident | None:
        started = time.monotonic()
        try:
            content = self._supply.load(self.name, candidate.path)
        except Exception as error:  # noqa: BLE001 - the code of a predictor or a framework may raise anything
            reason = f"{type(error).__name__}: {error}"
            if newest:
                self._remember(candidate.stamp, reason)
            self._supply.report(self, candidate, started, reason)
            return None
        resident = Resident(content, candidate.stamp)
        weakref.finalize(resident, self._supply.released.put, candidate.revision).atexit = False
        if newest:
            self.failure = None
        self.resident = resident
        self._supply.report(self, candidate, started, None)
        return resident

    def _remember(self, stamp: int, reason: str) -> None:
        again = self.failure is not None and self.failure.stamp == stamp
        delay = min(self.failure.delay * 2, LOAD_RETRY_AT_MOST) if again and self.failure else LOAD_RETRY_AFTER
        self.failure = Failure(stamp, reason, time.monotonic() + delay, delay)
