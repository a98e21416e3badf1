"""The process that looks at the source and keeps the disk: scans, sessions of the serving processes, their orders."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from reference import log, metrics
from reference.catalog import Catalog
from reference.errors import RefusedError, SourceError
from reference.holding import Held
from reference.inventory import Inventory
from reference.layout import split
from reference.resident import Candidate
from reference.sources import File, Source
from reference.store import Store

_PUBLISH_EVERY = 0.25
_MODELS_AT_ONCE = 16


class Order(NamedTuple):
    """What a serving process is told to do next."""

    catalog: Catalog | None
    eviction: int
    """Number of the last eviction run that was asked for."""


@dataclass(slots=True)
class ModelPath:
    """One configured model path; `name` is None for a directory of models."""

    source: Source
    name: str | None
    listed: list[File] | None = None
    aside: dict[str, str] = field(default_factory=dict)
    error: str | None = None
    refused: bool = False


@dataclass(slots=True)
class _Session:
    generation: int = 0
    eviction: int = 0


class Change(NamedTuple):
    """A model of which a listing, begun at a moment of the monotonic clock, has told news."""

    held: Held
    listed: list[File]
    looked_at: float


class Keeper:
    """Scans all paths, one after the other, and serves the calls of the serving processes.

    `reload_interval` is the time between two scans in seconds, or None to scan only when asked; then the first scan is
    repeated every `retry` seconds until it succeeds. `processes` is the number of those that serve.
    """

    def __init__(
        self,
        store: Store,
        inventory: Inventory,
        paths: Sequence[ModelPath],
        *,
        reload_interval: float | None,
        retry: float,
        processes: int,
    ) -> None:
        self._store = store
        self._paths = paths
        self._inventory = inventory
        self._changed = inventory.changed
        self._interval = reload_interval
        self._retry = retry
        self._processes = processes
        self._sessions: dict[str, _Session] = {}
        self._serving: set[str] = set()
        self._asked = self._scanned = self._eviction = 0
        self._ready = False

    def start(self) -> None:
        """Begin to scan in the background."""
        threading.Thread(target=self._run, name="scan", daemon=True).start()

    def calls(self) -> Mapping[str, Callable[..., Any]]:
        """Return what serving processes may call."""
        return {
            "attach": self.attach,
            "follow": self.follow,
            "settled": self.settled,
            "serving": self.serving,
            "open": self.open,
            "close": self.close,
            "report": self.report,
            "reload": self.reload,
            "evict": self.evict,
            "on_disk": self._inventory.on_disk,
            "drop": self._inventory.drop,
            "status": self.status,
        }

    def attach(self, process: str) -> None:
        """Wait for this process from now on when an order is given to all."""
        with self._changed:
            self._sessions[process] = _Session()

    def left(self, process: str) -> None:
        """Forget a process that is gone, with its leases."""
        log.event("process_left", left=process)
        with self._changed:
            self._sessions.pop(process, None)
            self._changed.notify_all()
        self._store.release_all(process)
        metrics.process_ended(int(process))

    def follow(self, process: str, generation: int, eviction: int) -> Order:
        """Wait until there is an order after this catalog and this eviction run, which the process has carried out."""
        with self._changed:
            self._sessions[process].eviction = eviction
            self._changed.notify_all()
            self._changed.wait_for(
                lambda: (self._ready and self._inventory.generation != generation) or self._eviction != eviction
            )
            new = self._ready and self._inventory.generation != generation
            return Order(self._inventory.catalog if new else None, self._eviction)

    def settled(self, process: str, generation: int) -> None:
        """Take in that a process serves all of a catalog."""
        with self._changed:
            self._sessions[process].generation = generation
            self._changed.notify_all()

    def serving(self, process: str) -> None:
        """Take in that a process can predict, and return when all can."""
        with self._changed:
            self._serving.add(process)
            self._changed.notify_all()
            self._changed.wait_for(lambda: len(self._serving) >= self._processes)

    def open(self, name: str, label: str, stamp: int | None, process: str) -> list[Candidate]:
        """See Inventory.open."""
        return self._inventory.open(name, label, stamp, process)

    def close(self, revisions: Sequence[int], process: str) -> None:
        """End one lease of this process on each of these revisions."""
        for revision in revisions:
            self._store.release(revision, process)

    def report(self, name: str, label: str, revision: int, failure: str | None) -> None:
        """See Inventory.report."""
        self._inventory.report(name, label, revision, failure)

    def reload(self) -> dict[str, Any]:
        """Make a scan that starts after this call, and return when every process serves its result."""
        with self._changed:
            self._asked += 1
            asked = self._asked
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._scanned >= asked)
            generation = self._inventory.generation
            self._changed.wait_for(
                # Before the first complete scan nothing is handed out, so there is nothing to wait for.
                lambda: not self._ready or all(each.generation >= generation for each in self._sessions.values())
            )
        return {"generation": generation, "sources": self._sources()}

    def evict(self) -> dict[str, Any]:
        """Return when every process has made an eviction run that started after this call."""
        with self._changed:
            self._eviction += 1
            asked = self._eviction
            self._changed.notify_all()
            self._changed.wait_for(lambda: all(session.eviction >= asked for session in self._sessions.values()))
        return {"eviction": asked}

    def status(self) -> dict[str, Any]:
        """Return what a person wants to know beside the list of models."""
        aside = self._inventory.aside()
        for path in self._paths:
            aside |= {f"{path.source.location.rstrip('/')}/{key}": reason for key, reason in path.aside.items()}
        return {
            "sources": self._sources(),
            "left_aside": dict(sorted(aside.items())[:1000]),
            "left_aside_count": len(aside),
            "failing": self._inventory.failing(),
        }

    def _sources(self) -> list[dict[str, str | None]]:
        return [{"path": path.source.location, "model": path.name, "error": path.error} for path in self._paths]

    def _run(self) -> None:
        while True:
            with self._changed:
                asked = self._asked
            try:
                self._scan()
            except Exception:  # noqa: BLE001 - the next scan gets its chance whatever went wrong in this one
                log.failure("scan_failed", exc_info=True)
                metrics.SCAN_FAILURES.inc()
            with self._changed:
                self._scanned = asked
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._asked > self._scanned, self._pause())

    def _pause(self) -> float | None:
        return self._interval if self._interval is not None or self._ready else self._retry

    def _scan(self) -> None:
        started = time.monotonic()
        changes: list[Change] = []
        keys = 0
        for path in self._paths:
            changes += self._look(path)
            keys += len(path.listed or ())
        failed = self._carry_out(changes)
        if not self._ready:
            some = any(path.listed is not None for path in self._paths) or not self._paths
            self._ready = some and not failed and all(path.listed is not None or path.refused for path in self._paths)
        self._inventory.publish()
        seconds = time.monotonic() - started
        metrics.SCANS.inc()
        metrics.SCAN_SECONDS.inc(seconds)
        unreachable = sum(path.error is not None for path in self._paths)
        if changes or unreachable:
            log.event(
                "scan",
                keys=keys,
                changed=len(changes),
                failed=failed,
                unreachable=unreachable,
                seconds=round(seconds, 4),
            )

    def _look(self, path: ModelPath) -> list[Change]:
        """List one path; return the models of which there is news."""
        looked_at = time.monotonic()
        try:
            files = path.source.listing()
        except SourceError as error:
            path.error, path.refused = str(error), isinstance(error, RefusedError)
            log.failure("source_failed", reason=path.error)
            metrics.SCAN_FAILURES.inc()
            return []
        path.error, path.listed = None, files
        if path.name is None:
            groups, path.aside = split(files)
        else:
            groups, path.aside = {path.name: files} if files else {}, {}
        for name in self._inventory.names(path.source):
            if name not in groups:
                self._inventory.remove(name, looked_at)
        changes = []
        for name, listed in groups.items():
            held = self._inventory.unsettled(name, path.source, "" if path.name else f"{name}/", listed)
            if held is not None:
                changes.append(Change(held, listed, looked_at))
        return changes

    def _carry_out(self, changes: Sequence[Change]) -> int:
        """Settle the models, showing progress as it comes; return how many have to be looked at again."""
        failed = 0
        published = time.monotonic()
        with ThreadPoolExecutor(_MODELS_AT_ONCE, thread_name_prefix="settle") as pool:
            for done in as_completed([pool.submit(self._settle, *change) for change in changes]):
                failed += not done.result()
                if time.monotonic() - published > _PUBLISH_EVERY:
                    self._inventory.publish()
                    published = time.monotonic()
        return failed

    def _settle(self, held: Held, listed: list[File], looked_at: float) -> bool:
        try:
            return self._inventory.settle(held, listed, looked_at)
        except Exception:  # noqa: BLE001 - one model that defies all expectation must not hold up the others
            log.failure("settle_failed", model=held.name, exc_info=True)
            return False
