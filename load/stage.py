"""The stage: a process of its own in which a load run has its server, its probe and its publications.

Started by the conductor as `python -m load.stage ANNOUNCEMENT PLAN`; it writes beside the plan, line by line, what the
probe saw (`samples.jsonl`), what the witness noted (`journal.jsonl`) and what was published (`changes.jsonl`). Apart
from the load generator, so that neither keeps the other waiting. It publishes while a file `publish` lies there, and
ends with SIGTERM.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import re
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

import psutil
from pydantic import BaseModel, ConfigDict

from conformance import timing
from conformance.deployment import ServerDiedError
from conformance.problems import SuiteError
from conformance.processes import announce, describe_exit
from conformance.source_states import Change
from fixtures.targets import TargetError
from load.ground import Ground, Plan, open_ground
from load.journals import Disk, JournalReader
from load.publications import Publisher

# The file that lets publications go on for as long as it is there.
PUBLISH = "publish"

# Processes come and go seldom, and looking for them takes long.
_PROCESSES_EVERY = 2.0


class Opening(BaseModel):
    """What the stage announces when its server is ready; seconds where not said otherwise."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str
    reload_interval: float
    evict_interval: float
    staleness: float
    staleness_formula: str
    publishing: bool = True


class Ending(BaseModel):
    """What the stage found at the end: how the server ended, and its own figures as a cross-check."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    died: str | None = None
    log: list[str] = []
    metrics: dict[str, float] = {}
    problem: str | None = None


def change_to_json(change: Change, publication: int | None) -> str:
    """Write a change as a line; `publication` is the number of the one that it is part of, None before the run."""
    versions = {name: sorted(tokens) for name, tokens in change.versions.items()}
    fields = {"begun": change.begun, "ended": change.ended, "model": change.model, "event": change.event}
    return json.dumps({**fields, "versions": versions, "publication": publication})


def change_from_json(fields: Mapping[str, Any]) -> Change:
    """Read what `change_to_json` wrote."""
    versions = {name: frozenset(tokens) for name, tokens in fields["versions"].items()}
    return Change(fields["begun"], fields["ended"], fields["model"], fields["event"], versions)


class Memory:
    """Resident memory of a process and all that it started."""

    def __init__(self, pid: int | None) -> None:
        self._root = psutil.Process(pid) if pid is not None else None
        self._processes: list[psutil.Process] = []
        self._looked = 0.0

    def resident(self) -> int | None:
        """Give the sum in bytes; None where the process is not known or gone."""
        if self._root is None:
            return None
        try:
            if timing.now() - self._looked > _PROCESSES_EVERY:
                self._processes = [self._root, *self._root.children(recursive=True)]
                self._looked = timing.now()
            return sum(process.memory_info().rss for process in self._processes)
        except psutil.Error:
            self._looked = 0.0
            return None


class Probe:
    """Looks at the server a few times a second, and writes down what it sees."""

    def __init__(self, ground: Ground, folder: Path) -> None:
        self._reader = JournalReader(ground.journals)
        self._disk = Disk()
        self._memory = Memory(ground.deployment.process.pid if ground.deployment is not None else None)
        self._alive: set[tuple[int, int]] = set()
        self._dropped = 0
        self._samples: TextIO = (folder / "samples.jsonl").open("a", encoding="utf-8", buffering=1)
        self._journal: TextIO = (folder / "journal.jsonl").open("a", encoding="utf-8", buffering=1)

    def sample(self) -> None:
        """Look once."""
        for line in self._reader.read():
            self._journal.write(json.dumps(line) + "\n")
            key = (line["process"], line.get("serial", 0))
            if line["event"] == "loaded":
                self._alive.add(key)
                self._disk.loaded(line["path"], line["files"])
            elif line["event"] == "dropped":
                self._alive.discard(key)
                self._dropped += 1
        gone = self._disk.gone()
        sample = {"at": timing.now(), "memory": len(self._alive), "disk": len(self._disk), "dropped": self._dropped}
        self._samples.write(json.dumps({**sample, "rss": self._memory.resident(), "gone": gone}) + "\n")

    def close(self) -> None:
        """Close what was written."""
        self._samples.close()
        self._journal.close()


def main() -> None:
    """Set the stage, announce it, and look at it until told to end."""
    announcement, plan_file = Path(sys.argv[1]), Path(sys.argv[2])
    folder = plan_file.parent
    plan = Plan.model_validate_json(plan_file.read_text(encoding="utf-8"))
    over = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: over.set())
    try:
        with open_ground(plan) as ground:
            with (folder / "changes.jsonl").open("a", encoding="utf-8", buffering=1) as changes:
                changes.writelines(change_to_json(change, None) + "\n" for change in ground.published)
                opening = Opening(
                    url=ground.url,
                    reload_interval=ground.pace.intervals.reload,
                    evict_interval=ground.pace.intervals.evict,
                    staleness=ground.pace.serve,
                    staleness_formula=ground.pace.explain_serve(),
                )
                announce(announcement, opening.model_dump_json())
                ending = _play(plan, ground, folder, changes, over)
            ending = _bring_down(ground, ending)
    except (SuiteError, ServerDiedError, TargetError) as error:
        print(error, file=sys.stderr)
        sys.exit(3)
    (folder / "ending.json").write_text(ending.model_dump_json(), encoding="utf-8")


class Publications(threading.Thread):
    """Publishes at the rate of the profile for as long as a file `publish` lies beside the plan, and writes it down."""

    def __init__(self, plan: Plan, ground: Ground, folder: Path, changes: TextIO) -> None:
        super().__init__(name="publications")
        self.problem: str | None = None
        self.over = threading.Event()
        self._profile = plan.profile
        self._ground = ground
        self._signal = folder / PUBLISH
        self._changes = changes

    def run(self) -> None:
        """Publish until it is over."""
        asked = self._profile.publications
        if asked is None:
            return
        publisher = Publisher(self._profile, asked, self._ground.target, self._ground.changing)
        numbers = itertools.count()
        due = timing.now()
        while not self.over.wait(max(0.0, due - timing.now())):
            due = max(due + 1 / asked.rate, timing.now())
            if not self._signal.exists():
                continue
            try:
                publication = publisher.publish()
            except TargetError as error:
                self.problem = str(error)
                return
            number = next(numbers)
            self._changes.writelines(change_to_json(change, number) + "\n" for change in publication.changes)


def _play(plan: Plan, ground: Ground, folder: Path, changes: TextIO, over: threading.Event) -> Ending:
    publications = Publications(plan, ground, folder, changes)
    publications.start()
    died = None
    with contextlib.closing(Probe(ground, folder)) as probe:
        due = timing.now()
        while not over.is_set():
            probe.sample()
            if ground.deployment is not None and ground.deployment.process.status is not None:
                died = f"the server {describe_exit(ground.deployment.process.status)}"
                break
            due = max(due + 1 / plan.profile.sampling, timing.now())
            over.wait(due - timing.now())
        publications.over.set()
        publications.join()
        probe.sample()
    return Ending(died=died, problem=publications.problem)


def _bring_down(ground: Ground, ending: Ending) -> Ending:
    if ground.deployment is None:
        return ending
    found: dict[str, Any] = {}
    try:
        if ending.died is None:
            found["metrics"] = dict(_metrics(ground.deployment.call("GET", "/metrics").text))
            ground.deployment.stop()
    except ServerDiedError as error:
        found["died"] = str(error)
    return ending.model_copy(update={**found, "log": ground.deployment.last_log_lines()})


def _metrics(text: str) -> Iterator[tuple[str, float]]:
    """Read the gauges and counters that a server shows to Prometheus, those that say something about models."""
    for match in re.finditer(r"^(\w+(?:\{[^}]*\})?) ([0-9.eE+]+)$", text, re.MULTILINE):
        if "model" in match[1] or "evict" in match[1] or "revision" in match[1]:
            yield match[1], float(match[2])


if __name__ == "__main__":
    main()
