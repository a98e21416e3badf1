"""The history of a deployment: what happened when, for the timeline of a failure."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Sequence
from dataclasses import dataclass

from conformance import timing


@dataclass(frozen=True)
class Event:
    """Something that the suite did or saw; `begun` and `ended` are moments of `timing.now`.

    `about` names the model that it concerns; None concerns all of them.
    """

    begun: float
    ended: float
    text: str
    about: str | None


class History:
    """Events in the order in which they ended; may be written by several threads."""

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._lock = threading.Lock()

    def note(self, text: str, *, since: float | None = None, about: str | None = None) -> None:
        """Note what has just ended; `since` is the moment at which it began, if it took any time."""
        ended = timing.now()
        with self._lock:
            self._events.append(Event(ended if since is None else since, ended, text, about))

    @property
    def begun(self) -> float:
        """The moment at which the first event began; that of the question before there is one."""
        with self._lock:
            return self._events[0].begun if self._events else timing.now()

    def timeline(self, models: set[str], most: int = 25) -> list[str]:
        """Write the events that concern these models; the last `most` lines."""
        with self._lock:
            events = list(self._events)
        return self.lines([event for event in events if event.about is None or event.about in models], most)

    def everything(self) -> list[str]:
        """Write all events."""
        with self._lock:
            events = list(self._events)
        return self.lines(events, len(events))

    def lines(self, events: Sequence[Event], most: int) -> list[str]:
        """Write events, also such as others saw, with seconds since the first one of this history.

        Equal events in a row, as of a question asked again and again, are one line; the last `most` lines are given.
        """
        zero = self.begun
        lines = []
        for text, run in itertools.groupby(events, key=lambda event: event.text):
            first, *others = run
            repeated = f" ({len(others) + 1} times, until {others[-1].ended - zero:.3f} s)" if others else ""
            lines.append(f"{first.begun - zero:8.3f} s  {text}{repeated}")
        if len(lines) > most:
            lines[:-most] = [f"({len(lines) - most} earlier lines left out)"]
        return lines
