"""From observations to the report: what makes a run valid, what makes it pass, and the files that say so."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

from load.analysis import Analysis, distribution
from load.charts import charts_of
from load.html import to_html
from load.layers import LayerView
from load.observations import Observations
from load.profile import Rate, Waves
from load.report import (
    Accusation,
    Check,
    Outcome,
    Report,
    RunPart,
    Sample,
    StalenessPart,
    Totals,
    to_json,
)

# Findings that the report shows; it gives the number of all.
_SHOWN = 20

# Samples that the report has at most; of more, every second one, or third.
_MOST_SAMPLES = 3000

# A clock that is looked at once in a while shows a little less than was asked for.
_SLACK = 0.5


def report_on(seen: Observations) -> Report:
    """Judge a run and write down what was seen."""
    analysis = Analysis(seen)
    totals = Totals(judged=len(analysis.rows), locust=seen.locust_requests, server=analysis.served)
    checks = [*_validity(analysis, totals), *_limits(analysis)]
    measured = max(0.0, seen.ended_at - seen.measured_from)
    verdicts = analysis.verdicts
    return Report(
        schema=1,
        outcome=_outcome(checks, died=seen.ending.died is not None),
        profile=seen.profile.model_dump(),
        implementation=dict(seen.implementation),
        host=seen.host,
        run=RunPart(
            date=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
            seconds=seen.ended_at - seen.begun_at,
            measured=measured,
            interrupted=seen.interrupted,
            senders=seen.senders,
            requests_per_second=len(analysis.measured) / measured if measured else 0.0,
            generator_cpu=analysis.generator_cpu,
            late_share=analysis.late_share,
            reload_interval=seen.opening.reload_interval,
            evict_interval=seen.opening.evict_interval,
        ),
        checks=checks,
        totals=totals,
        failed=len(verdicts.failed),
        wrong=len(verdicts.wrong),
        accusations=[
            Accusation(clause=finding.clause, expected=finding.expected, observed=finding.observed)
            for finding in [*verdicts.wrong, *verdicts.failed][:_SHOWN]
        ],
        latencies=analysis.latencies(),
        memory=analysis.memory.to_report() if analysis.memory is not None else None,
        disk=analysis.disk.to_report() if analysis.disk is not None else None,
        resident_memory=analysis.resident_memory(),
        staleness=_staleness(analysis),
        waves=analysis.waves,
        ramp=analysis.ramp,
        metrics=seen.ending.metrics,
        server_log=seen.ending.log if seen.ending.died or seen.ending.problem else [],
        samples=[
            Sample(at=sample["at"] - seen.begun_at, memory=sample["memory"], disk=sample["disk"], rss=sample["rss"])
            for sample in seen.samples[:: 1 + len(seen.samples) // _MOST_SAMPLES]
        ],
    )


def write_report(report: Report, seen: Observations, folder: Path) -> list[Path]:
    """Write report.html, report.json and the charts into a folder; gives the files, the page first."""
    folder.mkdir(parents=True, exist_ok=True)
    charts = charts_of(Analysis(seen))
    contents = {"report.html": to_html(report, charts, seen.opening.staleness_formula), "report.json": to_json(report)}
    contents |= {f"{caption.lower().replace(' ', '-')}.svg": f"{svg}\n" for caption, svg in charts}
    for name, content in contents.items():
        part = folder / f"{name}.part"
        part.write_text(content, encoding="utf-8")
        part.replace(folder / name)
    return [folder / name for name in contents]


def _outcome(checks: list[Check], *, died: bool) -> Outcome:
    """Decide; a server that died makes a run short, which is the server's fault and not that of the run."""
    if died:
        return "FAIL"
    if not all(check.passed for check in checks if check.about == "validity"):
        return "INVALID"
    return "PASS" if all(check.passed for check in checks) else "FAIL"


