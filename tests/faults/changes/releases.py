"""Servers that keep what they no longer serve, or let go what is still in use."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

from reference import store
from reference.resident import Candidate, Resident, Slot
from reference.store import Store
from tests.faults.configurations import CACHED_PYTHON_LOCAL, CACHED_PYTHON_S3, PYTHON_LOCAL
from tests.faults.registry import fault


@fault(
    "evicted-objects-kept",
    seen="plausible: a list of everything loaded, for statistics",
    on=[CACHED_PYTHON_LOCAL],
    breaks=["cache.memory-limit", "clients.python.released"],
)
def _evicted_objects_kept() -> None:
    """A reference to every object that load_model returned stays for good."""
    kept: list[Any] = []
    load = Slot._try

    def keeping(self: Slot, candidate: Candidate, newest: bool) -> Resident | None:
        found = load(self, candidate, newest)
        kept.extend([found.content] if found is not None else [])
        return found

    Slot._try = keeping


@fault(
    "replaced-objects-kept",
    seen="plausible: the revision before is kept to fall back on, and never given up",
    on=[PYTHON_LOCAL],
    breaks=["clients.python.released"],
)
def _replaced_objects_kept() -> None:
    """The object of a revision that was replaced stays in memory."""
    kept: list[Any] = []
    refresh = Slot.refresh

    def keeping(self: Slot) -> None:
        kept.append(self.resident)
        refresh(self)

    Slot.refresh = keeping


@fault(
    "files-kept-in-memory",
    seen="plausible: a buffer for each file that was read, which nobody gives back",
    on=[CACHED_PYTHON_LOCAL],
    breaks=["clients.python.memory-returns"],
    directly=True,
)
def _files_kept_in_memory() -> None:
    """What was read to load a model stays in memory, while the object itself is let go."""
    kept: list[bytes] = []
    load = Slot._try

    def keeping(self: Slot, candidate: Candidate, newest: bool) -> Resident | None:
        kept.extend(file.read_bytes() for file in Path(candidate.path).rglob("*") if file.is_file())
        return load(self, candidate, newest)

    Slot._try = keeping


@fault(
    "files-deleted-under-requests",
    seen="plausible: eviction from disk knows nothing of requests",
    on=[CACHED_PYTHON_S3],
    breaks=["cache.in-use"],
    also=["reload.in-flight"],
)
def _files_deleted_under_requests() -> None:
    """Files go from disk while a request still holds the model that was loaded from them."""
    numbers = itertools.count(1)

    def discard(self: Store, revision: store.Revision) -> None:
        with self._lock:
            known = self._kept.pop(revision.id, None)
            self._leases.pop(revision.id, None)
        if known is not None:
            doomed = self._staging / f"{next(numbers)}.deleted"
            known.path.rename(doomed)
            self._deletions.submit(store.shutil.rmtree, doomed, ignore_errors=True)

    Store.discard = discard
