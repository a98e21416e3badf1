"""Journals of the witness, read while they grow, and the files behind what was loaded."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

TOKEN_LINE = b"token: "


class JournalReader:
    """Reads what was added to the journals of all processes since the last time; a line half written waits.

    Journals of processes that had ended before the reader was made are left aside: with them all their models went.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._places: dict[Path, int] = {}
        self._past = {file for file in folder.glob("*.jsonl") if not psutil.pid_exists(int(file.stem))}

    def read(self) -> Iterator[dict[str, Any]]:
        """Give the new lines, those of each process in order."""
        for file in sorted(self._folder.glob("*.jsonl")):
            if file in self._past:
                continue
            place = self._places.get(file, 0)
            with file.open("rb") as journal:
                journal.seek(place)
                text = journal.read()
            whole = text.rfind(b"\n") + 1
            self._places[file] = place + whole
            yield from map(json.loads, text[:whole].splitlines())


@dataclass
class _Place:
    """A path that was loaded once: the file that tells whether the model is still there."""

    file: Path
    token: str
    signature: tuple[int, int, int] | None = None


class Disk:
    """Which paths that `load_model` once got still exist and hold their token."""

    def __init__(self) -> None:
        self._places: dict[str, _Place] = {}

    def __len__(self) -> int:
        return len(self._places)

    def loaded(self, path: str, files: dict[str, str | None]) -> None:
        """Take in that a model was loaded from a path."""
        for name, token in files.items():
            if token:
                self._places[path] = _Place(Path(path, name), token)
                return

    def gone(self) -> list[str]:
        """Look at every path; gives those that are gone since the last time."""
        gone = [path for path, place in self._places.items() if not self._holds(place)]
        for path in gone:
            del self._places[path]
        return gone

    @staticmethod
    def _holds(place: _Place) -> bool:
        try:
            found = place.file.stat()
            signature = (found.st_ino, found.st_size, found.st_mtime_ns)
            # A file that has not changed since need not be read again: there may be thousands, several times a second.
            if signature != place.signature:
                with place.file.open("rb") as content:
                    if content.readline(64).removeprefix(TOKEN_LINE).decode(errors="replace").strip() != place.token:
                        return False
                place.signature = signature
        except OSError:
            return False
        return True
