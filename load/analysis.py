"""Analysis: what the observations of a run say, in figures; pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from load.observations import Observations
from load.popularity import Shares, shares
from load.prediction import Forecast, forecast
from load.profile import Ramp, Rate, Waves
from load.records import Kind, Rows, Verdicts, judge_rows
from load.report import Distribution, Latency, Layer, Manner, Predicted, RampPart, ResidentMemory, StepPart, WavePart
from load.residency import Excess, Residency, Run, Timeline, evicting_share, excess, residency, runs
from load.staleness import Staleness, staleness

# A run that came this soon after a model was loaded may not have seen it yet, in seconds.
_JUST_LOADED = 0.1

# Eviction that fills more than this share of all tenths of an interval does not come in runs, and neither do runs that
# are less than this share of an interval apart. Runs every interval fill a tenth; half of one leaves room for a server
# that needs two passes, or lets go of what it evicted only later.
MOST_OF_THE_TIME = 0.5
MOST_OFTEN = 0.4

# What a step of a ramp must reach of its rate, so that the server is not behind.
_KEEPS_UP = 0.95

KINDS = {
    Kind.HIT: "hit",
    Kind.DISK: "disk hit",
    Kind.COLD: "cold",
    Kind.UNTOLD: "untold",
    Kind.FAILED: "error",
}


@dataclass(frozen=True)
class LayerView:
    """One layer of the cache over the time of a run."""

    limit: int
    timeline: Timeline
    evictions: Sequence[float]
    runs: Sequence[Run]
    excess: Excess
    share: float
    measured_runs: Sequence[Run]
    forecast: Forecast | None

    @property
    def period(self) -> float | None:
        """The mean time between two runs, in seconds; None where there were fewer than three."""
        begun = [run.begun for run in self.runs]
        return (begun[-1] - begun[0]) / (len(begun) - 1) if len(begun) > 2 else None

    @property
    def mean_peak(self) -> float | None:
        """The mean of the counts just before the measured runs."""
        return sum(run.before for run in self.measured_runs) / len(self.measured_runs) if self.measured_runs else None


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
    def memory(self) -> LayerView | None:
        """Models in memory."""
        if self.residency is None:
            return None
        return self._layer(self.profile.cache.cache_size, self.residency.memory, self.residency.memory_evictions)

    @cached_property
    def disk(self) -> LayerView | None:
        """Models on disk; a local source may be its own disk layer, so that only S3 tells."""
        if self.residency is None or self.profile.trees.source != "s3":
            return None
        return self._layer(self.profile.cache.disk_cache_size, self.residency.disk, self.residency.disk_evictions)

    def _layer(self, limit: int, timeline: Timeline, evictions: Sequence[float]) -> LayerView:
        since, until = self.seen.measured_from, self.seen.lasted_until
        found = runs(evictions, timeline, self.interval)
        restored = [run.ended for run in found if self._restores(run, timeline, limit)]
        measured = [
            run
            for run in found
            if run.begun - 0.9 * self.interval >= since and run.begun <= self.seen.ended_at + self.interval
        ]
        if isinstance(self.profile.traffic, Waves):
            measured = [run for run in found if run.begun >= since and run.before > limit]
        else:
            # The last run may come when there is no traffic any more.
            measured = [run for run in measured if run.begun <= self.seen.ended_at]
        return LayerView(
            limit,
            timeline,
            evictions,
            found,
            excess(timeline, limit, since, until, restored),
            evicting_share(evictions, self.interval, since, self.seen.ended_at),
            measured,
            self.forecast(limit),
        )

    @staticmethod
    def _restores(run: Run, timeline: Timeline, limit: int) -> bool:
        before = timeline.between(run.begun - _JUST_LOADED, run.begun)
        return run.evicted >= min(before.counts) - limit

    def forecast(self, limit: int) -> Forecast | None:
        """Predict the peak of a layer; None where the formula has nothing to say, as under publications."""
        traffic, trees = self.profile.traffic, self.profile.trees
        if self.profile.publications is not None or isinstance(traffic, Ramp):
            return None
        if isinstance(traffic, Waves):
            fresh = traffic.users if traffic.models == "different" else 1
            return Forecast(limit, fresh, fresh, limit + fresh, limit + fresh, limit)
        popularity = shares(trees.models, traffic.exponent)
        explicit = traffic.explicit_versions / trees.versions
        latest = popularity * (1 - traffic.explicit_versions + explicit)
        entries = np.concatenate([latest, *([popularity * explicit] * (trees.versions - 1))])
        return forecast(entries, traffic.rate * self.interval, limit)

    def layer(self, view: LayerView | None) -> Layer | None:
        """Write a layer down."""
        if view is None:
            return None
        predicted = None
        if view.forecast is not None:
            deviation = None if view.mean_peak is None else view.mean_peak / view.forecast.peak - 1
            fills = view.forecast.fills if view.forecast.fills < 1e15 else None
            predicted = Predicted(
                peak=view.forecast.peak,
                rare_peak=view.forecast.rare_peak,
                fills_after_requests=fills,
                deviation=deviation,
            )
        return Layer(
            limit=view.limit,
            highest=view.excess.highest,
            over_peak=view.excess.peak,
            over_area=view.excess.area,
            over_seconds=view.excess.seconds,
            longest_over=view.excess.longest,
            runs=len([run for run in view.runs if run.begun >= self.seen.measured_from]),
            evicting_share=view.share,
            period=view.period,
            manner=self.manner(view),
            judgement=self.judgement(view),
            peaks=[run.before for run in view.measured_runs],
            mean_peak=view.mean_peak,
            predicted=predicted,
        )

    def manner(self, view: LayerView) -> Manner:
        """Say in a word how the server evicts."""
        if not view.evictions:
            return "never" if view.excess.longest > self.interval else "nothing to evict"
        often = view.period is not None and view.period < MOST_OFTEN * self.interval
        return "all the time" if often or view.share > MOST_OF_THE_TIME else "in runs"

    def judgement(self, view: LayerView) -> str:
        """Say in a sentence how the server evicts."""
        manner = self.manner(view)
        if manner == "never":
            return f"never evicts, {view.excess.peak} models over the limit"
        if manner == "nothing to evict":
            return "had nothing to evict"
        if manner == "all the time":
            share = f"in {view.share:.0%} of all tenths of an interval"
            return f"evicts all the time, {share}, not every {self.interval:g} s: on the path of requests?"
        every = f", {view.period:.1f} s apart" if view.period is not None else ""
        return f"evicts in runs{every}; over the limit for at most {view.excess.longest:.1f} s at a time"

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

    def waves(self) -> list[WavePart]:
        """Tell what became of each wave."""
        found: list[WavePart] = []
        starts = self.seen.waves
        if not starts:
            return found
        for at, until in zip(starts, [*starts[1:], self.seen.lasted_until], strict=True):
            own = self.rows[(self.rows["due"] >= at) & (self.rows["due"] < until)]
            view, known = self.memory, self.residency
            peak, loads, after, in_runs = 0, 0, None, None
            if view is not None and known is not None:
                part = view.timeline.between(at, until)
                peak = max(part.counts)
                loads = sum(at <= moment < until for moment, _ in known.loads)
                highest_at = part.moments[part.counts.index(peak)]
                calm = [
                    moment
                    for moment, count in zip(part.moments, part.counts, strict=True)
                    if moment >= highest_at and count <= view.limit
                ]
                if calm:
                    after = calm[0] - at
                    in_runs = sum(at <= run.begun <= calm[0] for run in view.runs)
            seconds = own["ended"] - own["due"]
            found.append(
                WavePart(
                    at=at - self.seen.begun_at,
                    requests=len(own),
                    peak=peak,
                    restored_after=after,
                    restored_in_runs=in_runs,
                    loads=loads,
                    p50=float(np.median(seconds)) if len(own) else 0.0,
                    highest=float(seconds.max()) if len(own) else 0.0,
                )
            )
        return found

    def ramp(self) -> RampPart | None:
        """Sum up the steps of a ramp, and find its knee."""
        traffic = self.profile.traffic
        if not isinstance(traffic, Ramp):
            return None
        steps: list[StepPart] = []
        begun, since = self.seen.begun_at, self.seen.measured_from
        for number in range(int(traffic.duration // traffic.step)):
            low, high = since + number * traffic.step, since + (number + 1) * traffic.step
            if high > self.seen.ended_at + 0.5:
                break
            due = self.rows[(self.rows["due"] >= low) & (self.rows["due"] < high)]
            answered = ((self.rows["ended"] >= low) & (self.rows["ended"] < high)).sum() / traffic.step
            if len(due):
                p50, p99 = (float(value) for value in np.quantile(due["ended"] - due["due"], [0.5, 0.99]))
                late = float((due["begun"] - due["due"] > self.profile.validity.late).mean())
                rate = traffic.rate_at(low + traffic.step / 2 - begun)
                steps.append(StepPart(rate=rate, answered=float(answered), p50=p50, p99=p99, late_share=late))
        good = [step for step in steps if self._is_before_knee(step, steps[0], traffic)]
        bad = [step for step in steps if step not in good]
        before = [step for step in good if not bad or step.rate < bad[0].rate]
        return RampPart(steps=steps, knee=before[-1].rate if before else None, reached=bool(bad))

    @staticmethod
    def _is_before_knee(step: StepPart, first: StepPart, traffic: Ramp) -> bool:
        return step.p99 <= traffic.knee * first.p99 and step.answered >= _KEEPS_UP * step.rate


def distribution(seconds: Sequence[float]) -> Distribution | None:
    """Sum up a distribution; None where there is nothing."""
    if not seconds:
        return None
    p50, p90, p99 = (float(value) for value in np.quantile(np.array(seconds), [0.5, 0.9, 0.99]))
    return Distribution(count=len(seconds), p50=p50, p90=p90, p99=p99, highest=max(seconds))
