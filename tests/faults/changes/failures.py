"""Servers that make too much, or too little, of a model that cannot be loaded."""

from __future__ import annotations

import os
from typing import Any

from reference import models, resident, worker
from reference.inventory import Inventory
from reference.keeper import Change, Keeper, ModelPath
from reference.models import Models
from reference.resident import Candidate, Resident, Slot
from tests.faults.configurations import PYTHON_LOCAL
from tests.faults.registry import fault


@fault(
    "failed-load-repeated-by-each-request",
    seen="the original: failing loads were downloaded again on every request",
    on=[PYTHON_LOCAL],
    breaks=["reload.broken-keeps-last-good"],
)
def _failed_load_repeated_by_each_request() -> None:
    """Content that cannot be loaded is tried again by every request."""
    Slot._waiting = lambda self, stamp: False
    get = Models.get

    def try_again(self: Models, name: str | None, version: str | None) -> Resident:
        model = self._models.get(self._single or name)
        for slot in model.descending if model is not None else ():
            if slot.failure is not None:
                slot.refresh()
        return get(self, name, version)

    Models.get = try_again


@fault(
    "failed-load-is-silent",
    seen="https://github.com/SeldonIO/MLServer/issues/957: the index says READY for a model that cannot be used",
    on=[PYTHON_LOCAL],
    breaks=["reload.broken-keeps-last-good"],
)
def _failed_load_is_silent() -> None:
    """Neither GET / nor the log says that a model could not be loaded."""
    models.log = _Silent()
    Inventory.failing = lambda self: {}


class _Silent:
    """A log that keeps failures to itself."""

    def __getattr__(self, name: str) -> Any:
        return lambda *_, **__: None


@fault(
    "failed-load-poisons-model",
    seen="https://github.com/SeldonIO/MLServer/issues/869: a model that failed to load keeps others from being served",
    on=[PYTHON_LOCAL],
    breaks=["layouts.bad-version-isolated"],
    also=["reload.half-uploaded", "reload.broken-keeps-last-good"],
)
def _failed_load_poisons_model() -> None:
    """Once a version could not be loaded, no version of its model is served."""
    attempt, get = Slot._try, Slot.get
    poisoned: set[str] = set()

    def noting(self: Slot, candidate: Candidate, newest: bool) -> Resident | None:
        loaded = attempt(self, candidate, newest)
        if loaded is None:
            poisoned.add(self.name)
        return loaded

    def unless_poisoned(self: Slot) -> Resident:
        if self.name in poisoned:
            raise resident.LoadError("a version of the model cannot be loaded")
        return get(self)

    Slot._try = noting
    Slot.get = unless_poisoned


@fault(
    "failed-load-ends-process",
    seen="https://github.com/triton-inference-server/server/issues/356: an incomplete model makes the server shut down",
    on=[PYTHON_LOCAL],
    breaks=["layouts.bad-model-isolated"],
    also=["layouts.bad-version-isolated", "reload.half-uploaded", "reload.broken-keeps-last-good"],
)
def _failed_load_ends_process() -> None:
    """A model that cannot be loaded ends the server."""
    load = worker._Worker._load_model

    def load_or_die(self: Any, name: str, path: str) -> Any:
        try:
            return load(self, name, path)
        except Exception:  # noqa: BLE001 - whatever it is
            os._exit(70)

    worker._Worker._load_model = load_or_die


@fault(
    "failed-load-ends-polling",
    seen="https://github.com/triton-inference-server/server/issues/6534: after an error at loading no change is seen",
    on=[PYTHON_LOCAL],
    breaks=["reload.broken-keeps-last-good"],
    also=["reload.half-uploaded"],
)
def _failed_load_ends_polling() -> None:
    """Once a model could not be loaded, no change of any model is seen."""
    report, look = Keeper.report, Keeper._look
    failures: list[str] = []

    def noting(self: Keeper, name: str, label: str, revision: int, failure: str | None) -> None:
        failures.extend([failure] if failure is not None else [])
        report(self, name, label, revision, failure)

    def until_one_failed(self: Keeper, path: ModelPath) -> list[Change]:
        return [] if failures else look(self, path)

    Keeper.report = noting
    Keeper._look = until_one_failed


@fault(
    "failed-load-is-final",
    seen="https://github.com/tensorflow/serving/issues/1738: a load that failed is never tried again",
    on=[PYTHON_LOCAL],
    breaks=["reload.broken-keeps-last-good"],
    also=["reload.half-uploaded"],
)
def _failed_load_is_final() -> None:
    """A version that could not be loaded is not tried again, also not with other content."""
    attempt, load = Slot.refresh, Slot._load

    def refresh(self: Slot) -> None:
        if self.failure is None:
            attempt(self)

    def unless_failed(self: Slot) -> Resident | None:
        return load(self) if self.failure is None else self.resident

    Slot.refresh = refresh
    Slot._load = unless_failed


@fault(
    "mended-version-forgotten",
    seen="the reference itself: the end of a load changed the latest version of the models as they were when it began",
    on=[PYTHON_LOCAL],
    breaks=["reload.half-uploaded"],
    # The suite makes a driven server look once at a time, and a look may wait for the load.
    clock="timed",
    intervals={"reload": 1.0},
)
def _mended_version_forgotten() -> None:
    """A version mended after a failed load is not the latest if another is added while it is loaded."""
    Models._select_loaded = lambda self, slot: None
