"""Runs of the suite: as a user makes them, in a pytest process with the plugin, or in this one, without any test."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conformance.implementation import ClockName, load_implementation
from conformance.run import FAST_INTERVAL, Run

ROOT = Path(__file__).parent.parent.parent
REFERENCE = ROOT / "conformance" / "implementations" / "reference.toml"


@dataclass(frozen=True)
class SuiteRun:
    """How one run of the suite ended."""

    status: int
    output: str
    results: dict[str, Any] | None

    def outcomes(self) -> dict[str, str]:
        """Give the outcome of every clause."""
        assert self.results is not None, self.output
        return {clause["id"]: clause["outcome"] for clause in self.results["clauses"]}

    def failed(self) -> set[str]:
        """Give the clauses that failed."""
        return {clause for clause, outcome in self.outcomes().items() if outcome == "fail"}


def reference_run(interval: float = FAST_INTERVAL, clock: ClockName = ClockName.TIMED) -> Run:
    """Make what a run that judges the reference shares; nothing of it is started, and it is to be closed."""
    implementation = load_implementation(REFERENCE)
    return Run(implementation, clock=clock, interval=interval, patience=1.0, seed=1, s3_endpoint="moto", keep=False)


def run_suite(implementation: Path, report: Path, *arguments: str, tests: Sequence[str] = ("conformance",)) -> SuiteRun:
    """Run the suite against an implementation file, from the root of the checkout."""
    command = [sys.executable, "-m", "pytest", "-p", "conformance.plugin", "-p", "no:cacheprovider", "-q"]
    options = ["--implementation", str(implementation), "--report-dir", str(report), *arguments]
    ended = subprocess.run([*command, *options, *tests], cwd=ROOT, capture_output=True, text=True, check=False)
    file = report / "results.json"
    results = json.loads(file.read_text(encoding="utf-8")) if file.exists() else None
    return SuiteRun(ended.returncode, ended.stdout + ended.stderr, results)


def write_implementation(
    folder: Path,
    command: Sequence[str],
    *,
    sources: Sequence[str] = ("local",),
    predictors: Sequence[str] = ("python",),
    features: Sequence[str] = ("multi-model", "reload"),
) -> Path:
    """Write the implementation file of a server that is started by this command."""
    file = folder / "implementation.toml"
    file.write_text(
        f"""
        [implementation]
        name = "a server of the tests"
        version = "1"
        url = "https://example.org"
        [process]
        command = {json.dumps(list(command))}
        [declares]
        predictors = {json.dumps(list(predictors))}
        sources = {json.dumps(list(sources))}
        features = {json.dumps(list(features))}
        [intervals]
        reload = 0.2
        """,
        encoding="utf-8",
    )
    return file


def stub(folder: Path, mode: str) -> Path:
    """Write the implementation file of the stub server in one of its modes."""
    return write_implementation(
        folder, [sys.executable, "-m", "tests.conformance.stub_server", mode, "{project}", "{port}"]
    )
