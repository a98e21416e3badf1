"""What the source holds, what of it is on disk, and what is offered to the serving processes."""

import itertools
import threading
import time
from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor

from reference import log, metrics
from reference.catalog import Catalog
from reference.errors import ContentChangedError, MovedError, RefusedError, SourceError, UnavailableError
from reference.holding import Entry, Held
from reference.layout import Layout, Version, analyse
from reference.resident import Candidate
from reference.sources import File, Source
from reference.store import Revision, Store

_FETCHES_AT_ONCE = 8
_ATTEMPTS = 3


class Inventory:
    """All models. With `lazy` a version is downloaded when it is first opened, else as soon as it is listed.

    Thread-safe. `changed` is notified with every new generation.
    """

    def __init__(self, store: Store, kind: str, lazy: bool) -> None:
        self._store = store
        self._kind = kind
        self._lazy = lazy
        self._models: dict[str, Held] = {}
        self._stamps = itertools.count(1)
        self._pool = ThreadPoolExecutor(_FETCHES_AT_ONCE, thread_name_prefix="fetch")
        self.changed = threading.Condition(threading.RLock())
        self.generation = 0
        self._dirty = True
        self._catalog = Catalog(0, {})

    def names(self, source: Source) -> list[str]:
        """Return the models that this source gave."""
        with self.changed:
            return [held.name for held in self._models.values() if held.source is source]

    def unsettled(self, name: str, source: Source, root: str, listed: list[File]) -> Held | None:
        """Return the model if this listing of it is news, or something is left to do for it."""
        held = self._models.get(name)
        if held is None:
            held = Held(name, source, root)
        due = held.retry_at is not None and time.monotonic() >= held.retry_at
        return held if held.listed != listed or due else None

    def settle(self, held: Held, listed: list[File], looked_at: float) -> bool:
        """Bring one model to the state that was listed; tell whether that succeeded in full.

        All of its changes become visible together, so that a version replaced by the next leaves no gap. If a download
        has looked at it since the listing began, at `looked_at` on the monotonic clock, nothing is done.
        """
        with held.busy:
            return looked_at < held.looked_at or self._settle(held, listed, looked_at)

    def remove(self, name: str, looked_at: float) -> None:
        """Forget a model of which nothing was listed at `looked_at`, unless a download has listed it since."""
        held = self._models[name]
        with held.busy, self.changed:  # not while a version of it is being downloaded, which would be left over
            if looked_at < held.looked_at:
                return
            del self._models[name]
            self._dirty = True
            self._discard(itertools.chain.from_iterable(entry.revisions for entry in held.entries.values()))
            held.entries = {}
        log.event("model_removed", model=name)

    def publish(self) -> None:
        """Let the serving processes see all changes since the last time."""
        with self.changed:
            if not self._dirty:
                return
            self._dirty = False
            metrics.FAILING.set(sum(map(len, self.failing().values())))
            self.generation += 1
            models = {
                name: {label: entry.stamp for label, entry in held.entries.items()}
                for name, held in self._models.items()
                if held.entries
            }
            self._catalog = Catalog(self.generation, models)
            self.changed.notify_all()

    @property
    def catalog(self) -> Catalog:
        """What was published last."""
        return self._catalog

    def open(self, name: str, label: str, stamp: int | None, holder: str) -> list[Candidate]:
        """Lease what may be loaded for one version, newest first, after downloading it if it is not on disk.

        Raises MovedError if it is not what was published under `stamp` any more (None: whatever is there), and
        UnavailableError if the source does not give it.
        """
        held = self._models.get(name)
        leased = self._lease(held, label, stamp, holder)
        if not leased and held is not None:
            with held.busy:
                leased = self._lease(held, label, stamp, holder) or self._download(held, label, stamp, holder)
        if not leased:
            self.publish()  # the caller follows what is there instead
            raise MovedError(f"model '{name}' version '{label}' is not there any more as it was listed")
        return leased

    def report(self, name: str, label: str, revision: int, failure: str | None) -> None:
        """Take in whether a revision could be loaded: the newest one that could makes the older ones unneeded."""
        with self.changed:
            held = self._models.get(name)
            entry = held.entries.get(label) if held else None
            if entry is None or not entry.revisions:
                return
            for _, known in entry.revisions:
                known.proven = known.proven or (failure is None and known.id == revision)
            if entry.revisions[0][1].id == revision:
                entry.failure = failure
                if failure is not None:
                    metrics.FAILING.set(sum(map(len, self.failing().values())))
                else:
                    self._discard(entry.revisions[1:])
                    del entry.revisions[1:]

    def on_disk(self) -> list[tuple[str, str]]:
        """Return (model, version) of all that is on disk."""
        with self.changed:
            return [
                (held.name, label)
                for held in self._models.values()
                for label, entry in held.entries.items()
                if entry.revisions
            ]

    def drop(self, victims: Iterable[tuple[str, str]]) -> None:
        """Remove versions from disk that stay on offer."""
        with self.changed:
            for name, label in victims:
                held = self._models.get(name)
                entry = held.entries.get(label) if held else None
                if entry is not None:
                    self._discard(entry.revisions)
                    entry.revisions = []

    def aside(self) -> dict[str, str]:
        """Return what is left aside, by location, and why."""
        with self.changed:
            return {
                f"{held.source.location.rstrip('/')}/{key}": reason
                for held in self._models.values()
                for key, reason in held.aside.items()
            }

    def failing(self) -> dict[str, dict[str, str]]:
        """Return by model and version why the newest content cannot be loaded."""
        with self.changed:
            found: dict[str, dict[str, str]] = {}
            for held in self._models.values():
                for label, entry in held.entries.items():
                    if entry.failure is not None:
                        found.setdefault(held.name, {})[label or "latest"] = entry.failure
            return found

    def _settle(self, held: Held, listed: list[File], looked_at: float) -> bool:
        layout = analyse(listed, held.root, self._kind)
        fetches = {
            label: self._pool.submit(self._store.add, held.source, version)
            for label, version in layout.versions.items()
            if self._wants(held.entries.get(label), version)
        }
        fetched: dict[str, Revision] = {}
        refused: dict[str, str] = {}
        for label, fetch in fetches.items():
            try:
                fetched[label] = fetch.result()
            except (ContentChangedError, SourceError, OSError) as error:
                log.failure("download_failed", model=held.name, version=label, reason=str(error))
                if isinstance(error, RefusedError | OSError):
                    refused[label] = f"cannot be downloaded: {error}"
        complete = len(fetches) == len(fetched) + len(refused)
        with self.changed:
            self._commit(
                held, layout, fetches.keys(), fetched, kept=None if not complete else {*layout.broken, *refused}
            )
        held.aside = layout.aside | {layout.versions[label].prefix: reason for label, reason in refused.items()}
        held.listed = listed if complete else None
        held.looked_at = looked_at
        held.postpone(bool(refused))
        for label, revision in fetched.items():
            log.event("downloaded", model=held.name, version=label, revision=revision.id)
        return complete

    def _wants(self, known: Entry | None, version: Version) -> bool:
        if known is None:
            return not self._lazy
        return known.version != version and (bool(known.revisions) or not self._lazy)

    def _commit(
        self,
        held: Held,
        layout: Layout,
        attempted: Collection[str],
        fetched: Mapping[str, Revision],
        kept: Collection[str] | None,
    ) -> None:
        """Replace the entries of a model; those in `kept` (None: all) stay although they are not offered anew."""
        entries: dict[str, Entry] = {}
        for label, version in layout.versions.items():
            known = held.entries.get(label)
            if label in fetched:
                entries[label] = self._renewed(known, version, fetched[label])
            elif known is not None and (known.version == version or label in attempted):
                entries[label] = known
            elif label not in attempted:
                entries[label] = Entry(version, next(self._stamps))
        for label, entry in held.entries.items():
            if label not in entries and (kept is None or label in kept):
                entries[label] = entry
        staying = {revision.id for entry in entries.values() for _, revision in entry.revisions}
        before = [pair for entry in held.entries.values() for pair in entry.revisions]
        self._discard(pair for pair in before if pair[1].id not in staying)
        self._dirty |= {label: entry.stamp for label, entry in held.entries.items()} != {
            label: entry.stamp for label, entry in entries.items()
        }
        held.entries = entries
        self._models.setdefault(held.name, held)

    def _renewed(self, known: Entry | None, version: Version, revision: Revision) -> Entry:
        stamp = next(self._stamps)
        older = known.revisions if known is not None else []
        if self._lazy and not older:  # evicted from disk while the new content came in
            self._store.discard(revision)
            return Entry(version, stamp)
        good = next((pair for pair in older if pair[1].proven), None)
        return Entry(version, stamp, [(stamp, revision), *([good] if good else older[:1])])

    def _download(self, held: Held, label: str, stamp: int | None, holder: str) -> list[Candidate]:
        """Bring a version to disk and lease it; return nothing if it is not what was published any more."""
        try:
            entry = held.entries.get(label)
            for _ in range(_ATTEMPTS):
                # With other content of this version, or without it, another one may be the latest by now.
                if entry is None or stamp not in (None, entry.stamp):
                    return []
                if held.entries.get(label) is not entry or self._models.get(held.name) is not held:
                    return []
                try:
                    revision = self._store.add(held.source, entry.version)
                except ContentChangedError:
                    looked_at = time.monotonic()
                    self._settle(held, held.source.listing(held.root), looked_at)
                    continue
                log.event("downloaded", model=held.name, version=label, revision=revision.id)
                with self.changed:
                    entry.revisions = [(entry.stamp, revision)]
                    # At once, before an eviction run can take it for unused.
                    return self._lease(held, label, stamp, holder)
        except (SourceError, OSError) as error:
            log.failure("download_failed", model=held.name, version=label, reason=str(error))
            raise UnavailableError(f"model '{held.name}' version '{label}' cannot be downloaded now") from error
        raise UnavailableError(f"model '{held.name}' version '{label}' is being overwritten all the time")

    def _lease(self, held: Held | None, label: str, stamp: int | None, holder: str) -> list[Candidate]:
        with self.changed:
            entry = held.entries.get(label) if held else None
            if entry is None or stamp not in (None, entry.stamp):
                return []
            for _, revision in entry.revisions:
                self._store.lease(revision, holder)
            return [Candidate(revision.id, stamp, str(revision.path)) for stamp, revision in entry.revisions]

    def _discard(self, revisions: Iterable[tuple[int, Revision]]) -> None:
        for _, revision in revisions:
            self._store.discard(revision)
