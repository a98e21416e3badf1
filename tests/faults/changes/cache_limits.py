"""Servers that do not keep to the limits of their cache: in number, in order, or in time."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

from reference import eviction, models
from reference.catalog import Catalog, Model
from reference.eviction import Eviction, Limits
from reference.models import Models
from reference.resident import Candidate, Resident, Slot
from tests.faults.configurations import CACHED_ONNX_S3, CACHED_PYTHON_LOCAL, CACHED_PYTHON_S3, CACHED_TENSORFLOW_LOCAL
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
    on=[CACHED_PYTHON_LOCAL, CACHED_TENSORFLOW_LOCAL],
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


def _noted_limits() -> list[Limits]:
    """Give a list that takes in the limits of this process, if it has some."""
    limits: list[Limits] = []
    prepare = Eviction.__init__

    def noting(self: Eviction, link: Any, known: Models, given: Limits | None) -> None:
        prepare(self, link, known, given)
        limits.extend([given] if given else [])

    Eviction.__init__ = noting
    return limits


@fault(
    "evicted-within-requests",
    seen="ray-project/ray (Serve multiplexing): a strict limit, kept by whoever loads the next model",
    on=[CACHED_ONNX_S3],
    breaks=["cache.off-the-critical-path"],
)
def _evicted_within_requests() -> None:
    """A request that loads a model evicts another one at once when the limit is exceeded."""
    limits, load = _noted_limits(), Models._load

    def strictly(self: Models, name: str | None, version: object) -> Resident:
        found = load(self, name, version)
        if limits:
            there = [slot for slot in self.slots() if slot.resident is not None]
            for slot in eviction.least_recently_used(there, limits[0].memory):
                slot.evict()
        return found

    Models._load = strictly


@fault(
    "loaded-ahead",
    seen="plausible: memory is filled up to the limit before anybody asks",
    on=[CACHED_PYTHON_LOCAL],
    breaks=["cache.lazy"],
)
def _loaded_ahead() -> None:
    """As long as memory has room, models are loaded whenever some have changed."""
    limits, apply = _noted_limits(), Models.apply

    def fill(self: Models, catalog: Catalog) -> list[tuple[Model, list[Slot]]]:
        is_first = not self.followed.is_set()
        stale = apply(self, catalog)
        if is_first:  # there is no predictor yet
            return stale
        absent = [model for model in self._models.values() if model.latest.resident is None]
        room = limits[0].memory - sum(slot.resident is not None for slot in self.slots()) if limits else 0
        return stale + [(model, [model.latest]) for model in absent[: max(0, room)]]

    Models.apply = fill


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
    "eviction-every-eleven-and-a-half-seconds",
    seen="plausible: the time is counted by a timer that ticks too slowly",
    on=[CACHED_PYTHON_LOCAL],
    breaks=["cache.period"],
    needs=["real time"],
)
def _eviction_every_eleven_and_a_half_seconds() -> None:
    """Eviction runs at longer intervals than it says."""
    periodically = Eviction._run_periodically
    Eviction._run_periodically = lambda self, interval: periodically(self, 1.15 * interval)


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


@fault(
    "only-latest-is-evicted",
    seen="plausible: the models are gone through by name, and their older versions are not",
    on=[CACHED_PYTHON_LOCAL],
    breaks=["cache.memory-limit"],
)
def _only_latest_is_evicted() -> None:
    """An eviction run looks at the latest version of each model, and at no other."""
    run, least_recently_used = Eviction.run, eviction.least_recently_used
    latest: list[Slot] = []

    def noting(self: Eviction) -> None:
        latest[:] = [model.latest for model in self._models._models.values()]
        run(self)

    def of_latest(slots: Iterable[Slot], limit: int) -> list[Slot]:
        return least_recently_used([slot for slot in slots if slot in latest], limit)

    Eviction.run = noting
    eviction.least_recently_used = of_latest


@fault(
    "failed-load-evicts-another",
    seen="ray-project/ray (Serve multiplexing): room is made for a model before it is known that it can be loaded",
    on=[CACHED_PYTHON_LOCAL],
    breaks=["reload.broken-keeps-last-good"],
)
def _failed_load_evicts_another() -> None:
    """For a model that then cannot be loaded others are evicted, until memory has room for one more."""
    limits, attempt = _noted_limits(), Slot._try

    def at_the_cost_of_another(self: Slot, candidate: Candidate, newest: bool) -> Resident | None:
        loaded = attempt(self, candidate, newest)
        if loaded is None and limits:
            known: Models = self._supply.candidates.__self__
            there = [slot for slot in known.slots() if slot.resident is not None]
            for slot in eviction.least_recently_used(there, limits[0].memory - 1):
                if slot is not self:
                    slot.evict()
        return loaded

    Slot._try = at_the_cost_of_another
