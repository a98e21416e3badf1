"""Episodes of a load run: its waves, and the steps of a ramp with their knee; pure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from load.layers import LayerView, Span
from load.profile import Profile, Ramp
from load.records import Rows
from load.report import RampPart, StepPart, WavePart
from load.residency import Residency

# What a step of a ramp must reach of its rate, so that the server is not behind; a step that was cut off by less than
# half a second is whole.
_KEEPS_UP = 0.95
_SLACK = 0.5


def waves(
    starts: Sequence[float], rows: Rows, span: Span, memory: LayerView | None, known: Residency | None
) -> list[WavePart]:
    """Tell what became of each wave; `starts` are the moments at which they began."""
    ends = [*starts[1:], span.lasted_until] if starts else []
    return [
        _wave(at, until, rows[(rows["due"] >= at) & (rows["due"] < until)], span, memory, known)
        for at, until in zip(starts, ends, strict=True)
    ]


def _wave(  # noqa: PLR0917 - what is known of one wave
    at: float, until: float, rows: Rows, span: Span, memory: LayerView | None, known: Residency | None
) -> WavePart:
    peak, loads, after, in_runs = 0, 0, None, None
    if memory is not None and known is not None:
        part = memory.timeline.between(at, until)
        peak = max(part.counts)
        loads = sum(at <= moment < until for moment, _ in known.loads)
        highest_at = part.moments[part.counts.index(peak)]
        calm = [
            moment
            for moment, count in zip(part.moments, part.counts, strict=True)
            if moment >= highest_at and count <= memory.limit
        ]
        if calm:
            after = calm[0] - at
            in_runs = sum(at <= run.begun <= calm[0] for run in memory.runs)
    seconds = rows["ended"] - rows["due"]
    return WavePart(
        at=at - span.begun,
        requests=len(rows),
        peak=peak,
        restored_after=after,
        restored_in_runs=in_runs,
        loads=loads,
        p50=float(np.median(seconds)) if len(rows) else 0.0,
        highest=float(seconds.max()) if len(rows) else 0.0,
    )


def ramp(profile: Profile, rows: Rows, span: Span) -> RampPart | None:
    """Sum up the steps of a ramp, and find its knee: the last step before answers get slow or fall behind."""
    traffic = profile.traffic
    if not isinstance(traffic, Ramp):
        return None
    steps: list[StepPart] = []
    for number in range(int(traffic.duration // traffic.step)):
        low, high = (span.measured_from + place * traffic.step for place in (number, number + 1))
        if high > span.ended + _SLACK:
            break
        due = rows[(rows["due"] >= low) & (rows["due"] < high)]
        if not len(due):
            break
        p50, p99 = (float(value) for value in np.quantile(due["ended"] - due["due"], [0.5, 0.99]))
        answered = ((rows["ended"] >= low) & (rows["ended"] < high)).sum() / traffic.step
        late = float((due["begun"] - due["due"] > profile.validity.late).mean())
        rate = traffic.rate_at(low + traffic.step / 2 - span.begun)
        steps.append(StepPart(rate=rate, answered=float(answered), p50=p50, p99=p99, late_share=late))
    knee = None
    for step in steps:
        if step.p99 > traffic.knee * steps[0].p99 or step.answered < _KEEPS_UP * step.rate:
            return RampPart(steps=steps, knee=knee, reached=True)
        knee = step.rate
    return RampPart(steps=steps, knee=knee, reached=False)