def _validity(analysis: Analysis, totals: Totals) -> Iterator[Check]:
    seen, profile = analysis.seen, analysis.profile
    asked = profile.validity

    def check(name: str, passed: bool, expected: str, observed: str) -> Check:
        return Check(about="validity", name=name, passed=bool(passed), expected=expected, observed=observed)

    traffic = profile.traffic
    if isinstance(traffic, Waves):
        done = len(seen.waves)
        yield check("waves", done == traffic.waves and not seen.interrupted, f"{traffic.waves}", f"{done}")
    else:
        measured = max(0.0, seen.ended_at - seen.measured_from)
        enough = measured >= traffic.duration - _SLACK
        yield check("duration", enough, f"at least {traffic.duration:g} s", f"{measured:.1f} s")
    count = len(analysis.measured)
    yield check("requests", count >= asked.requests, f"at least {asked.requests}", f"{count}")
    if isinstance(traffic, Rate):
        share = analysis.late_share
        late = f"less than {asked.late_share:.1%} later than {asked.late:g} s"
        observed = "no request" if share is None else f"{share:.2%} of {count}"
        on_time = share is not None and share < asked.late_share
        hint = "" if on_time else "; more traffic.users, or a lower traffic.rate, may help"
        yield check("late starts", on_time, late, f"{observed}{hint}")
    busy = analysis.generator_cpu
    limit = f"at most {asked.generator_cpu:.0%} of a processor in each process"
    yield check("load generator", busy <= asked.generator_cpu, limit, f"{busy:.0%}")
    counts = f"{totals.judged} judged, {totals.locust} by Locust"
    served = [totals.server] if totals.server is not None else []
    # An answer that was cut off is one that the server gave and nobody got.
    equal = totals.judged == totals.locust and all(one == len(_answered(analysis)) for one in served)
    told = f"{counts}, {totals.server} by the server" if served else f"{counts}; the server gave no count"
    yield check("equal totals", equal and not seen.senders_missing, "every request is counted once everywhere", told)
    if seen.ending.problem is not None:
        yield check("stage", False, "servers, trees and publications as planned", seen.ending.problem)
    if profile.limits.longest_over is not None or profile.limits.evicts_in_runs:
        is_seen = analysis.residency is not None
        yield check("cache seen", is_seen, "the journal of the witness", "there" if is_seen else "unobservable")


def _answered(analysis: Analysis) -> list[int]:
    return [int(place) for place in analysis.rows["answer"] if place >= 0]


def _limits(analysis: Analysis) -> Iterator[Check]:
    seen, limits, waves, ramp = analysis.seen, analysis.profile.limits, analysis.waves, analysis.ramp

    def check(name: str, passed: bool, expected: str, observed: str) -> Check:
        return Check(about="limit", name=name, passed=bool(passed), expected=expected, observed=observed)

    died = seen.ending.died
    yield check("server", died is None, "runs until it is told to end", died or "did")
    failed, wrong = len(analysis.verdicts.failed), len(analysis.verdicts.wrong)
    yield check("failed requests", failed <= limits.failed, f"at most {limits.failed}", f"{failed}")
    yield check("wrong answers", wrong <= limits.wrong, f"at most {limits.wrong}", f"{wrong}")
    for name, view in (("memory", analysis.memory), ("disk", analysis.disk)):
        if view is not None:
            yield from _cache_limits(analysis, name, view)
    by_kind = {latency.kind: latency for latency in analysis.latencies()}
    for kind, limit in (("hit", limits.hit_p99), ("cold", limits.cold_p99)):
        if limit is not None:
            found = by_kind.get(kind)
            observed = "no such answer" if found is None else f"{found.p99:.3f} s"
            yield check(f"p99, {kind}", found is None or found.p99 <= limit, f"at most {limit:g} s", observed)
    if limits.loads_per_wave is not None and waves:
        most = max(wave.loads for wave in waves)
        yield check("loads of a wave", most <= limits.loads_per_wave, f"at most {limits.loads_per_wave}", f"{most}")
    if limits.knee is not None and ramp is not None:
        knee = ramp.knee or 0.0
        yield check("knee", knee >= limits.knee, f"at least {limits.knee:g} requests/s", f"{knee:g} requests/s")


def _cache_limits(analysis: Analysis, name: str, view: LayerView) -> Iterator[Check]:
    limits = analysis.profile.limits
    if limits.longest_over is not None:
        longest, allowed = view.excess.longest / analysis.interval, limits.longest_over
        expected = f"at most {allowed:g} eviction intervals at a time"
        observed = f"{longest:.2f} intervals of {analysis.interval:g} s"
        yield Check(
            about="limit",
            name=f"over the {name} limit",
            passed=longest <= allowed,
            expected=expected,
            observed=observed,
        )
    if limits.evicts_in_runs:
        expected, passed = f"in runs every {analysis.interval:g} s", view.is_in_order
        yield Check(about="limit", name=f"eviction, {name}", passed=passed, expected=expected, observed=view.manner)
    if limits.prediction is not None and view.forecast is not None:
        mean = view.mean_peak
        off = None if mean is None else abs(mean / view.forecast.peak - 1)
        passed = off is not None and off <= limits.prediction
        expected = f"within {limits.prediction:.0%} of the predicted {view.forecast.peak:.1f} before a run"
        runs = len(view.measured_runs)
        observed = "no eviction run" if mean is None else f"{mean:.1f} on average before {runs} runs"
        yield Check(about="limit", name=f"prediction, {name}", passed=passed, expected=expected, observed=observed)


def _staleness(analysis: Analysis) -> StalenessPart | None:
    if analysis.profile.publications is None:
        return None
    known = [one for one in analysis.staleness if one.first_new is not None]
    return StalenessPart(
        publications=len(analysis.staleness),
        unseen=len(analysis.staleness) - len(known),
        allowed=analysis.seen.opening.staleness,
        last_old=distribution([one.last_old for one in known]),
        first_new=distribution([one.first_new for one in known if one.first_new is not None]),
    )
