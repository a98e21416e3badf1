"""Load runs as a user makes them, short ones: a process, what it printed, and its report."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.conformance.suite_runs import ROOT

REFERENCE = ROOT / "conformance" / "implementations" / "reference.toml"

# Short intervals, small models in a directory; and no demands on how fast this machine is.
SHORT = {
    "server.evict_interval": "2",
    "server.reload_interval": "0.5",
    "trees.source": "local",
    "trees.size": "1kB",
    "validity.late": "20",
    "validity.generator_cpu": "1.0",
    "validity.requests": "20",
    "limits.longest_over": "4",
}


@dataclass(frozen=True)
class LoadRun:
    """How a load run ended."""

    status: int
    output: str
    report: dict[str, Any] | None
    page: str

    @property
    def told(self) -> dict[str, Any]:
        """The report, which must be there."""
        assert self.report is not None, self.output
        return self.report

    def missed(self) -> set[str]:
        """Name the checks that were not met."""
        return {check["name"] for check in self.told["checks"] if not check["passed"]}


def settings(overrides: Mapping[str, str]) -> list[str]:
    """Write the overrides of a short run as options."""
    return [part for key, value in (SHORT | overrides).items() for part in ("--set", f"{key}={value}")]


def run_load(
    folder: Path,
    profile: str,
    overrides: Mapping[str, str] | None = None,
    *options: str,
    command: Sequence[str] = ("-m", "load"),
) -> LoadRun:
    """Run a profile to its end; `command` may be another way to start it, with the profile among its arguments."""
    named = (profile,) if command[-1] == "load" else ()
    own = [*settings(overrides or {}), "--report-dir", str(folder / "report")]
    whole = [sys.executable, *command, *named, *own, *options]
    ended = subprocess.run(whole, cwd=ROOT, capture_output=True, text=True, check=False)
    return read_run(ended.returncode, ended.stdout + ended.stderr, folder)


def read_run(status: int, output: str, folder: Path) -> LoadRun:
    """Read what a run has left."""
    file, page = folder / "report" / "report.json", folder / "report" / "report.html"
    return LoadRun(
        status,
        output,
        json.loads(file.read_text(encoding="utf-8")) if file.exists() else None,
        page.read_text(encoding="utf-8") if page.exists() else "",
    )


def changed(folder: Path, change: str) -> Path:
    """Write the implementation file of the reference with a change."""
    text = REFERENCE.read_text(encoding="utf-8")
    whole, count = re.subn(
        r'"python", "-m", "reference", "serve"',
        lambda _: f'"{sys.executable}", "-m", "tests.load.changed_server", "{change}", "serve"',
        text,
    )
    assert count == 1
    file = folder / f"{change}.toml"
    file.write_text(whole, encoding="utf-8")
    return file


def processes_of(folder: Path) -> list[str]:
    """Find command lines of running processes that name a folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            if str(folder) in line:
                found.append(line)
    return found
