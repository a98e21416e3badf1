"""Servers that get the reload family wrong."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from reference import catalog, inventory
from reference.catalog import Model
from reference.inventory import Inventory
from reference.layout import Version
from reference.models import Models
from reference.resident import Candidate, Resident, Slot
from reference.sources import File, Source
from reference.store import Revision
from tests.faults.configurations import ONNX_LOCAL, ONNX_S3, PYTHON_LOCAL, PYTHON_S3, TENSORFLOW_S3
from tests.faults.registry import fault


@fault(
    "same-size-unnoticed",
    seen="the original: a file overwritten within one second of its last change went unnoticed",
    on=[PYTHON_LOCAL, TENSORFLOW_S3],
    breaks=["reload.updated-in-place"],
)
def _same_size_unnoticed() -> None:
    """A file overwritten by another one of the same size is not seen to have changed."""
    unsettled = Inventory.unsettled

    def by_size(self: Inventory, name: str, source: Source, root: str, listed: list[File]) -> inventory.Held | None:
        held = unsettled(self, name, source, root, listed)
        if held is not None and held.listed is not None and _sizes(held.listed) == _sizes(listed):
            return None
        return held

    Inventory.unsettled = by_size


def _sizes(files: Iterable[File]) -> list[tuple[str, int]]:
    return [(file.key, file.size) for file in files]


@fault(
    "deletion-unnoticed",
    seen="the original: deleting a file that was not the newest went unnoticed",
    on=[PYTHON_S3],
    breaks=["reload.structure-changed"],
)
def _deletion_unnoticed() -> None:
    """A file that is deleted from a model, of which others stay, is not missed."""
    unsettled = Inventory.unsettled

    def only_growth(self: Inventory, name: str, source: Source, root: str, listed: list[File]) -> inventory.Held | None:
        held = unsettled(self, name, source, root, listed)
        if held is not None and held.listed is not None and set(listed) < set(held.listed):
            folders = {file.key.rpartition("/")[0] for file in listed}
            if folders == {file.key.rpartition("/")[0] for file in held.listed}:
                return None
        return held

    Inventory.unsettled = only_growth


@fault(
    "removed-model-stays",
    seen="plausible: a listing is only searched for what is new",
    on=[ONNX_S3],
    breaks=["reload.model-removed"],
)
def _removed_model_stays() -> None:
    """A model of which nothing is left in the source is served for ever."""
    Inventory.remove = lambda self, name, looked_at: None


@fault(
    "update-reaches-every-other-answer",
    seen="plausible: of two copies of a table one is replaced, and requests read the one or the other",
    on=[ONNX_LOCAL],
    breaks=["reload.updated-in-place"],
    also=["reload.structure-changed"],
)
def _update_reaches_every_other_answer() -> None:
    """Of a version that is overwritten, new and old content are served in turn."""
    refresh, get = Slot.refresh, Models.get
    former: dict[int, Resident] = {}
    turns = itertools.count()

    def keeping(self: Slot) -> None:
        before = self.resident
        refresh(self)
        if before is not None and self.resident is not before:
            former[id(self)] = before

    def wavering(self: Models, name: str | None, version: str | None) -> Resident:
        resident = get(self, name, version)
        model = self._models.get(self._single or name)
        slot = model.slots.get(version) if model is not None else None
        return former.get(id(slot), resident) if next(turns) % 2 else resident

    Slot.refresh = keeping
    Models.get = wavering


@fault(
    "broken-update-falls-back",
    seen="plausible: a version that cannot be loaded is no candidate for the latest any more",
    on=[PYTHON_LOCAL],
    breaks=["reload.broken-keeps-last-good"],
)
def _broken_update_falls_back() -> None:
    """While an update of the latest version cannot be loaded, a lower version is the latest."""
    renew = Models.renew

    def renew_and_fall_back(self: Models, model: Model, slots: Iterable[Slot]) -> None:
        renew(self, model, slots)
        for slot in model.descending[:-1]:
            if slot.failure is not None:
                slot.resident = None
        self._select_best(model)

    Models.renew = renew_and_fall_back


@fault(
    "broken-update-unserves",
    seen="plausible: what is on disk is replaced before the new content has proven itself",
    on=[PYTHON_LOCAL],
    breaks=["reload.broken-keeps-last-good"],
)
def _broken_update_unserves() -> None:
    """An update in place that cannot be loaded leaves nothing to serve: the revision before it is gone."""
    renewed = Inventory._renewed

    def newest_only(
        self: Inventory, known: inventory.Entry | None, version: Version, revision: Revision
    ) -> inventory.Entry:
        entry = renewed(self, known, version, revision)
        del entry.revisions[1:]
        return entry

    Inventory._renewed = newest_only
    attempt = Slot._try

    def forgetful(self: Slot, candidate: Candidate, newest: bool) -> Resident | None:
        loaded = attempt(self, candidate, newest)
        if loaded is None:
            self.resident = None
        return loaded

    Slot._try = forgetful


@fault(
    "unfinished-version-is-latest",
    seen="plausible: the latest is the highest, whatever becomes of it when it is loaded",
    on=[ONNX_LOCAL],
    breaks=["reload.half-uploaded"],
)
def _unfinished_version_is_latest() -> None:
    """The highest version is the latest although it cannot be loaded."""
    catalog.Model.best = lambda self: self.descending[0]
    Models._highest_that_loads = lambda self, model: model.latest.get()


@fault(
    "name-of-file-does-not-count",
    seen="plausible: the one file of a model is compared with the one that was there, whatever it is called",
    on=[ONNX_LOCAL],
    breaks=["reload.structure-changed"],
)
def _name_of_file_does_not_count() -> None:
    """A model that has as many files as before, one of them by another name, is taken for unchanged."""
    unsettled = Inventory.unsettled

    def by_number(self: Inventory, name: str, source: Source, root: str, listed: list[File]) -> inventory.Held | None:
        held = unsettled(self, name, source, root, listed)
        if held is not None and held.listed is not None and len(held.listed) == len(listed):
            names, before = ({file.key for file in files} for files in (listed, held.listed))
            folders, former = ({key.rpartition("/")[0] for key in keys} for keys in (names, before))
            if names != before and folders == former:
                return None
        return held

    Inventory.unsettled = by_number
