"""Servers that get every event right, and some sequence of events wrong: only random programs see them do it."""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from reference.catalog import Model
from reference.holding import Held
from reference.inventory import Inventory
from reference.layout import analyse
from reference.models import Models
from reference.resident import Failure, Resident, Slot
from reference.sources import File
from tests.faults.configurations import ONNX_LOCAL, PYTHON_LOCAL
from tests.faults.registry import fault

Arrange = Callable[[Models, str, Mapping[str, int]], tuple[Model, list[Slot]]]

# What each process knows of versions that it has had once, by model and version.
_REMEMBERED: weakref.WeakKeyDictionary[Models, dict[tuple[str, str], Any]] = weakref.WeakKeyDictionary()


def _keys(files: Iterable[File]) -> set[str]:
    return {file.key for file in files}


def _remembered(models: Models) -> dict[tuple[str, str], Any]:
    return _REMEMBERED.setdefault(models, {})


def _stamps(models: Models, name: str) -> dict[str, int]:
    """Give the versions that a model had at the last look, each with the stamp of its content."""
    known = models._models.get(name)
    return {slot.label: slot.stamp for slot in known.descending} if known else {}


def _is_back_alone(models: Models, name: str, versions: Mapping[str, int]) -> bool:
    """Whether a model comes in that was not there at the last look, with one version."""
    return name not in models._models and len(versions) == 1


@fault(
    "number-stands-for-content",
    seen="plausible: what is known of a version is kept under its number, and never forgotten",
    on=[PYTHON_LOCAL],
    breaks=["reload.removed-then-restored"],
    also=["clients.python.released"],
    needs=["programs"],
)
def _number_stands_for_content() -> None:
    """A model that was gone and comes back with one version and other files is served with those that it had before."""
    arrange: Arrange = Models._arrange

    def revive(self: Models, name: str, versions: Mapping[str, int]) -> tuple[Model, list[Slot]]:
        known, is_back = _remembered(self), _is_back_alone(self, name, versions)
        model, stale = arrange(self, name, versions)
        for slot in model.descending if is_back else ():
            if slot.resident is None and (resident := known.get((name, slot.label))) is not None:
                slot.resident = Resident(resident.content, slot.stamp)
        return model, stale

    keep: Callable[[Slot, Any, bool], Resident | None] = Slot._try

    def remember(self: Slot, candidate: Any, newest: bool) -> Resident | None:
        resident = keep(self, candidate, newest)
        models = self._supply.candidates.__self__  # type: ignore[attr-defined]
        if resident is not None:
            _remembered(models)[self.name, self.label] = resident
        return resident

    Models._arrange = revive
    Slot._try = remember


@fault(
    "failure-outlives-the-version",
    seen="plausible: a list of versions that could not be loaded, which nothing is ever taken off",
    on=[PYTHON_LOCAL],
    breaks=["reload.removed-then-restored"],
    needs=["programs"],
)
def _failure_outlives_the_version() -> None:
    """A version that could not be loaded, went with its model and comes back alone and sound is not tried again."""
    arrange: Arrange = Models._arrange

    def distrust(self: Models, name: str, versions: Mapping[str, int]) -> tuple[Model, list[Slot]]:
        failed, is_back = _remembered(self), _is_back_alone(self, name, versions)
        model, stale = arrange(self, name, versions)
        for slot in model.descending if is_back else ():
            if (name, slot.label) in failed:
                slot.failure = Failure(slot.stamp, "it could not be loaded", math.inf, math.inf, hopeless=True)
        return model, stale

    report = Models._report

    def remember(self: Models, slot: Slot, candidate: Any, started: float, failure: str | None) -> None:
        report(self, slot, candidate, started, failure)
        if failure is not None:
            _remembered(self)[slot.name, slot.label] = failure

    Models._arrange = distrust
    Models._report = remember


