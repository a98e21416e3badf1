"""Servers that evict otherwise than the reference."""

from __future__ import annotations

import threading
import time

from reference.eviction import Eviction
from reference.resident import Resident, Slot
from tests.faults.registry import variation


@variation("recency-by-the-clock", allowed="how accesses are put in order is a matter of the server")
def _recency_by_the_clock() -> None:
    """The last access to a model is a time, and not a number."""
    get = Slot.get

    def timed(self: Slot) -> Resident:
        found = get(self)
        self.used = time.monotonic_ns()
        return found

    Slot.get = timed


@variation("slow-evictions", allowed="a run takes its own time")
def _slow_evictions() -> None:
    """An eviction run pauses before each model that it lets go from memory."""
    evict = Slot.evict

    def slowly(self: Slot) -> None:
        threading.Event().wait(0.03)
        evict(self)

    Slot.evict = slowly


@variation("pauses-after-a-run", allowed="the period may count from the end of a run", clock="timed")
def _pauses_after_a_run() -> None:
    """The next eviction run begins an interval after the last one ended."""

    def periodically(self: Eviction, interval: float) -> None:
        while True:
            threading.Event().wait(interval)
            self.run()

    Eviction._run_periodically = periodically
