"""A local directory as a source."""

import errno
import os
import shutil
import stat
import threading
import time
from pathlib import Path

from reference.errors import ContentChangedError, SourceError
from reference.sources import File

# File systems stamp files with a clock that ticks every few milliseconds. A file that was written less than a tick ago
# may be written again without a new stamp, so it is copied only when its stamp is older than this.
_TICK_NS = 20_000_000

_GONE = (errno.ENOENT, errno.ENOTDIR)


class LocalSource:
    """A directory tree; symbolic links are followed, a missing directory holds nothing."""

    def __init__(self, root: Path) -> None:
        self.location = str(root)
        self._root = root

    def listing(self, below: str = "") -> list[File]:
        """Walk the tree; see Source.listing."""
        start = below.rpartition("/")[0]
        folder = self._root / start
        found: list[File] = []
        try:
            # Whichever folder a walk begins in, links lead equally far.
            parts = Path(start).parts
            above = {_identity(self._root.joinpath(*parts[:depth]).stat()) for depth in range(len(parts))}
            self._walk(folder, f"{start}/" if start else "", found, frozenset(above))
        except OSError as error:
            if error.errno in _GONE:
                return []
            raise SourceError(f"{self.location}: {error.strerror}") from error
        found.sort()
        return [file for file in found if file.key.startswith(below)]

    def fetch(self, file: File, target: Path) -> None:
        """Copy one file; see Source.fetch."""
        try:
            # A pipe that took the place of the file must not block the reader.
            with open(os.open(self._root / file.key, os.O_RDONLY | os.O_NONBLOCK), "rb") as source:  # noqa: PTH123 - needs the flag
                _settle(os.fstat(source.fileno()))
                _require_unchanged(file, os.fstat(source.fileno()))
                with target.open("wb") as copy:
                    shutil.copyfileobj(source, copy, 1 << 20)
                _require_unchanged(file, os.fstat(source.fileno()))
        except OSError as error:
            if error.errno in _GONE:
                raise ContentChangedError(f"{file.key} is gone") from error
            raise SourceError(f"{self.location}: {file.key}: {error.strerror}") from error

    def _walk(self, folder: Path, prefix: str, found: list[File], above: frozenset[tuple[int, int]]) -> None:
        identity = _identity(folder.stat())
        if identity in above:  # a symbolic link back to one of its parents
            return
        with os.scandir(folder) as entries:
            for entry in entries:
                try:
                    status = entry.stat()
                except FileNotFoundError:  # deleted since, or a link that leads nowhere
                    continue
                if stat.S_ISDIR(status.st_mode):
                    self._enter(entry, f"{prefix}{entry.name}/", found, above | {identity})
                elif stat.S_ISREG(status.st_mode):
                    found.append(File(prefix + entry.name, status.st_size, _tag(status)))

    def _enter(
        self, entry: os.DirEntry[str], prefix: str, found: list[File], above: frozenset[tuple[int, int]]
    ) -> None:
        try:
            self._walk(Path(entry.path), prefix, found, above)
        except OSError as error:
            if error.errno not in _GONE:
                raise


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _tag(status: os.stat_result) -> str:
    # The change time moves even where a tool sets the modification time back.
    return f"{status.st_mtime_ns}-{status.st_ctime_ns}-{status.st_ino}"


def _settle(status: os.stat_result) -> None:
    age = time.time_ns() - max(status.st_mtime_ns, status.st_ctime_ns)
    if 0 <= age < _TICK_NS:
        threading.Event().wait((_TICK_NS - age) / 1e9)


def _require_unchanged(file: File, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode) or (status.st_size, _tag(status)) != (file.size, file.tag):
        raise ContentChangedError(f"{file.key} changed while it was copied")
