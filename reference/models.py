"""The models that one process serves: what a request means by name and version, and how they follow the keeper."""

import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from threading import Condition, Event, Lock
from typing import Any

from reference import log, metrics
from reference.catalog import LATEST, Catalog, Model, unknown_model
from reference.errors import LoadError, MovedError, UnavailableError
from reference.link import Link
from reference.resident import Candidate, Resident, Slot, Supply

_NEXT_CATALOG = 10.0
"""Seconds to wait for a catalog that the keeper is known to have; it comes as soon as the keeper publishes."""

_ATTEMPTS = 3
"""To load a version while no other catalog comes in."""


class Models:
    """All models of one process.

    `load` makes from (model name, path) what clients use. `single` is the name that every request means where the API
    has one model (`model_path`). With `preload` a new highest version is loaded before `latest` moves to it.
    """

    def __init__(
        self, link: Link, load: Callable[[str, str], Any], *, single: str | None = None, preload: bool = True
    ) -> None:
        self.supply = Supply(self._candidates, load, self._report)
        self.followed = Event()
        """Set when the first catalog has been taken in."""
        self._link = link
        self._single = single
        self._preload = preload
        self._news = Condition()
        self._arranging = Lock()
        """Held by whoever says which versions a model has, or which of them is the latest."""
        self._generation = 0
        self._models: dict[str | None, Model] = {}
        self._applied: Mapping[str, Mapping[str, int]] = {}

    def get(self, name: str | None, version: str | None) -> Resident:
        """Return the resident of one version, loading it if need be.

        `latest` and None select the highest version that can be served. Raises UnknownModelError, LoadError or
        UnavailableError.
        """
        try:
            model = self._models[self._single or name]
            slot = model.slots[version]
        except (KeyError, TypeError):
            return self._load(name, version)
        if slot.resident is None:
            return self._load(name, version)
        resident = slot.get()
        return resident if self._preload or self._is_current(model) else self._load(name, version)

    def slots(self) -> list[Slot]:
        """Return the slots of all models."""
        return [slot for model in list(self._models.values()) for slot in model.descending]

    def metadata(self) -> dict[str, dict[str, Any]]:
        """Return what this process serves: by model, the versions in numeric order (none for an unversioned model)."""
        return {
            model.name: {"versions": model.labels, "latest": model.latest.label or None}
            for model in sorted(self._models.values(), key=lambda model: model.name)
        }

    def apply(self, catalog: Catalog) -> list[tuple[Model, list[Slot]]]:
        """Take in a catalog; return what has to be loaded anew, to be given to `renew`.

        What is in memory goes on serving until that is done.
        """
        stale: list[tuple[Model, list[Slot]]] = []
        for name in self._applied.keys() - catalog.models.keys():
            with self._arranging:
                del self._models[name]
        for name, versions in catalog.models.items():
            if self._applied.get(name) != versions:
                with self._arranging:
                    stale.append(self._arrange(name, versions))
        self._applied = catalog.models
        with self._news:
            self._generation = catalog.generation
            self._news.notify_all()
        self.followed.set()
        return [(model, slots) for model, slots in stale if slots]

    def renew(self, model: Model, slots: Iterable[Slot]) -> None:
        """Load newer content of these versions; what cannot be had now is logged and left as it is."""
        # The highest first: a lower one must not be the latest any more when its newer content is loaded.
        for slot in sorted(slots, key=lambda slot: int(slot.label or 0), reverse=True):
            try:
                slot.refresh()
            except UnavailableError as error:
                log.failure("refresh_failed", model=slot.name, version=slot.label, reason=str(error))
            self._select_best(model)

    def retry_failed(self) -> None:
        """Try content that failed to load once more where its time has come."""
        for model in list(self._models.values()):
            due = [slot for slot in model.descending if slot.retry_due()]
            if due:
                self.renew(model, due)

    def _arrange(self, name: str, versions: Mapping[str, int]) -> tuple[Model, list[Slot]]:
        known = self._models.get(name)
        kept = {slot.label: slot for slot in known.descending} if known else {}
        stale: list[Slot] = []
        slots: list[Slot] = []
        for label, stamp in versions.items():
            slot = kept.get(label) or Slot(name, label, stamp, self.supply)
            if slot.is_behind(stamp):
                stale.append(slot)
            slots.append(slot)
        model = Model.of(name, slots)
        serving = known.latest if known else None
        if self._preload and serving in model.descending and serving is not model.latest and serving.resident:
            stale.append(model.latest)
            model.point_latest(serving)
        if model.latest is not serving and model.latest in stale:
            # What it has, or a load is about to bring, is older than what was the latest until now.
            former, latest = model.latest, model.latest.anew(versions[model.latest.label])
            slots = [latest if slot is former else slot for slot in slots]
            stale = [latest if slot is former else slot for slot in stale]
            model = Model.of(name, slots)
        self._models[name] = model
        # Not before, so that no newer content is loaded while the versions are arranged as they were.
        for slot in slots:
            slot.stamp = versions[slot.label]
        return model, stale

    def _find(self, name: str | None, version: object) -> tuple[Model, Slot]:
        if not self.followed.is_set():
            raise UnavailableError("the models are not known yet")
        model = self._models.get(self._single or (None if name is None else str(name)))
        if name is None and model is None and len(self._models) == 1:
            model = next(iter(self._models.values()), None)
        if model is None:
            raise unknown_model(name, [str(known) for known in self._models])
        return model, model.find(version)

    def _load(self, name: str | None, version: object) -> Resident:
        """Find a version and load it if need be.

        When the source has moved on since the catalog that is followed here, or another one was taken in meanwhile, all
        is looked up again: neither this version nor the next highest of this catalog need ever have been the latest as
        they are now.
        """
        attempts = 0
        while True:
            generation = self._generation
            model, slot = self._find(name, version)
            try:
                if slot.resident is None and version in (None, LATEST):
                    resident = self._highest_that_loads(model)
                else:
                    resident = slot.get()
                attempts += 1
                # What changes faster than it loads would never be answered.
                if self._preload or self._is_current(model) or attempts == _ATTEMPTS:
                    return resident
            except MovedError:
                with self._news:
                    if not self._news.wait_for(partial(self._is_news, generation), _NEXT_CATALOG):
                        raise

    def _is_current(self, model: Model) -> bool:
        """Whether the versions of a model are still arranged like this."""
        return self._models.get(model.name) is model

    def _is_news(self, generation: int) -> bool:
        return self._generation != generation

    def _highest_that_loads(self, model: Model) -> Resident:
        first: LoadError | None = None
        for slot in model.descending[model.descending.index(model.latest) :]:
            try:
                resident = slot.get()
            except LoadError as error:
                first = first or error
                continue
            if first is not None:
                self._select_best(model)
            return resident
        raise first or LoadError("it has no version that can be loaded")

    def _select_best(self, model: Model) -> None:
        """Let `latest` select the best version, unless the versions were arranged anew meanwhile."""
        with self._arranging:
            if self._is_current(model):
                model.point_latest(model.best())

    def _select_loaded(self, slot: Slot) -> None:
        """Let `latest` select a version that could not be loaded until now, in whichever arrangement it is by now."""
        with self._arranging:
            model = self._models.get(slot.name)
            if model is not None and slot in model.descending[: model.descending.index(model.latest)]:
                model.point_latest(slot)

    def _candidates(self, name: str, label: str, stamp: int) -> list[Candidate]:
        # What is loaded ahead may be newer than its catalog, which would be outdated before it is loaded.
        wanted = None if self._preload else stamp
        found: list[Candidate] = self._link.call("open", name, label, wanted, self._link.process)
        return found

    def _report(self, slot: Slot, candidate: Candidate, started: float, failure: str | None) -> None:
        seconds = time.monotonic() - started
        metrics.LOAD_SECONDS.inc(seconds)
        fields: dict[str, Any] = {
            "model": slot.name,
            "version": slot.label,
            "revision": candidate.revision,
            "seconds": round(seconds, 4),
        }
        if failure is None:
            if candidate.stamp == slot.stamp:
                self._select_loaded(slot)
            metrics.LOADS.inc()
            log.event("loaded", **fields)
        else:
            metrics.LOAD_FAILURES.inc()
            log.failure("load_failed", **fields, reason=failure)
        try:
            self._link.call("report", slot.name, slot.label, candidate.revision, failure)
        except UnavailableError as error:
            log.failure("report_failed", reason=str(error))
