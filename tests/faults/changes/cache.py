"""Servers that get the cache family wrong, or keep what they no longer serve."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from reference import eviction, inventory, models, resident, store
from reference.catalog import Catalog, Model
from reference.eviction import Eviction, Limits
from reference.inventory import Inventory
from reference.layout import Version
from reference.models import Models
from reference.resident import Candidate, Resident, Slot
from reference.sources import Source
from reference.store import Store
from tests.faults.configurations import CACHED_ONNX_S3, CACHED_PYTHON_LOCAL, CACHED_PYTHON_S3, PYTHON_LOCAL
from tests.faults.registry import fault


@fault(
    "disk-evicted-in-any-order",
    seen="the original: the disk cache was shrunk in arbitrary order",
    on=[CACHED_PYTHON_S3],
    breaks=["cache.lru-disk"],
)
def _disk_evicted_in_any_order() -> None:
    """What goes from disk, of what is not in memory, is chosen without regard to when it was accessed."""

    def shrink(self: Eviction, limit: int) -> int:
        loaded = {(slot.name, slot.label) for slot in self._models.slots() if slot.resident is not None}
        there = sorted(
            self._link.call("on_disk"),
            key=lambda key: (tuple(key) in loaded, hashlib.sha256(repr(key).encode()).digest()),
        )
        victims = there[: max(0, len(there) - limit)]
        self._link.call("drop", victims)
        return len(victims)

    Eviction._shrink_disk = shrink


@fault(
    "one-eviction-per-run",
    seen="the original: its cache never fell under 6 of a limit of 2 under steady traffic on 6 models",
    on=[CACHED_PYTHON_LOCAL],
    breaks=["cache.memory-limit"],
)
def _one_eviction_per_run() -> None:
    """An eviction run lets one model go from memory, however many are too many."""
    least_recently_used = eviction.least_recently_used
    eviction.least_recently_used = lambda slots, limit: least_recently_used(slots, limit)[:1]


@fault(
    "one-deletion-per-run",
    seen="the original: the disk cache needed three passes for nine models too many",
    on=[CACHED_PYTHON_S3],
    breaks=["cache.disk-limit"],
)
def _one_deletion_per_run() -> None:
    """An eviction run lets one model go from disk, however many are too many."""
    shrink = Eviction._shrink_disk

    def one(self: Eviction, limit: int) -> int:
        there = len(self._link.call("on_disk"))
        return shrink(self, max(limit, there - 1))

    Eviction._shrink_disk = one


@fault(
    "evicted-by-load-order",
    seen="plausible: a queue of loads instead of a record of accesses",
    on=[CACHED_ONNX_S3],
    breaks=["cache.lru-memory", "cache.lru-disk"],
)
def _evicted_by_load_order() -> None:
    """What was loaded first goes first, however recently it was accessed."""
    get = Slot.get

    def first_in_first_out(self: Slot) -> Resident:
        before = self.used
        was_there = self.resident is not None
        found = get(self)
        if was_there:
            self.used = before
        return found

    Slot.get = first_in_first_out


@fault(
    "evicted-within-requests",
    seen="ray-project/ray (Serve multiplexing): a strict limit, kept by whoever loads the next model",
    on=[CACHED_ONNX_S3],
    breaks=["cache.off-the-critical-path"],
)
def _evicted_within_requests() -> None:
    """A request that loads a model evicts another one at once when the limit is exceeded."""
    limits: list[Limits] = []
    prepare, load = Eviction.__init__, Models._load

    def remember(self: Eviction, link: Any, known: Models, given: Limits | None) -> None:
        prepare(self, link, known, given)
        limits.extend([given] if given else [])

    def strictly(self: Models, name: str | None, version: object) -> Resident:
        found = load(self, name, version)
        if limits:
            there = [slot for slot in self.slots() if slot.resident is not None]
            for slot in eviction.least_recently_used(there, limits[0].memory):
                slot.evict()
        return found

    Eviction.__init__ = remember
    Models._load = strictly


@fault(
    "disk-never-shrinks",
    seen="plausible: the files of evicted models stay until the disk is full",
    on=[CACHED_PYTHON_S3],
    breaks=["cache.disk-limit"],
)
def _disk_never_shrinks() -> None:
    """Nothing is ever evicted from disk."""
    Eviction._shrink_disk = lambda self, limit: 0


@fault(
    "one-model-too-many",
    seen="plausible: greater than instead of greater than or equal",
    on=[CACHED_PYTHON_S3],
    breaks=["cache.memory-limit", "cache.disk-limit"],
)
def _one_model_too_many() -> None:
    """One model more than the limit stays, in memory and on disk."""
    _move_limits(1)


@fault(
    "evicted-at-the-limit",
    seen="plausible: the document's sentence that evicts when the limit 'has been reached'",
    on=[CACHED_ONNX_S3],
    breaks=["cache.keeps"],
)
def _evicted_at_the_limit() -> None:
    """A run evicts until there is room for one model more."""
    _move_limits(-1)


def _move_limits(by: int) -> None:
    prepare = Eviction.__init__

    def moved(self: Eviction, link: Any, known: Models, limits: Limits | None) -> None:
        prepare(self, link, known, limits and Limits(limits.memory + by, limits.disk + by))

    Eviction.__init__ = moved


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
    "loaded-ahead",
    seen="plausible: memory is filled up to the limit before anybody asks",
    on=[CACHED_PYTHON_LOCAL],
    breaks=["cache.lazy"],
)
def _loaded_ahead() -> None:
    """As long as memory has room, models are loaded whenever some have changed."""
    prepare, apply = Eviction.__init__, Models.apply
    limits: list[Limits] = []

    def remember(self: Eviction, link: Any, known: Models, given: Limits | None) -> None:
        prepare(self, link, known, given)
        limits.extend([given] if given else [])

    def fill(self: Models, catalog: Catalog) -> list[tuple[Model, list[Slot]]]:
        is_first = not self.followed.is_set()
        stale = apply(self, catalog)
        if is_first:  # there is no predictor yet
            return stale
        absent = [model for model in self._models.values() if model.latest.resident is None]
        room = limits[0].memory - sum(slot.resident is not None for slot in self.slots()) if limits else 0
        return stale + [(model, [model.latest]) for model in absent[: max(0, room)]]

    Eviction.__init__ = remember
    Models.apply = fill


@fault(
    "loaded-by-each-request",
    seen="ray-project/ray (Serve multiplexing): double loads under concurrency",
    on=[CACHED_PYTHON_S3],
    breaks=["cache.single-flight"],
)
def _loaded_by_each_request() -> None:
    """Requests that come while a model is being loaded load it too."""

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
    "eviction-every-thirteen-seconds",
    seen="plausible: the pause begins when a slow run ends",
    on=[CACHED_PYTHON_LOCAL],
    breaks=["cache.period"],
    needs=["real time"],
)
def _eviction_every_thirteen_seconds() -> None:
    """Eviction runs at longer intervals than it says."""
    periodically = Eviction._run_periodically
    Eviction._run_periodically = lambda self, interval: periodically(self, 1.3 * interval)


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


@fault(
    "access-by-number-not-counted",
    seen="plausible: only the way that most requests take is counted",
    on=[CACHED_PYTHON_LOCAL],
    breaks=["cache.lru-memory"],
)
def _access_by_number_not_counted() -> None:
    """Only a request for the latest version counts as an access, one by number does not."""
    get = models.Models.get

    def by_latest(self: Models, name: str | None, version: str | None) -> Resident:
        found = self._models.get(self._single or name)
        slot = found.slots.get(version) if found is not None else None
        before = slot.used if slot is not None and version not in {None, "latest"} else None
        answer = get(self, name, version)
        if slot is not None and before:
            slot.used = before
        return answer

    models.Models.get = by_latest
