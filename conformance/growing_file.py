"""Files that another process appends lines to while they are read."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

T = TypeVar("T")


class GrowingFile(Generic[T]):
    """What the lines of a file say; each is read and parsed once, however often it is asked for. Thread-safe."""

    def __init__(self, file: Path, parse: Callable[[bytes], T]) -> None:
        self._file = file
        self._parse = parse
        self._read = 0
        self._lines: list[T] = []
        self._lock = threading.Lock()

    def lines(self) -> Sequence[T]:
        """Give what is complete so far, nothing before there is a file: always the same list, which grows."""
        with self._lock:
            if self._file.exists():
                with self._file.open("rb") as file:
                    file.seek(self._read)
                    fresh = file.read()
                # The last line may be half written.
                whole = fresh[: fresh.rfind(b"\n") + 1]
                self._lines += [self._parse(line) for line in whole.splitlines()]
                self._read += len(whole)
            return self._lines
