"""Residency: how many models were in memory and on disk when, and when what was evicted; pure."""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from conformance.source_states import Change

Entry = tuple[str, str]
"""A version of a model: what the cache counts."""


@dataclass(frozen=True)
class Timeline:
    """A count over time: `counts[i]` holds from `moments[i]` on."""

    moments: Sequence[float]
    counts: Sequence[int]

    @classmethod
    def of(cls, steps: Iterable[tuple[float, int]]) -> Timeline:
        """Add up steps, such as +1 and -1, that happen at moments."""
        moments: list[float] = []
        counts: list[int] = []
        count = 0
        for moment, step in sorted(steps):
            count += step
            if moments and moments[-1] == moment:
                counts[-1] = count
            else:
                moments.append(moment)
                counts.append(count)
        return cls(moments, counts)

    def at(self, moment: float) -> int:
        """Give the count at a moment, steps at that moment included."""
        place = bisect.bisect_right(self.moments, moment)
        return self.counts[place - 1] if place else 0

    def before(self, moment: float) -> int:
        """Give the count just before a moment."""
        place = bisect.bisect_left(self.moments, moment)
        return self.counts[place - 1] if place else 0

    def between(self, since: float, until: float) -> Timeline:
        """Cut out a part; it begins with the count at `since`."""
        first, last = bisect.bisect_right(self.moments, since), bisect.bisect_left(self.moments, until)
        return Timeline([since, *self.moments[first:last]], [self.at(since), *self.counts[first:last]])


@dataclass(frozen=True)
class Excess:
    """How far a count was over its limit.

    `peak` and `highest` are models, over the limit and in all; `area` is models times seconds; `seconds` are those over
    the limit, `longest` the longest stretch of them.
    """

    highest: int
    peak: int
    area: float
    seconds: float
    longest: float


def excess(timeline: Timeline, limit: int, since: float, until: float, restored: Sequence[float] = ()) -> Excess:
    """Measure a count against its limit within a time.

    A stretch over the limit also ends at the moments `restored`, of runs that evicted all of the excess that they could
    know of: a model may be loaded in the very moment of a run, so that the count never comes down to the limit.
    """
    part = timeline.between(since, until)
    ends = [*part.moments[1:], until]
    area = seconds = longest = stretch = 0.0
    for moment, end, count in zip(part.moments, ends, part.counts, strict=True):
        if count > limit:
            area += (count - limit) * (end - moment)
            seconds += end - moment
            broken = bisect.bisect_left(restored, moment) < bisect.bisect_left(restored, end)
            stretch = end - moment if broken else stretch + end - moment
            longest = max(longest, stretch)
        else:
            stretch = 0.0
    highest = max(part.counts)
    return Excess(highest, max(0, highest - limit), area, seconds, longest)


@dataclass(frozen=True)
class Run:
    """One eviction run: what was let go of shortly one after the other, and the counts just before and after."""

    begun: float
    ended: float
    evicted: int
    before: int
    after: int


def runs(falls: Sequence[float], timeline: Timeline, interval: float) -> list[Run]:
    """Tell eviction runs apart: evictions less than a tenth of the interval after one another are one run."""
    groups: list[list[float]] = []
    for moment in sorted(falls):
        if groups and moment - groups[-1][-1] < interval / 10:
            groups[-1].append(moment)
        else:
            groups.append([moment])
    return [Run(group[0], group[-1], len(group), timeline.before(group[0]), timeline.at(group[-1])) for group in groups]


def evicting_share(falls: Sequence[float], interval: float, since: float, until: float) -> float:
    """Give the share of all tenths of the interval in which something was evicted.

    About a tenth where eviction comes in runs; near 1 where it goes on all the time, as on the request path.
    """
    tenth = interval / 10
    slots = {int((moment - since) / tenth) for moment in falls if since <= moment < until}
    return min(1.0, len(slots) / max(1.0, (until - since) / tenth))


