"""The journals of the witness: what it noted in each process of a server."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

from conformance.growing_file import GrowingFile


class Journals:
    """Reads the journals in a folder, of which each process writes one. Thread-safe."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[Path, GrowingFile[dict[str, Any]]] = {}
        self._lock = threading.Lock()

    def lines(self) -> list[dict[str, Any]]:
        """Give what was noted so far: the journals of all processes, each in order."""
        with self._lock:
            for file in self._folder.glob("*.jsonl"):
                self._files.setdefault(file, GrowingFile(file, json.loads))
            return [line for file in sorted(self._files) for line in self._files[file].lines()]
