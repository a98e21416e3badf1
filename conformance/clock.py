"""The clocks of a run: who decides when a server looks at its source and evicts; README.md, "Two clocks"."""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections.abc import Callable
from math import inf
from typing import Protocol

from conformance import timing
from conformance.timing import Pace


class Clock(Protocol):
    """How to wait for what a server does about a change. Moments are those of `timing.now`."""

    def catch_up(self, changed_at: float) -> float:
        """Give the moment by which a change that ended at `changed_at` has to be served, having done one's part."""
        ...

    def deadline(self, changed_at: float) -> float:
        """Give the moment by which such a change has to be served as things stand, and do nothing about it."""
        ...

    def settle(self, changed_at: float) -> None:
        """Return when a server that does nothing about a change has been shown to do nothing."""
        ...

    def looks_since(self, moment: float) -> int:
        """Give at how many of its looks at its source the server may have been since a moment, at the most."""
        ...

    def await_eviction(self, until: Callable[[], bool] | None = None) -> None:
        """Return when an eviction run that began after this call has ended, or `until` shows that one has."""
        ...

    def explain(self) -> str:
        """Write the deadline of `catch_up` as a formula with its numbers, for the text of a failure."""
        ...


class Timed:
    """The server works by itself, and time has to pass."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace

    def catch_up(self, changed_at: float) -> float:
        """Give the deadline, which needs nothing done."""
        return self.deadline(changed_at)

    def deadline(self, changed_at: float) -> float:
        """Give the deadline that follows from the intervals."""
        return changed_at + self._pace.serve

    def settle(self, changed_at: float) -> None:
        """Wait for one pass more than the server needs."""
        timing.wait_until(changed_at + self._pace.settle)

    def looks_since(self, moment: float) -> int:
        """Count those that the interval leaves room for, the first and the last in part."""
        return int((timing.now() - moment) / self._pace.intervals.reload) + 2

    def await_eviction(self, until: Callable[[], bool] | None = None) -> None:
        """Wait as long as it takes until the next run has ended, or until the server shows that it has."""
        end = timing.now() + self._pace.evict
        if until is None:
            timing.wait_until(end)
        else:
            timing.poll(lambda: until() or None, until=end)

    def explain(self) -> str:
        """Write the deadline as `Pace` has it."""
        return self._pace.explain_serve()


class Driven:
    """The server works when it is told to; many tests may tell it at once, and then share what it does.

    `reload` and `evict` make the calls, which return when every process of the server serves the result.
    """

    def __init__(self, pace: Pace, reload: Callable[[], None], evict: Callable[[], None]) -> None:
        self._pace = pace
        self._reload = reload
        self._evict = evict
        # When each look began, and when it was acknowledged; one after the other.
        self._looks: list[tuple[float, float]] = []
        self._turn = threading.Lock()

    @property
    def _needed(self) -> int:
        # The first of the passes that a polling server takes is the one under way when the change ends.
        return max(1, self._pace.intervals.passes - 1)

    def catch_up(self, changed_at: float) -> float:
        """Make the server look as often as it needs; the load allowance is all that is left to wait for."""
        self._look(changed_at, self._needed)
        return timing.now() + self._pace.load

    def deadline(self, changed_at: float) -> float:
        """Give the end of the last look that was needed; for ever, if the server has not been told to look so often."""
        first = bisect_right(self._looks, changed_at, key=lambda look: look[0])
        last = first + self._needed - 1
        return self._looks[last][1] if last < len(self._looks) else inf

    def settle(self, changed_at: float) -> None:
        """Make the server look once more than it needs."""
        self._look(changed_at, self._needed + 1)

    def looks_since(self, moment: float) -> int:
        """Count those that ended since then, and one that may be under way."""
        return sum(ended >= moment for _, ended in self._looks) + 1

    def await_eviction(self, until: Callable[[], bool] | None = None) -> None:  # noqa: ARG002 - the call has ended it
        """Make the server evict."""
        self._evict()

    def explain(self) -> str:
        """Write what was done and what is allowed."""
        return f"{self._needed} acknowledged reload and {self._pace.explain_load()}"

    def _look(self, changed_at: float, times: int) -> None:
        for _ in range(times):
            with self._turn:
                if sum(begun > changed_at for begun, _ in self._looks[-times:]) >= times:
                    return
                begun = timing.now()
                self._reload()
                self._looks.append((begun, timing.now()))