@fault(
    "removal-hides-an-update",
    seen="plausible: the first difference that is found between two listings ends the comparison",
    on=[ONNX_LOCAL],
    breaks=["reload.updated-in-place"],
    needs=["programs"],
)
def _removal_hides_an_update() -> None:
    """When a version is removed, a sound one whose files are overwritten at the same time is taken for unchanged."""
    settle = Inventory._settle

    def one_thing_at_a_time(self: Inventory, held: Held, listed: list[File], looked_at: float) -> bool:
        before = {label: entry.version.listed for label, entry in held.entries.items()}
        now = {label: version.listed for label, version in analyse(listed, held.root, self._kind).versions.items()}
        sound = {label for label, entry in held.entries.items() if entry.failure is None}
        overwritten = [label for label in sound & now.keys() if _keys(before[label]) == _keys(now[label])]
        known = {file.key: file for label in overwritten for file in before[label]}
        as_taken = [known.get(file.key, file) for file in listed] if before.keys() - now.keys() else listed
        complete = settle(self, held, as_taken, looked_at)
        if complete:
            held.listed = listed
        return complete

    Inventory._settle = one_thing_at_a_time


@fault(
    "removal-hides-an-addition",
    seen="plausible: removals are handled first, and end the handling of a model",
    on=[PYTHON_LOCAL],
    breaks=["reload.version-added"],
    needs=["programs"],
)
def _removal_hides_an_addition() -> None:
    """When a version is removed and another one stays, one that came in at the same time is not seen."""
    arrange: Arrange = Models._arrange

    def one_thing_at_a_time(self: Models, name: str, versions: Mapping[str, int]) -> tuple[Model, list[Slot]]:
        before = _stamps(self, name).keys()
        staying = {label: stamp for label, stamp in versions.items() if label in before}
        return arrange(self, name, staying if staying and before - versions.keys() else versions)

    Models._arrange = one_thing_at_a_time


@fault(
    "addition-hides-a-removal",
    seen="plausible: additions are handled first, and end the handling of a model",
    on=[ONNX_LOCAL],
    breaks=["reload.version-removed"],
    needs=["programs"],
)
def _addition_hides_a_removal() -> None:
    """When a version comes in and another one stays, one that was removed at the same time is served on."""
    arrange: Arrange = Models._arrange

    def one_thing_at_a_time(self: Models, name: str, versions: Mapping[str, int]) -> tuple[Model, list[Slot]]:
        before = _stamps(self, name)
        is_one_of_several = "" not in {*before, *versions} and before.keys() & versions.keys()
        removed = before.keys() - versions.keys() if is_one_of_several and versions.keys() - before.keys() else ()
        return arrange(self, name, {**versions, **{label: before[label] for label in removed}})

    Models._arrange = one_thing_at_a_time


@fault(
    "returned-version-is-not-the-latest",
    seen="plausible: the highest version is kept as a number that only new versions raise",
    on=[PYTHON_LOCAL],
    breaks=["reload.version-added"],
    needs=["programs"],
)
def _returned_version_is_not_the_latest() -> None:
    """A version that comes back beside lower ones is served by its number, and until the next change not as latest."""
    arrange: Arrange = Models._arrange

    def lower_it(self: Models, model: Model) -> None:
        returned, before = _remembered(self)[model.name, "now"]
        lower = [slot for slot in model.descending if slot.label in before]
        if lower and model.latest is not None and model.latest.label in returned:
            model.point_latest(lower[0])

    def only_new(self: Models, name: str, versions: Mapping[str, int]) -> tuple[Model, list[Slot]]:
        ever = _remembered(self)
        before = _stamps(self, name).keys()
        for label in before - versions.keys():
            ever[name, label] = "removed"
        returned = {label for label in versions.keys() - before if ever.get((name, label)) == "removed"}
        ever[name, "now"] = returned, before
        model, stale = arrange(self, name, versions)
        lower_it(self, model)
        return model, stale

    renew = Models.renew

    def renew_and_lower(self: Models, model: Model, slots: Iterable[Slot]) -> None:
        renew(self, model, slots)
        lower_it(self, model)

    Models._arrange = only_new
    Models.renew = renew_and_lower
