"""Charts of a load run, as SVG; the same observations give the same bytes."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from load.analysis import KINDS, Analysis
from load.layers import LayerView
from load.profile import Ramp
from load.records import Kind
from load.residency import Timeline

_STYLE: dict[str, Any] = {
    "svg.hashsalt": "servecheck",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "legend.fontsize": 8,
    "legend.frameon": False,
}
_WIDTH, _HEIGHT = 9.0, 3.2

_COUNT, _OVER, _LIMIT, _PREDICTED = "#1f5f8b", "#f0a05a", "#b22222", "#2e7d32"
_RUN, _EVICTED, _PUBLISHED = "#888888", "#111111", "#6a3d9a"
_KIND_COLOURS = {Kind.HIT: "#1f5f8b", Kind.DISK: "#e08214", Kind.COLD: "#b22222", Kind.UNTOLD: "#555555"}

# A hundredth of a point is finer than any page; matplotlib writes six decimals of each place on a path.
_PATH = re.compile(r' d="[^"]*"')
_DECIMALS = re.compile(r"(\.\d\d)\d+")

# Steps that are drawn one by one; of more, the highest and the lowest of each stretch are.
_MOST_STEPS = 1500
# Eviction runs that are drawn as lines over the whole height, and ticks at its edge.
_MOST_LINES = 80
_MOST_TICKS = 600


def draw(chart: Callable[[Analysis, Axes], None], analysis: Analysis, height: float = _HEIGHT) -> str:
    """Draw one chart; gives the SVG element."""
    with mpl.rc_context(_STYLE):  # type: ignore[arg-type]  # keys are literals there
        figure = Figure(figsize=(_WIDTH, height), layout="constrained")
        chart(analysis, figure.add_subplot())
        drawn = io.StringIO()
        figure.savefig(drawn, format="svg", metadata={"Date": None, "Creator": None})
    text = drawn.getvalue()
    return _PATH.sub(lambda path: _DECIMALS.sub(r"\1", path[0]), text[text.index("<svg") :])


def charts_of(analysis: Analysis) -> list[tuple[str, str]]:
    """Draw all charts that a run has something for; gives captions and SVG elements."""
    found: list[tuple[str, Callable[[Analysis, Axes], None]]] = []
    if analysis.memory is not None:
        found.append(("Models in memory", _memory))
    if analysis.disk is not None:
        found.append(("Models on disk", _disk))
    if any(sample["rss"] for sample in analysis.seen.samples):
        found.append(("Resident memory", _resident_memory))
    if len(analysis.measured):
        found.append(("Latency", _latency))
        found.append(("Rate", _rate))
    if any(one.first_new is not None for one in analysis.staleness):
        found.append(("Staleness", _staleness))
    if isinstance(analysis.profile.traffic, Ramp):
        found.append(("Ramp", _ramp))
    return [(caption, draw(chart, analysis)) for caption, chart in found]


def _memory(analysis: Analysis, axes: Axes) -> None:
    assert analysis.memory is not None
    _layer(analysis, axes, analysis.memory, "models in memory", "cache_size")


def _disk(analysis: Analysis, axes: Axes) -> None:
    assert analysis.disk is not None
    _layer(analysis, axes, analysis.disk, "models on disk", "disk_cache_size")


def _layer(analysis: Analysis, axes: Axes, view: LayerView, what: str, limit_name: str) -> None:
    seen = analysis.seen
    since, until = seen.begun_at, seen.lasted_until
    moments, counts = _thinned(view.timeline.between(since, until), until)
    at = moments - since
    axes.fill_between(at, view.limit, np.maximum(counts, view.limit), step="post", color=_OVER, alpha=0.45, linewidth=0)
    axes.step(at, counts, where="post", color=_COUNT, linewidth=1.2, label=what)
    axes.axhline(view.limit, color=_LIMIT, linewidth=1.2, label=f"{limit_name} = {view.limit}")
    if view.forecast is not None:
        peak = view.forecast.peak
        axes.axhline(peak, color=_PREDICTED, linewidth=1.2, linestyle="--", label=f"predicted peak {peak:.1f}")
    top = max(float(counts.max()), view.forecast.peak if view.forecast else 0.0, float(view.limit)) * 1.12
    axes.set_ylim(0, max(top, 1.0))
    _mark_evictions(axes, analysis, view)
    _mark_publications(axes, analysis)
    if seen.measured_from > since:
        axes.axvspan(0, seen.measured_from - since, color="#000000", alpha=0.05, linewidth=0)
    axes.set_xlim(0, until - since)
    axes.set_xlabel("seconds")
    axes.set_ylabel(what)
    axes.set_title(view.judgement, color="black" if view.is_in_order else _LIMIT)
    _legend_below(axes)


def _mark_evictions(axes: Axes, analysis: Analysis, view: LayerView) -> None:
    """Mark evictions at the lower edge, and eviction runs over the whole height."""
    since = analysis.seen.begun_at
    # Evictions that cannot be told apart on the page are one tick.
    tick = (analysis.seen.lasted_until - since) / _MOST_TICKS
    xs = sorted({round((moment - since) / tick) * tick for moment in view.evictions})
    if xs:
        edge = axes.get_xaxis_transform()
        axes.plot(xs, [0.02] * len(xs), "|", color=_EVICTED, markersize=7, transform=edge, label="evictions")
    if view.manner == "in runs" and len(view.runs) <= _MOST_LINES:
        for place, run in enumerate(view.runs):
            label = "eviction run" if place == 0 else None
            axes.axvline(run.begun - since, color=_RUN, linewidth=0.8, linestyle=":", label=label)


def _mark_publications(axes: Axes, analysis: Analysis) -> None:
    moments = [publication[-1].ended - analysis.seen.begun_at for publication in analysis.seen.publications]
    if moments:
        ys = np.full(len(moments), 0.985)
        axes.plot(
            moments,
            ys,
            linestyle="",
            marker="v",
            markersize=3,
            color=_PUBLISHED,
            transform=axes.get_xaxis_transform(),
            label="publication",
        )


def _legend_below(axes: Axes) -> None:
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=6)


def _write_out(axes: Axes) -> None:
    """Write numbers on a logarithmic axis as 1000, and not as a power."""
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _thinned(timeline: Timeline, until: float) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    moments = np.array([*timeline.moments, until])
    counts = np.array([*timeline.counts, timeline.counts[-1]])
    if len(moments) <= _MOST_STEPS:
        return moments, counts
    kept: list[int] = []
    for part in np.array_split(np.arange(len(moments)), _MOST_STEPS // 2):
        kept += sorted({int(part[counts[part].argmin()]), int(part[counts[part].argmax()])})
    return moments[kept], counts[kept]


def _resident_memory(analysis: Analysis, axes: Axes) -> None:
    seen = analysis.seen
    known = [(sample["at"] - seen.begun_at, sample["rss"] / 1e6) for sample in seen.samples if sample["rss"]]
    known = [(at, rss) for at, rss in known if at >= 0] or known
    at, rss = zip(*known, strict=True)
    axes.plot(at, rss, color=_COUNT, linewidth=1.2, label="resident memory of the server")
    found = analysis.resident_memory()
    if found is not None and found.predicted is not None:
        told = f"predicted at the peak: {found.predicted / 1e6:.0f} MB"
        axes.axhline(found.predicted / 1e6, color=_PREDICTED, linestyle="--", linewidth=1.2, label=told)
    axes.set_xlim(0, max(at))
    axes.set_ylim(0, max([*rss, (found.predicted or 0) / 1e6 if found else 0.0]) * 1.12)
    axes.set_xlabel("seconds")
    axes.set_ylabel("MB")
    axes.set_title("Resident memory of the server and all that it started")
    _legend_below(axes)


def _latency(analysis: Analysis, axes: Axes) -> None:
    """Draw latency by percentile; the further to the right, the rarer."""
    places = [0.0, 0.5, 0.9, 0.99, 0.999, 0.9999]
    for kind, colour in _KIND_COLOURS.items():
        seconds = np.sort(analysis.seconds_of(kind))
        if not len(seconds):
            continue
        shares = (np.arange(len(seconds)) + 0.5) / len(seconds)
        if len(seconds) > _MOST_STEPS:
            chosen = np.unique((len(seconds) * (1 - np.geomspace(1, 1 / len(seconds), _MOST_STEPS // 4))).astype(int))
            seconds, shares = seconds[chosen], shares[chosen]
        label = f"{KINDS[kind]} ({len(analysis.seconds_of(kind)):,})"
        axes.plot(1 / (1 - shares), seconds * 1e3, color=colour, linewidth=1.4, label=label, drawstyle="steps-post")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks([1 / (1 - place) for place in places], ["0", "p50", "p90", "p99", "p99.9", "p99.99"])
    axes.set_xticks([], minor=True)
    axes.set_xlim(1, 2 * max(len(analysis.seconds_of(kind)) for kind in _KIND_COLOURS))
    _write_out(axes)
    axes.set_xlabel("percentile")
    axes.set_ylabel("milliseconds")
    axes.set_title("Latency by where the model was, from the moment at which the request was due")
    _legend_below(axes)


def _rate(analysis: Analysis, axes: Axes) -> None:
    seen = analysis.seen
    rows = analysis.rows
    until = seen.ended_at - seen.begun_at
    width = max(1.0, until / 200)
    edges = np.arange(0, until + width, width)
    ended = rows["ended"] - seen.begun_at
    answers, _ = np.histogram(ended[rows["answer"] >= 0], edges)
    errors, _ = np.histogram(ended[rows["answer"] < 0], edges)
    axes.stairs(answers / width, edges, color=_COUNT, linewidth=1.2, label="answers a second")
    if errors.any():
        axes.stairs(errors / width, edges, color=_LIMIT, fill=True, alpha=0.7, label="errors a second")
    axes.set_xlim(0, until)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("seconds")
    axes.set_ylabel("a second")
    axes.set_title("Answers over time")
    _legend_below(axes)


def _staleness(analysis: Analysis, axes: Axes) -> None:
    known = [one for one in analysis.staleness if one.first_new is not None]
    shares = np.arange(1, len(known) + 1) / len(known)
    last_old = np.sort([one.last_old for one in known])
    first_new = np.sort([one.first_new for one in known if one.first_new is not None])
    axes.step(last_old, shares, where="post", color=_OVER, label="last request answered from before")
    axes.step(first_new, shares, where="post", color=_COUNT, label="first answer that showed it")
    interval = analysis.seen.opening.reload_interval
    axes.axvline(interval, color=_RUN, linestyle=":", label=f"reload interval, {interval:g} s")
    allowed = analysis.seen.opening.staleness
    axes.axvline(allowed, color=_LIMIT, linewidth=1.2, label=f"deadline, {allowed:.1f} s")
    axes.set_ylim(0, 1.02)
    axes.set_xlim(left=0)
    axes.set_xlabel("seconds after the end of the publication")
    axes.set_ylabel("share of publications")
    axes.set_title(f"Staleness of {len(known)} publications: the truth lies between the two lines")
    _legend_below(axes)


def _ramp(analysis: Analysis, axes: Axes) -> None:
    ramp = analysis.ramp
    if ramp is None or not ramp.steps:
        return
    rates = [step.rate for step in ramp.steps]
    axes.plot(rates, [step.p50 * 1e3 for step in ramp.steps], marker="o", color=_COUNT, label="p50")
    axes.plot(rates, [step.p99 * 1e3 for step in ramp.steps], marker="o", color=_OVER, label="p99")
    if ramp.knee is not None:
        told = f"knee, {ramp.knee:.0f} requests/s" if ramp.reached else f"no knee up to {ramp.knee:.0f} requests/s"
        axes.axvline(ramp.knee, color=_LIMIT, linestyle="--", label=told)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks(rates, [f"{rate:.0f}" for rate in rates])
    axes.set_xticks([], minor=True)
    _write_out(axes)
    axes.set_xlabel("requests a second, due")
    axes.set_ylabel("milliseconds")
    axes.set_title("Latency by rate, and the last rate at which answers are neither slow nor behind")
    _legend_below(axes)
