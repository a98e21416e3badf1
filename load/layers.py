"""Layers of the cache over the time of a run: the window over the limit, and how the server evicts; pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from load.popularity import shares
from load.prediction import Forecast, forecast
from load.profile import Profile, Ramp, Waves
from load.report import Layer, Manner, Predicted
from load.residency import Excess, Run, Timeline, evicting_share, excess, runs

# Eviction that fills more than this share of all tenths of an interval does not come in runs, and neither do runs that
# are less than this share of an interval apart. Runs every interval fill a tenth; half of one leaves room for a server
# that needs two passes, or lets go of what it evicted only later.
_MOST_OF_THE_TIME = 0.5
_MOST_OFTEN = 0.4

# What is loaded while a run goes on may come too late for it: this share of an interval before its first eviction.
_JUST_LOADED = 0.1


@dataclass(frozen=True)
class Span:
    """The time of a run: its beginning, what counts of it, and the last look when the traffic had ended."""

    begun: float
    measured_from: float
    ended: float
    lasted_until: float


@dataclass(frozen=True)
class LayerView:
    """Memory or disk over the time of a run.

    `blur` is how much later than it happened, at most, an eviction was seen; `interval` that of eviction. In seconds.
    """

    limit: int
    timeline: Timeline
    evictions: Sequence[float]
    blur: float
    interval: float
    span: Span
    profile: Profile

    @cached_property
    def runs(self) -> Sequence[Run]:
        """All eviction runs."""
        return runs(self.evictions, self.timeline, self.interval)

    @cached_property
    def excess(self) -> Excess:
        """How far and how long the count was over the limit."""
        restored = [run.ended for run in self.runs if self._restores(run)]
        return excess(self.timeline, self.limit, self.span.measured_from, self.span.lasted_until, restored)

    def _restores(self, run: Run) -> bool:
        just = self.blur + _JUST_LOADED * self.interval
        before = self.timeline.between(run.begun - just, run.begun)
        return run.evicted >= min(before.counts) - self.limit

    @cached_property
    def measured_runs(self) -> Sequence[Run]:
        """The runs whose peak counts: those after a whole interval of traffic that was measured, or after a wave."""
        since, until = self.span.measured_from, self.span.ended
        if isinstance(self.profile.traffic, Waves):
            return [run for run in self.runs if run.begun >= since and run.before > self.limit]
        return [run for run in self.runs if since <= run.begun - 0.9 * self.interval and run.begun <= until]

    @property
    def mean_peak(self) -> float | None:
        """The mean of the counts just before the measured runs."""
        return sum(run.before for run in self.measured_runs) / len(self.measured_runs) if self.measured_runs else None

    @cached_property
    def share(self) -> float:
        """The share of all tenths of an interval in which something was evicted."""
        return evicting_share(self.evictions, self.interval, self.span.measured_from, self.span.ended)

    @property
    def period(self) -> float | None:
        """The mean time between two runs; None where there were fewer than three."""
        begun = [run.begun for run in self.runs]
        return (begun[-1] - begun[0]) / (len(begun) - 1) if len(begun) > 2 else None

    @property
    def manner(self) -> Manner:
        """How the server evicts, in a word."""
        if not self.evictions:
            return "never" if self.excess.longest > self.interval else "nothing to evict"
        often = self.period is not None and self.period < _MOST_OFTEN * self.interval
        return "all the time" if often or self.share > _MOST_OF_THE_TIME else "in runs"

    @property
    def is_in_order(self) -> bool:
        """Whether it evicts as the document says."""
        return self.manner in {"in runs", "nothing to evict"}

    @property
    def judgement(self) -> str:
        """How the server evicts, in a sentence without its subject."""
        if self.manner == "never":
            return f"never evicts, {self.excess.peak} models over the limit"
        if self.manner == "nothing to evict":
            return "had nothing to evict"
        if self.manner == "all the time":
            share = f"in {self.share:.0%} of all tenths of an interval"
            return f"evicts all the time, {share}, not every {self.interval:g} s: on the path of requests?"
        every = f", {self.period:.1f} s apart" if self.period is not None else ""
        return f"evicts in runs{every}; over the limit for at most {self.excess.longest:.1f} s at a time"

    @cached_property
    def forecast(self) -> Forecast | None:
        """The predicted peak; None where the formula has nothing to say, as under publications."""
        traffic, trees = self.profile.traffic, self.profile.trees
        if self.profile.publications is not None or isinstance(traffic, Ramp):
            return None
        if isinstance(traffic, Waves):
            fresh = traffic.users if traffic.models == "different" else 1
            return Forecast(self.limit, fresh, fresh, self.limit + fresh, self.limit + fresh, self.limit)
        popularity = shares(trees.models, traffic.exponent)
        explicit = traffic.explicit_versions / trees.versions
        latest = popularity * (1 - traffic.explicit_versions + explicit)
        entries = np.concatenate([latest, *([popularity * explicit] * (trees.versions - 1))])
        return forecast(entries, traffic.rate * self.interval, self.limit)

    def to_report(self) -> Layer:
        """Write it down."""
        predicted = None
        if self.forecast is not None:
            deviation = None if self.mean_peak is None else self.mean_peak / self.forecast.peak - 1
            predicted = Predicted(
                peak=self.forecast.peak,
                rare_peak=self.forecast.rare_peak,
                fills_after_requests=self.forecast.fills if self.forecast.fills < 1e15 else None,
                deviation=deviation,
            )
        return Layer(
            limit=self.limit,
            highest=self.excess.highest,
            over_peak=self.excess.peak,
            over_area=self.excess.area,
            over_seconds=self.excess.seconds,
            longest_over=self.excess.longest,
            runs=len([run for run in self.runs if run.begun >= self.span.measured_from]),
            evicting_share=self.share,
            period=self.period,
            manner=self.manner,
            judgement=self.judgement,
            peaks=[run.before for run in self.measured_runs],
            mean_peak=self.mean_peak,
            predicted=predicted,
        )
