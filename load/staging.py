"""The stage as the conductor sees it: set, looked at while it stands, and struck."""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from conformance.processes import start_announced
from conformance.source_states import Change
from load.ground import Plan
from load.stage import PUBLISH, Ending, Opening, change_from_json

# Seconds: publishing thousands of models takes its time; a stage that has to end may take as long as its server.
_SET_PATIENCE = 900.0
_STRIKE_PATIENCE = 60.0

# More than a sample takes, with all paths that are gone at once.
_TAIL = 1 << 16

_LOG_LINES = 15


class Staging:
    """A stage in a folder of its own, gone with `close`. Raises `HarnessError` when it cannot be set."""

    def __init__(self, plan: Plan) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="servecheck-load-"))
        try:
            file = self._folder / "plan.json"
            file.write_text(plan.model_dump_json(), encoding="utf-8")
            self._process, announced = start_announced(
                "load.stage", str(file), folder=self._folder, patience=_SET_PATIENCE
            )
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise
        self.opening = Opening.model_validate_json(announced)

    @property
    def has_ended(self) -> bool:
        """Whether it has ended by itself, as it does when the server dies."""
        return self._process.status is not None

    def publish(self, *, on: bool) -> None:
        """Let publications begin, or end."""
        if on:
            (self._folder / PUBLISH).touch()
        else:
            (self._folder / PUBLISH).unlink(missing_ok=True)

    def last_sample(self) -> Mapping[str, Any] | None:
        """Give what the probe saw last."""
        file = self._folder / "samples.jsonl"
        with contextlib.suppress(OSError), file.open("rb") as samples:
            samples.seek(max(0, file.stat().st_size - _TAIL))
            last = samples.read().rpartition(b"\n")[0].rpartition(b"\n")[2]
            with contextlib.suppress(ValueError):
                sample: Mapping[str, Any] = json.loads(last)
                return sample
        return None

    def strike(self) -> Ending:
        """End the server and all of the stage; gives how it ended."""
        self._process.terminate(_STRIKE_PATIENCE)
        log = self._process.last_log_lines(_LOG_LINES)
        self._process.kill()
        file = self._folder / "ending.json"
        if file.exists():
            return Ending.model_validate_json(file.read_text(encoding="utf-8"))
        return Ending(problem="the stage ended without a word", log=log)

    def lines(self, name: str) -> list[dict[str, Any]]:
        """Read what was written down during the run: `samples`, `journal` or `changes`."""
        file = self._folder / f"{name}.jsonl"
        if not file.exists():
            return []
        # A line that was being written when the stage was struck is none.
        whole = file.read_text(encoding="utf-8").rpartition("\n")[0]
        return [json.loads(line) for line in whole.splitlines()]

    def changes(self) -> tuple[list[Change], list[tuple[Change, ...]]]:
        """Give all changes of the trees, and those under traffic as the publications that they make up."""
        changes: list[Change] = []
        publications: dict[int, list[Change]] = {}
        for line in self.lines("changes"):
            change = change_from_json(line)
            changes.append(change)
            if line["publication"] is not None:
                publications.setdefault(line["publication"], []).append(change)
        return changes, [tuple(part) for _, part in sorted(publications.items())]

    def close(self) -> None:
        """Leave nothing behind."""
        self._process.kill()
        shutil.rmtree(self._folder, ignore_errors=True)