@dataclass(frozen=True)
class Residency:
    """What was in memory and on disk, in models, and the moments of evictions from both; `loads` are by entry."""

    memory: Timeline
    disk: Timeline
    memory_evictions: Sequence[float]
    disk_evictions: Sequence[float]
    loads: Sequence[tuple[float, Entry | None]]


class _History:
    """What the source held when, by model."""

    def __init__(self, changes: Iterable[Change]) -> None:
        self._changes: dict[str, list[Change]] = {}
        self.owners: dict[str, Entry] = {}
        for change in sorted(changes, key=lambda change: change.ended):
            self._changes.setdefault(change.model, []).append(change)
            for version, tokens in change.versions.items():
                self.owners |= dict.fromkeys(tokens, (change.model, version))

    def entry(self, tokens: frozenset[str]) -> Entry | None:
        """Tell which version of which model carries these tokens."""
        return next((self.owners[token] for token in tokens if token in self.owners), None)

    def is_current(self, entry: Entry | None, tokens: frozenset[str], moment: float) -> bool:
        """Whether the source held just this at a moment, so that nothing but eviction is a reason to let go of it."""
        if entry is None:
            return False
        model, version = entry
        known = self._changes[model]
        place = bisect.bisect_right(known, moment, key=lambda change: change.begun)
        return place > 0 and known[place - 1].versions.get(version) == tokens


def residency(
    journal: Iterable[Mapping[str, Any]], samples: Sequence[Mapping[str, Any]], changes: Iterable[Change]
) -> Residency:
    """Put together what the witness noted, to the moment, and what the probe saw of the disk, a few times a second."""
    history = _History(changes)
    memory: list[tuple[float, int]] = []
    memory_evictions: list[float] = []
    loads: list[tuple[float, Entry | None]] = []
    objects: dict[tuple[int, int], frozenset[str]] = {}
    on_disk: list[tuple[float, str, frozenset[str] | None]] = []
    for line in journal:
        key = (line["process"], line.get("serial", 0))
        if line["event"] == "loaded":
            objects[key] = frozenset(token for token in line["files"].values() if token)
            memory.append((line["at"], 1))
            loads.append((line["at"], history.entry(objects[key])))
            on_disk.append((line["at"], line["path"], objects[key]))
        elif line["event"] == "dropped" and key in objects:
            memory.append((line["at"], -1))
            tokens = objects.pop(key)
            if history.is_current(history.entry(tokens), tokens, line["at"]):
                memory_evictions.append(line["at"])
    seen = samples[0]["at"] if samples else 0.0
    for sample in samples:
        # Somewhere between the two looks: half way is right on average.
        on_disk.extend(((seen + sample["at"]) / 2, path, None) for path in sample["gone"])
        seen = sample["at"]
    disk, disk_evictions = _disk(on_disk, history)
    return Residency(Timeline.of(memory), disk, sorted(memory_evictions), disk_evictions, loads)


def _disk(seen: Iterable[tuple[float, str, frozenset[str] | None]], history: _History) -> tuple[Timeline, list[float]]:
    """Count models by the paths that came with a load and went."""
    held: dict[str, frozenset[str]] = {}
    entries: dict[Entry | str, int] = {}
    steps: list[tuple[float, int]] = []
    evictions: list[float] = []

    def shift(path: str, tokens: frozenset[str], by: int, moment: float) -> None:
        entry = history.entry(tokens) or path
        before = entries.get(entry, 0)
        entries[entry] = before + by
        if bool(before) != bool(before + by):
            steps.append((moment, by))

    for moment, path, tokens in sorted(seen, key=lambda event: event[0]):
        if path in held:
            before = held.pop(path)
            shift(path, before, -1, moment)
            if tokens is None and history.is_current(history.entry(before), before, moment):
                evictions.append(moment)
        if tokens is not None:
            held[path] = tokens
            shift(path, tokens, 1, moment)
    return Timeline.of(steps), evictions
