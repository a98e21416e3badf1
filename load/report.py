"""The report of a load run, as JSON has it; its schema is load/report.schema.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

SCHEMA = Path(__file__).with_name("report.schema.json")

Outcome = Literal["PASS", "FAIL", "INVALID"]
Manner = Literal["in runs", "all the time", "never", "nothing to evict"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Check(_Part):
    """One thing that a run must reach to be valid, or one limit that it must keep to pass."""

    about: Literal["validity", "limit"]
    name: str
    passed: bool
    expected: str
    observed: str


class Totals(_Part):
    """The number of requests as counted by those who sent them, by Locust, and by the server, where it says so."""

    judged: int
    locust: int
    server: int | None


class Accusation(_Part):
    """An answer that nothing explains, and the clause that it breaks."""

    clause: str
    expected: str
    observed: str


class Latency(_Part):
    """Answers of one kind, in seconds from the moment at which the request was due."""

    kind: str
    count: int
    p50: float
    p90: float
    p99: float
    p999: float
    highest: float


class Predicted(_Part):
    """What was to be expected before an eviction run, in models; `deviation` is that of the measured mean from it."""

    peak: float
    rare_peak: float
    fills_after_requests: float | None
    deviation: float | None


class Layer(_Part):
    """Models in memory or on disk against the limit.

    `over_peak` is in models, `over_area` in models times seconds; `peaks` are the counts just before the eviction runs
    that were measured. `evicting_share` is the share of all tenths of an eviction interval with an eviction, `period`
    the mean time between two runs; `manner` is what follows from them.
    """

    limit: int
    highest: int
    over_peak: int
    over_area: float
    over_seconds: float
    longest_over: float
    runs: int
    evicting_share: float
    period: float | None
    manner: Manner
    judgement: str
    peaks: list[int]
    mean_peak: float | None
    predicted: Predicted | None


class ResidentMemory(_Part):
    """Resident memory of the server's process tree, in bytes; `predicted` is for the predicted peak of models."""

    at_start: int
    highest: int
    predicted: int | None


class Distribution(_Part):
    """A distribution of seconds."""

    count: int
    p50: float
    p90: float
    p99: float
    highest: float


class StalenessPart(_Part):
    """How long after its end a publication was not seen: at least `last_old`, at most `first_new`.

    `unseen` publications were followed by another one of the same model, or by the end, before an answer showed them.
    """

    publications: int
    unseen: int
    allowed: float
    last_old: Distribution | None
    first_new: Distribution | None


class WavePart(_Part):
    """One wave: seconds after the beginning of the run, models at its peak, seconds and eviction runs to the limit."""

    at: float
    requests: int
    peak: int
    restored_after: float | None
    restored_in_runs: int | None
    loads: int
    p50: float
    highest: float


class StepPart(_Part):
    """One step of a ramp: requests a second that were due and that were answered, latencies in seconds."""

    rate: float
    answered: float
    p50: float
    p99: float
    late_share: float


class RampPart(_Part):
    """A ramp; the knee is the highest rate before answers got slow or fell behind, None where there was none."""

    steps: list[StepPart]
    knee: float | None
    reached: bool


class Sample(_Part):
    """What the probe saw at a moment, in seconds after the beginning of the run."""

    at: float
    memory: int
    disk: int
    rss: int | None


class RunPart(_Part):
    """When and how the run was made; seconds."""

    date: str
    seconds: float
    measured: float
    interrupted: bool
    senders: int
    requests_per_second: float
    generator_cpu: float
    late_share: float | None
    reload_interval: float
    evict_interval: float


class Report(_Part):
    """A load run."""

    schema_version: Literal[1] = Field(default=1, alias="schema")
    outcome: Outcome
    profile: dict[str, Any]
    implementation: dict[str, str]
    host: str | None
    run: RunPart
    checks: list[Check]
    totals: Totals
    failed: int
    wrong: int
    accusations: list[Accusation]
    latencies: list[Latency]
    memory: Layer | None
    disk: Layer | None
    resident_memory: ResidentMemory | None
    staleness: StalenessPart | None
    waves: list[WavePart]
    ramp: RampPart | None
    metrics: dict[str, float]
    server_log: list[str]
    samples: list[Sample]

    def summary(self) -> str:
        """Write what a person at the terminal wants to know."""
        lines = [f"{self.totals.judged:,} requests, {self.failed} failed, {self.wrong} wrong"]
        lines += [
            f"  {one.kind:9} {one.count:8,} answers, p50 {one.p50 * 1e3:.1f} ms, p99 {one.p99 * 1e3:.1f} ms"
            for one in self.latencies
        ]
        for name, layer in (("memory", self.memory), ("disk", self.disk)):
            if layer is not None:
                told = f", predicted {layer.predicted.peak:.1f}" if layer.predicted else ""
                mean = f", before a run {layer.mean_peak:.1f}" if layer.mean_peak is not None else ""
                lines.append(f"  {name}: at most {layer.highest} models (limit {layer.limit}){mean}{told}")
                lines.append(f"    {layer.judgement}")
        lines += [
            f"{'ok  ' if check.passed else 'MISS'} {check.name}: {check.observed} ({check.expected})"
            for check in self.checks
        ]
        valid = "INVALID" if self.outcome == "INVALID" else f"VALID, {self.outcome}"
        return "\n".join([*lines, valid])


def to_json(report: Report) -> str:
    """Write the report."""
    return report.model_dump_json(by_alias=True, indent=2) + "\n"


def report_schema() -> dict[str, Any]:
    """Give the JSON Schema of the report."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Report.model_json_schema(by_alias=True, mode="serialization"),
    }


def write_schema() -> None:
    """Write the schema file, after a change of the report."""
    SCHEMA.write_text(json.dumps(report_schema(), indent=2) + "\n", encoding="utf-8")
