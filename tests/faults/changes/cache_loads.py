"""Servers with a cache that download and load too often, too early, or not again."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from reference import inventory, resident, store
from reference.inventory import Inventory
from reference.layout import Layout, Version
from reference.models import Models
from reference.resident import Candidate, Resident, Slot
from reference.sources import Source
from reference.store import Store
from tests.faults.configurations import CACHED_ONNX_S3, CACHED_PYTHON_LOCAL, CACHED_PYTHON_S3
from tests.faults.registry import fault


@fault(
    "everything-downloaded",
    seen="plausible: caching in memory is an afterthought to a mirror on disk",
    on=[CACHED_PYTHON_S3],
    breaks=["cache.lazy"],
)
def _everything_downloaded() -> None:
    """With caching too every model is downloaded when it is found."""
    prepare = Inventory.__init__

    def eager(self: Inventory, place: Store, kind: str, lazy: bool) -> None:
        prepare(self, place, kind, lazy=False)

    Inventory.__init__ = eager


@fault(
    "loaded-by-each-request",
    seen="ray-project/ray (Serve multiplexing): double loads under concurrency",
    on=[CACHED_PYTHON_S3],
    breaks=["cache.single-flight"],
    also=["cache.reload"],
)
def _loaded_by_each_request() -> None:
    """Requests that come while a model is being loaded load it too, and whichever load ends last is served for good."""

    def load_anyhow(self: Slot) -> Resident:
        for candidate in self._supply.candidates(self.name, self.label, self.stamp):
            found = self._try(candidate, newest=True)
            if found is not None:
                return found
        raise resident.LoadError("it cannot be loaded")

    Slot._load_once = load_anyhow


@fault(
    "downloaded-by-each-request",
    seen="plausible: the download has no lock of its own",
    on=[CACHED_ONNX_S3],
    breaks=["cache.single-flight"],
)
def _downloaded_by_each_request() -> None:
    """Each load downloads its model once more while another one does."""
    download = Inventory._download

    def twice(self: Inventory, held: inventory.Held, label: str, stamp: int, holder: str) -> list[Candidate]:
        found = download(self, held, label, stamp, holder)
        waiting = self.__dict__.setdefault("_concurrent", set())
        if (held.name, label) not in waiting:
            waiting.add((held.name, label))
            self._store.discard(self._store.add(held.source, held.entries[label].version))
        return found

    Inventory._download = twice


@fault(
    "downloaded-at-every-load",
    seen="plausible: what is on disk is never asked for",
    on=[CACHED_PYTHON_S3],
    breaks=["cache.keeps"],
)
def _downloaded_at_every_load() -> None:
    """A model that is loaded again is downloaded again, though its files are on disk."""
    lease = Inventory.open

    def anew(self: Inventory, name: str, label: str, stamp: int, holder: str) -> list[Candidate]:
        held = self._models.get(name)
        entry = held.entries.get(label) if held is not None else None
        if self._lazy and held is not None and entry is not None and entry.revisions:
            self._store.discard(self._store.add(held.source, entry.version))
        return lease(self, name, label, stamp, holder)

    Inventory.open = anew


@fault(
    "each-file-downloaded-twice",
    seen="plausible: once to check its sum, once to keep it",
    on=[CACHED_PYTHON_S3],
    breaks=["cache.two-layers"],
    also=["cache.single-flight"],
)
def _each_file_downloaded_twice() -> None:
    """A download fetches every file of a model two times."""
    fetch = store._fetch

    def twice(source: Source, version: Version, folder: Path) -> None:
        fetch(source, version, folder)
        fetch(source, version, folder)

    store._fetch = twice


@fault(
    "evicted-for-good",
    seen="plausible: what was evicted from disk is looked up there, and an error when it is missing",
    on=[CACHED_ONNX_S3],
    breaks=["cache.serves-all"],
)
def _evicted_for_good() -> None:
    """A model that was evicted from disk is not downloaded again."""
    drop, download = Inventory.drop, Inventory._download
    gone: set[tuple[str, str]] = set()

    def remember(self: Inventory, victims: Iterable[tuple[str, str]]) -> None:
        gone.update(tuple(victim) for victim in victims)
        drop(self, victims)

    def unless_gone(self: Inventory, held: inventory.Held, label: str, stamp: int, holder: str) -> list[Candidate]:
        if (held.name, label) in gone:
            raise inventory.UnavailableError("the files of the model are missing")
        return download(self, held, label, stamp, holder)

    Inventory.drop = remember
    Inventory._download = unless_gone


@fault(
    "cached-model-not-renewed",
    seen="plausible: with caching on, what is in memory is taken for what is in the source",
    on=[CACHED_PYTHON_LOCAL],
    breaks=["cache.reload"],
)
def _cached_model_not_renewed() -> None:
    """With caching on, a model in memory is not reloaded when it changes in place."""
    renew = Models.renew

    def unless_cached(self: Models, model: Any, slots: Iterable[Slot]) -> None:
        renew(self, model, slots if self._preload else [])

    Models.renew = unless_cached


@fault(
    "update-during-a-load-missed",
    seen="the reference itself, in one of some 150 runs of this suite: whatever was not in memory needed no renewal",
    on=[CACHED_PYTHON_LOCAL],
    breaks=["cache.reload"],
)
def _update_during_a_load_missed() -> None:
    """With caching on, a model that changes while a request loads it is served as it was, until it changes again."""
    is_behind = Slot.is_behind

    def once_loaded(self: Slot, stamp: int) -> bool:
        return is_behind(self, stamp) and not self._lock.locked()

    Slot.is_behind = once_loaded


@fault(
    "stale-after-eviction",
    seen="plausible: only what is in memory is compared with the source, and what is on disk is taken as it is",
    on=[CACHED_PYTHON_S3],
    breaks=["cache.reload"],
)
def _stale_after_eviction() -> None:
    """A model that changes while it is on disk and not in memory is loaded again from the files that it had."""
    wants, commit = Inventory._wants, Inventory._commit

    def is_idle(known: inventory.Entry | None, place: Store) -> bool:
        leased = known is not None and any(place._leases.get(revision.id) for _, revision in known.revisions)
        return known is not None and bool(known.revisions) and not leased

    def unless_idle(self: Inventory, known: inventory.Entry | None, version: Version) -> bool:
        return wants(self, known, version) and not (self._lazy and is_idle(known, self._store))

    def as_on_disk(
        self: Inventory, held: inventory.Held, layout: Layout, attempted: Any, *given: Any, kept: Any
    ) -> None:
        for label in layout.versions:
            known = held.entries.get(label)
            if self._lazy and known is not None and label not in attempted and is_idle(known, self._store):
                layout.versions[label] = known.version
        commit(self, held, layout, attempted, *given, kept=kept)

    Inventory._wants = unless_idle
    Inventory._commit = as_on_disk
