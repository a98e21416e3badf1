"""The disk layer: every revision in a folder of its own, complete before it is visible, kept while it is leased.

One process owns the store, and it starts empty.
"""

import itertools
import shutil
import threading
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from reference import metrics
from reference.errors import ContentChangedError
from reference.layout import Version
from reference.sources import Source


@dataclass(eq=False, slots=True)
class Revision:
    """One content of one version on disk."""

    id: int
    path: Path
    version: Version
    proven: bool = field(default=False)
    """Some process has loaded it."""


class Store:
    """The revisions of one run. Thread-safe."""

    def __init__(self, folder: Path) -> None:
        self._revisions = folder / "revisions"
        self._staging = folder / "staging"
        self._revisions.mkdir()
        self._staging.mkdir()
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._kept: dict[int, Revision] = {}
        self._leases: defaultdict[int, Counter[str]] = defaultdict(Counter)
        self._unwanted: set[int] = set()
        self._deletions = ThreadPoolExecutor(1, thread_name_prefix="delete")

    def add(self, source: Source, version: Version) -> Revision:
        """Bring one version to disk, whole and as it was at one instant.

        Raises ContentChangedError if the source moved on meanwhile, SourceError if it failed, OSError if the disk did.
        """
        number = next(self._numbers)
        staged = self._staging / str(number)
        try:
            _fetch(source, version, staged)
            visible = self._revisions / str(number)
            staged.rename(visible)
        except BaseException:
            shutil.rmtree(staged, ignore_errors=True)
            raise
        revision = Revision(number, visible, version)
        with self._lock:
            self._kept[number] = revision
            metrics.ON_DISK.set(len(self._kept))
        return revision

    def lease(self, revision: Revision, holder: str) -> None:
        """Keep the files of a revision until `holder` has released as many leases as it took."""
        with self._lock:
            self._leases[revision.id][holder] += 1

    def release(self, number: int, holder: str) -> None:
        """End one lease of `holder`; the last one lets an unwanted revision go."""
        with self._lock:
            leases = self._leases.get(number)
            if leases is None:
                return
            leases[holder] -= 1
            if leases[holder] <= 0:
                del leases[holder]
        self._collect(number)

    def release_all(self, holder: str) -> None:
        """End all leases of a holder that is gone."""
        with self._lock:
            numbers = [number for number, leases in self._leases.items() if leases.pop(holder, 0)]
        for number in numbers:
            self._collect(number)

    def discard(self, revision: Revision) -> None:
        """Delete a revision, now or as soon as nobody leases it."""
        with self._lock:
            self._unwanted.add(revision.id)
        self._collect(revision.id)

    def _collect(self, number: int) -> None:
        with self._lock:
            if self._leases.get(number) or number not in self._unwanted:
                return
            self._leases.pop(number, None)
            self._unwanted.remove(number)
            doomed = self._staging / f"{number}.gone"
            self._kept.pop(number).path.rename(doomed)
            metrics.ON_DISK.set(len(self._kept))
        # It is gone from where anybody knew it; deleting the bytes may take its time.
        self._deletions.submit(shutil.rmtree, doomed, ignore_errors=True)


def _fetch(source: Source, version: Version, folder: Path) -> None:
    for file in version.files:
        target = folder / file.key[len(version.prefix) :]
        target.parent.mkdir(parents=True, exist_ok=True)
        source.fetch(file, target)
    # Each file is what was listed, but a listing is no snapshot: only a set that is listed twice was there at one
    # instant, namely between the two. One file alone always was.
    if len(version.listed) > 1 and tuple(source.listing(version.prefix)) != version.listed:
        raise ContentChangedError(f"{version.prefix} changed while it was downloaded")
