"""Keeps memory and disk within their limits, outside the request path, and gives memory back to the system."""

import ctypes
import gc
import itertools
import threading
import time
from collections.abc import Iterable
from typing import NamedTuple

from reference import log, metrics
from reference.errors import UnavailableError
from reference.link import Link
from reference.models import Models
from reference.resident import Slot


class Limits(NamedTuple):
    """How many models may be in memory and on disk after an eviction run."""

    memory: int
    disk: int


def least_recently_used(slots: Iterable[Slot], limit: int) -> list[Slot]:
    """Return those that have to go so that `limit` stay."""
    oldest_first = sorted(slots, key=lambda slot: slot.used)
    return oldest_first[: max(0, len(oldest_first) - limit)]


class Eviction:
    """The eviction runs of one process; without limits they only clean up after what was replaced or removed."""

    def __init__(self, link: Link, models: Models, limits: Limits | None) -> None:
        self._link = link
        self._models = models
        self._limits = limits
        self._one_at_a_time = threading.Lock()
        self._releases = 0
        self._cleaned = 0
        if limits is not None:
            metrics.LIMIT.labels("memory").set(limits.memory)
            metrics.LIMIT.labels("disk").set(limits.disk)

    def start(self, interval: float | None) -> None:
        """Release leases as they end, and run every `interval` seconds; None: only when `run` is called."""
        threading.Thread(target=self._release, name="release", daemon=True).start()
        if interval is not None:
            threading.Thread(target=self._run_periodically, args=(interval,), name="evict", daemon=True).start()

    def run(self) -> None:
        """Evict exactly the excess, least recently used first; return when it is gone from memory and disk."""
        with self._one_at_a_time:
            started = time.monotonic()
            self._models.retry_failed()
            loaded = [slot for slot in self._models.slots() if slot.resident is not None]
            victims = least_recently_used(loaded, self._limits.memory) if self._limits else []
            for slot in victims:
                slot.evict()
            self._clean_up()
            dropped = self._shrink_disk(self._limits.disk) if self._limits else 0
            seconds = time.monotonic() - started
            metrics.collect()
            metrics.EVICTION_RUNS.inc()
            metrics.EVICTION_SECONDS.inc(seconds)
            metrics.IN_MEMORY.set(len(loaded) - len(victims))
            if victims or dropped:
                metrics.EVICTIONS.labels("memory").inc(len(victims))
                metrics.EVICTIONS.labels("disk").inc(dropped)
                log.event("eviction", memory=len(victims), disk=dropped, seconds=round(seconds, 4))

    def _shrink_disk(self, limit: int) -> int:
        used = {(slot.name, slot.label): slot.used for slot in self._models.slots()}
        there = sorted(self._link.call("on_disk"), key=lambda key: used.get(key, 0))
        victims = there[: max(0, len(there) - limit)]
        if victims:
            self._link.call("drop", victims)
        return len(victims)

    def _clean_up(self) -> None:
        """Let go of what only reference cycles keep, end its leases, and hand free memory back."""
        reached = threading.Event()
        self._models.supply.released.put(reached)
        reached.wait()
        if self._releases == self._cleaned:
            return
        self._cleaned = self._releases
        gc.collect()
        _trim()

    def _release(self) -> None:
        released = self._models.supply.released
        while True:
            item = released.get()
            if isinstance(item, threading.Event):
                item.set()
                continue
            self._releases += 1
            try:
                self._link.call("close", [item], self._link.process)
            except UnavailableError as error:
                log.failure("release_failed", reason=str(error))

    def _run_periodically(self, interval: float) -> None:
        first = time.monotonic()
        clock = threading.Event()
        for number in itertools.count(1):
            # From the start, not from the end of the last run: the period must not drift.
            clock.wait(max(0.0, first + number * interval - time.monotonic()))
            try:
                self.run()
            except Exception:  # noqa: BLE001 - the next run gets its chance whatever went wrong in this one
                log.failure("eviction_failed", exc_info=True)


def _trim() -> None:
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc keeps freed memory of released models otherwise
    if trim is not None:
        trim(0)
