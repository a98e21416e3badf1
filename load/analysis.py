"""Analysis: what the observations of a run say, in figures; pure."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from load import episodes
from load.layers import LayerView, Span
from load.observations import Observations
from load.popularity import Shares
from load.profile import Rate
from load.records import Kind, Rows, Verdicts, judge_rows
from load.report import Distribution, Latency, RampPart, ResidentMemory, WavePart
from load.residency import Residency, Timeline, residency
from load.staleness import Staleness, staleness

KINDS = {
    Kind.HIT: "hit",
    Kind.DISK: "disk hit",
    Kind.COLD: "cold",
    Kind.UNTOLD: "untold",
    Kind.FAILED: "error",
}


class Analysis:
    """Everything that the report says, derived from what was seen."""

    def __init__(self, seen: Observations) -> None:
        self.seen = seen
        self.profile = seen.profile
        self.interval = seen.opening.evict_interval
        self.names = [seen.profile.model_name(number) for number in range(seen.profile.trees.models)]

    # --- requests ---

    @cached_property
    def rows(self) -> Rows:
        """All requests."""
        return self.seen.ledger.rows()

    @cached_property
    def measured(self) -> Rows:
        """The requests that count: those due after the warm-up."""
        return self.rows[self.rows["due"] >= self.seen.measured_from]

    @cached_property
    def verdicts(self) -> Verdicts:
        """What the suite's judge says of all of them."""
        return judge_rows(self.rows, self.seen.ledger, self.seen.changes, self.names, self.seen.opening.staleness)

    @cached_property
    def late_share(self) -> float | None:
        """The share of requests that started late; None where no rate is promised."""
        if not isinstance(self.profile.traffic, Rate) or not len(self.measured):
            return None
        late = self.measured["begun"] - self.measured["due"] > self.profile.validity.late
        return float(late.mean())

    @cached_property
    def served(self) -> int | None:
        """How many requests the server's processes had served by their last answers; None where they do not say."""
        told = self.rows[self.rows["served"] > 0]
        if not len(told) or self.seen.host is not None:
            return None
        return sum(int(told["served"][told["process"] == process].max()) for process in np.unique(told["process"]))

    @cached_property
    def generator_cpu(self) -> float:
        """The highest share of a processor that any process that sends requests used, over three seconds and more."""
        highest = 0.0
        for usage in self.seen.usage.values():
            known = sorted(set(usage))
            first = 0
            for one in known:
                while first + 1 < len(known) and one.at - known[first + 1].at >= 3.0:
                    first += 1
                past = one.at - known[first].at
                if past >= 3.0 and known[first].at >= self.seen.begun_at and one.at <= self.seen.ended_at:
                    highest = max(highest, (one.seconds - known[first].seconds) / past)
        return highest

    def latencies(self) -> list[Latency]:
        """Latencies by what the answer took, from the moment at which the request was due."""
        found = []
        for kind, name in KINDS.items():
            seconds = self.seconds_of(kind)
            if len(seconds):
                p50, p90, p99, p999 = (float(value) for value in np.quantile(seconds, [0.5, 0.9, 0.99, 0.999]))
                highest = float(seconds.max())
                found.append(
                    Latency(kind=name, count=len(seconds), p50=p50, p90=p90, p99=p99, p999=p999, highest=highest)
                )
        return found

    def seconds_of(self, kind: Kind) -> Shares:
        """Give the latencies of one kind, in seconds."""
        rows = self.measured[self.measured["kind"] == kind]
        return np.asarray(rows["ended"] - rows["due"], dtype=np.float64)

    # --- the cache ---

    @cached_property
    def residency(self) -> Residency | None:
        """What was in memory and on disk; None where no witness was seen."""
        if not any(line["event"] == "loaded" for line in self.seen.journal):
            return None
        return residency(self.seen.journal, self.seen.samples, self.seen.changes)

    @cached_property
    def span(self) -> Span:
        """The time of the run."""
        seen = self.seen
        return Span(seen.begun_at, seen.measured_from, seen.ended_at, seen.lasted_until)

    @cached_property
    def memory(self) -> LayerView | None:
        """Models in memory, which the journal tells to the moment."""
        known = self.residency
        if known is None:
            return None
        return self._layer(self.profile.cache.cache_size, known.memory, known.memory_evictions, blur=0.0)

    @cached_property
    def disk(self) -> LayerView | None:
        """Models on disk, as the probe saw them; a local source may be its own disk layer, so that only S3 tells."""
        known = self.residency
        if known is None or self.profile.trees.source != "s3":
            return None
        moments = [sample["at"] for sample in self.seen.samples]
        blur = float(np.diff(moments).max()) if len(moments) > 1 else 0.0
        return self._layer(self.profile.cache.disk_cache_size, known.disk, known.disk_evictions, blur=blur)

    def _layer(self, limit: int, timeline: Timeline, evictions: Sequence[float], *, blur: float) -> LayerView:
        return LayerView(limit, timeline, evictions, blur, self.interval, self.span, self.profile)

    def resident_memory(self) -> ResidentMemory | None:
        """Resident memory, at the beginning and at its highest, and what the predicted peak of models amounts to."""
        known = [(sample["at"], sample["rss"]) for sample in self.seen.samples if sample["rss"]]
        if not known:
            return None
        start = next((rss for at, rss in reversed(known) if at <= self.seen.begun_at), known[0][1])
        predicted = None
        if self.memory is not None and self.memory.forecast is not None:
            predicted = round(start + self.memory.forecast.peak * self.profile.trees.size)
        return ResidentMemory(at_start=start, highest=max(rss for _, rss in known), predicted=predicted)

    # --- publications, waves, steps ---

    @cached_property
    def staleness(self) -> list[Staleness]:
        """How long each publication was not seen."""
        return staleness(self.seen.publications, self.rows, self.seen.ledger, self.names)

    @cached_property
    def waves(self) -> list[WavePart]:
        """What became of each wave."""
        return episodes.waves(self.seen.waves, self.rows, self.span, self.memory, self.residency)

    @cached_property
    def ramp(self) -> RampPart | None:
        """The steps of a ramp, and its knee."""
        return episodes.ramp(self.profile, self.rows, self.span)


def distribution(seconds: Sequence[float]) -> Distribution | None:
    """Sum up a distribution; None where there is nothing."""
    if not seconds:
        return None
    p50, p90, p99 = (float(value) for value in np.quantile(np.array(seconds), [0.5, 0.9, 0.99]))
    return Distribution(count=len(seconds), p50=p50, p90=p90, p99=p99, highest=max(seconds))
