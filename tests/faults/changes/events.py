"""Servers that miss an event of live reloading, or make too much of it."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Mapping
from typing import Any

from reference import local
from reference.catalog import LATEST, Catalog, Model
from reference.errors import UnavailableError
from reference.holding import Held
from reference.inventory import Inventory
from reference.keeper import Keeper, ModelPath
from reference.layout import UNVERSIONED, Layout
from reference.models import Models
from reference.resident import Resident, Slot
from reference.sources import File, Source
from tests.faults.configurations import ONNX_LOCAL, PYTHON_LOCAL, TENSORFLOW_LOCAL
from tests.faults.registry import fault


@fault(
    "new-model-unseen",
    seen="plausible: the list of models is made once, as the server starts",
    on=[ONNX_LOCAL],
    breaks=["reload.model-added"],
    also=["reload.removed-then-restored"],
)
def _new_model_unseen() -> None:
    """A model that was not there when the server started is never served."""
    unsettled = Inventory.unsettled

    def known_only(self: Inventory, name: str, source: Source, root: str, listed: list[File]) -> Held | None:
        # Before the first complete scan nothing has been published.
        return unsettled(self, name, source, root, listed) if name in self._models or not self.generation else None

    Inventory.unsettled = known_only


@fault(
    "latest-stays-once-served",
    seen="https://github.com/triton-inference-server/server/issues/1724: no new version once a model was used",
    on=[PYTHON_LOCAL],
    breaks=["reload.version-added"],
)
def _latest_stays_once_served() -> None:
    """The latest version of a model that has been asked for stays the latest while it is there."""
    arrange, renew = Models._arrange, Models.renew

    def pinned(self: Models, name: str, versions: Mapping[str, int]) -> Any:
        known = self._models.get(name)
        model, stale = arrange(self, name, versions)
        if known is not None and known.latest in model.descending and known.latest.used:
            model.point_latest(known.latest)
        return model, stale

    def renew_pinned(self: Models, model: Model, slots: list[Slot]) -> None:
        latest = model.latest
        renew(self, model, slots)
        if latest.used:
            model.point_latest(latest)

    Models._arrange = pinned
    Models.renew = renew_pinned


@fault(
    "removed-version-stays",
    seen="triton-inference-server/server: versions deleted on S3 stay, as they are merged into those that are known",
    on=[ONNX_LOCAL, TENSORFLOW_LOCAL],
    breaks=["reload.version-removed"],
    also=["reload.versioned-to-unversioned"],
)
def _removed_version_stays() -> None:
    """A version that is removed goes on being served while its model is there."""
    commit = Inventory._commit

    def keeping(self: Inventory, held: Held, layout: Layout, *changed: Any, kept: Any) -> None:
        commit(self, held, layout, *changed, kept=None)

    Inventory._commit = keeping


@fault(
    "times-in-whole-seconds",
    seen="the original: the in-place check compared whole-second timestamps only",
    on=[PYTHON_LOCAL],
    breaks=["reload.updated-in-place"],
)
def _times_in_whole_seconds() -> None:
    """A file has changed if its size has, or the second of its last change."""
    local._tag = lambda status: str(int(status.st_mtime))


@fault(
    "removed-for-good",
    seen="plausible: names of removed models are kept, so that none is removed twice",
    on=[ONNX_LOCAL],
    breaks=["reload.removed-then-restored"],
)
def _removed_for_good() -> None:
    """A model that was removed is never served again."""
    remove, unsettled = Inventory.remove, Inventory.unsettled
    removed: set[str] = set()

    def remove_for_good(self: Inventory, name: str, looked_at: float) -> None:
        removed.add(name)
        remove(self, name, looked_at)

    def unless_removed(self: Inventory, name: str, source: Source, root: str, listed: list[File]) -> Held | None:
        return None if name in removed else unsettled(self, name, source, root, listed)

    Inventory.remove = remove_for_good
    Inventory.unsettled = unless_removed


@fault(
    "dies-when-emptied",
    seen="the original: an emptied models dir ended the process",
    on=[PYTHON_LOCAL],
    breaks=["reload.removed-then-restored"],
)
def _dies_when_emptied() -> None:
    """The server ends when nothing is left in models.dir."""
    look = Keeper._look

    def fragile(self: Keeper, path: ModelPath) -> Any:
        before = path.listed
        changes = look(self, path)
        if before and path.name is None and path.listed == []:
            os._exit(70)
        return changes

    Keeper._look = fragile


@fault(
    "versioned-for-good",
    seen="plausible: whether a model has versions is found out once",
    on=[PYTHON_LOCAL],
    breaks=["reload.versioned-to-unversioned"],
)
def _versioned_for_good() -> None:
    """A model that once had versions is none without them."""
    commit = Inventory._commit

    def remembering(self: Inventory, held: Held, layout: Layout, *changed: Any, kept: Any) -> None:
        if held.entries and UNVERSIONED not in held.entries:
            layout.versions.pop(UNVERSIONED, None)
        commit(self, held, layout, *changed, kept=kept)

    Inventory._commit = remembering


@fault(
    "all-reloaded-on-any-change",
    seen="https://github.com/triton-inference-server/server/issues/2147: models that did not change are loaded again",
    on=[PYTHON_LOCAL],
    breaks=["reload.untouched-not-reloaded"],
)
def _all_reloaded_on_any_change() -> None:
    """When one model changes, all of them are loaded again."""
    apply = Models.apply

    def apply_to_all(self: Models, catalog: Catalog) -> Any:
        stale = apply(self, catalog)
        for slot in self.slots():
            slot.evict()
        return stale

    Models.apply = apply_to_all


@fault(
    "unloads-before-it-loads",
    seen="https://github.com/triton-inference-server/server/issues/2076: the old model goes before the new one comes",
    on=[ONNX_LOCAL],
    breaks=["reload.no-gap"],
    also=["reload.in-flight"],
)
def _unloads_before_it_loads() -> None:
    """While an update in place is loaded, which takes a moment, the model is not available."""
    refresh, get = Slot.refresh, Slot.get
    loading: set[Slot] = set()
    moment = threading.Event()

    def refresh_from_nothing(self: Slot) -> None:
        loading.add(self)
        self.resident = None
        moment.wait(0.3)
        loading.discard(self)
        refresh(self)

    def get_unless_loading(self: Slot) -> Resident:
        if self in loading:
            raise UnavailableError("the model is being loaded")
        return get(self)

    Slot.refresh = refresh_from_nothing
    Slot.get = get_unless_loading


@fault(
    "older-version-now-and-then",
    seen="plausible: of two copies of a table one is updated later, and requests read either",
    on=[PYTHON_LOCAL],
    breaks=["reload.never-back"],
)
def _older_version_now_and_then() -> None:
    """Every fifth request for the latest version gets the one before, if that is in memory."""
    get, count = Models.get, itertools.count(1)

    def wavering(self: Models, name: str | None, version: str | None) -> Resident:
        resident = get(self, name, version)
        model = self._models.get(self._single or name)
        if version in {None, LATEST} and model is not None and next(count) % 5 == 0:
            older = model.descending[model.descending.index(model.latest) + 1 :]
            if older and older[0].resident is not None:
                return older[0].resident
        return resident

    Models.get = wavering
