"""Everything about time: how long the suite waits for what, and the one place that sleeps."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from conformance.implementation import Intervals

T = TypeVar("T")

# Seconds at patience 1. Generous on purpose: these bound hangs, and who takes longer counts as dead. One request for a
# model of VGG's size has taken 30 s, with some twenty servers on two busy cores.
START_ALLOWANCE = 60.0
ANSWER_ALLOWANCE = 60.0
STOP_ALLOWANCE = 30.0
# For each key: it may ask S3 twice, one after the other, and S3 takes a tenth of a second.
DOWNLOAD_ALLOWANCE = 0.25

# Seconds at patience 1 that deadlines have beyond what the server declares: to load, to list a key, to evict.
LOAD_ALLOWANCE = 5.0
KEY_ALLOWANCE = 0.005
RUN_ALLOWANCE = 2.0

# Between two questions: a share of the time for which it has been asked already, within these bounds.
_POLL_SHARE = 0.1
_POLL_LEAST = 0.02
_POLL_MOST = 0.5
_BETWEEN_REQUESTS = 0.01


def now() -> float:
    """Seconds on a clock that never goes back and that all processes of this machine share."""
    return time.monotonic()


def poll(condition: Callable[[], T | None], until: float) -> T | None:
    """Ask again and again until the condition gives something other than None, or until the moment `until` has passed.

    The condition is asked at least once, and once more at the end, so that a slow machine is no reason to give up.
    """
    begun = now()
    while (found := condition()) is None:
        if now() >= until:
            return condition()
        time.sleep(min(max((now() - begun) * _POLL_SHARE, _POLL_LEAST), _POLL_MOST))  # noqa: TID251 - the one place
    return found


def wait_until(moment: float) -> None:
    """Let time pass until a moment of `now`: only to show that nothing happens."""
    while (left := moment - now()) > 0:
        time.sleep(left)  # noqa: TID251 - the one place


def pause_between_requests() -> None:
    """Leave the machine to other tests for a moment: for who asks again and again while something happens."""
    wait_until(now() + _BETWEEN_REQUESTS)


def await_second() -> None:
    """Return when a second of the wall clock begins, by which file systems and S3 may tell the time of a change."""
    wait_until(now() + 1 - time.time() % 1)


@dataclass(frozen=True)
class Pace:
    """The intervals in force for one server, and what follows from them. All in seconds.

    `patience` scales what the suite allows for a slow machine; it never scales what the server declares. `keys` is the
    number of keys that are published for the server, by which scanning and loading take longer. `started` is how long
    the server took to get ready with all of that, once it is: what shows how slow it and the machine are.
    """

    intervals: Intervals
    patience: float = 1.0
    keys: int = 0
    started: float = 0.0

    @property
    def start(self) -> float:
        """How long a server may take to get ready; it may download every key first."""
        return START_ALLOWANCE * self.patience + self.download(self.keys)

    @property
    def answer(self) -> float:
        """How long a server may take to answer one request before it counts as hung, if it need not download."""
        return ANSWER_ALLOWANCE * self.patience

    def download(self, keys: int) -> float:
        """How long a server may take to download so many keys."""
        return DOWNLOAD_ALLOWANCE * keys * self.patience

    @property
    def stop(self) -> float:
        """How long a server may take to end after SIGTERM."""
        return STOP_ALLOWANCE * self.patience

    @property
    def serve(self) -> float:
        """How long after the end of a mutation its result may be missing.

        A server may begin a scan just before the mutation, and pause after each scan, which takes time itself: two bare
        intervals are too few.
        """
        scans = self.intervals.passes * (self.intervals.reload + self._scan)
        return scans + self.intervals.propagate + self.load

    @property
    def load(self) -> float:
        """How long a server may take to load what a test has published: no more than to start with everything."""
        return max(LOAD_ALLOWANCE, self.started) * self.patience

    @property
    def evict(self) -> float:
        """How long it takes until a run that begins after now has ended, when another has just begun."""
        return self.intervals.evict + 2 * self.run

    @property
    def run(self) -> float:
        """How long an eviction run may take, or be late."""
        return RUN_ALLOWANCE * self.patience

    @property
    def settle(self) -> float:
        """How long nothing may have happened before "nothing happens" is taken as shown: one more pass than needed."""
        return self.serve + self.intervals.reload + self._scan

    @property
    def _scan(self) -> float:
        return KEY_ALLOWANCE * self.keys * self.patience

    def explain_serve(self) -> str:
        """Write the deadline as a formula with its numbers, for the failure text."""
        intervals = self.intervals
        return (
            f"{self.serve:g} s = {intervals.passes} passes x ({intervals.reload:g} s reload interval"
            f" + {self._scan:g} s for a scan of {self.keys} keys) + {intervals.propagate:g} s to propagate"
            f" + {self.explain_load()}"
        )

    def explain_load(self) -> str:
        """Write what is allowed for loading, and why so much."""
        why = f", as the start took {self.started:.1f} s" if self.started > LOAD_ALLOWANCE else ""
        return f"{self.load:.3g} s allowed for loading{why}"
