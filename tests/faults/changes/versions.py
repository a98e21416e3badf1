"""Servers that get versions wrong: which folders are versions, which one is the latest, what may lie beside them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from reference import catalog, inventory, layout
from reference.catalog import Model
from reference.layout import UNVERSIONED, Layout
from reference.resident import Slot
from reference.sources import File
from tests.faults.configurations import ONNX_LOCAL, PYTHON_LOCAL, PYTHON_S3
from tests.faults.registry import fault


def _analyse_otherwise(change: Callable[[Layout], None]) -> None:
    """Let a change be made to what is read in each model directory."""
    analyse = inventory.analyse

    def otherwise(files: Iterable[File], root: str, kind: str) -> Layout:
        layout = analyse(files, root, kind)
        change(layout)
        return layout

    inventory.analyse = otherwise


@fault(
    "latest-by-string",
    seen="https://github.com/MicrosoftDocs/azure-docs/issues/55133: of 8 to 12, 9 is taken for the latest",
    on=[PYTHON_S3],
    breaks=["layouts.latest-is-highest"],
)
def _latest_by_string() -> None:
    """The latest version is the last one by string, so that 9 comes after 10."""
    arrange = catalog.Model.of

    def by_string(name: str, slots: Iterable[Slot]) -> catalog.Model:
        model = arrange(name, slots)
        model.descending = tuple(sorted(model.descending, key=lambda slot: slot.label, reverse=True))
        model.point_latest(model.best())
        return model

    catalog.Model.of = by_string


@fault(
    "stray-entry-unserves-versions",
    seen="the original: a stray file beside the versions un-served the whole model",
    on=[ONNX_LOCAL],
    breaks=["layouts.mixed-level"],
    also=["layouts.not-an-integer"],
)
def _stray_entry_unserves_versions() -> None:
    """With anything beside the versions but dotfiles, none of them is served."""

    def strict(layout: Layout) -> None:
        if UNVERSIONED not in layout.versions and any(why == "beside the versions" for why in layout.aside.values()):
            layout.versions.clear()

    _analyse_otherwise(strict)


@fault(
    "model-beside-versions-wins",
    seen="plausible: whether a level is a model is asked before whether it has versions",
    on=[ONNX_LOCAL],
    breaks=["layouts.mixed-level"],
)
def _model_beside_versions_wins() -> None:
    """A level that is a model by itself has no versions, whatever integer folders it has."""
    analyse = inventory.analyse

    def otherwise(files: Iterable[File], root: str, kind: str) -> Layout:
        files = list(files)
        names = {file.key[len(root) :]: file for file in files}
        top = [name for name in names if "/" not in name]
        has_versions = any(name.partition("/")[0].isdecimal() for name in names if "/" in name)
        if kind == "onnx" and has_versions and layout._why_not(top, kind) is None:
            return analyse([names[name] for name in top], root, kind)
        return analyse(files, root, kind)

    inventory.analyse = otherwise


@fault(
    "highest-version-only",
    seen="Triton's default version policy: docs/user_guide/model_configuration.md, Version Policy",
    on=[ONNX_LOCAL],
    breaks=["layouts.versioned"],
    also=["clients.onnx.get-model", "reload.updated-in-place", "clients.unknown-is-404"],
)
def _highest_version_only() -> None:
    """Of the versions of a model only the highest can be asked for."""

    def highest(layout: Layout) -> None:
        for label in list(layout.versions)[:-1]:
            del layout.versions[label]

    _analyse_otherwise(highest)


@fault(
    "latest-by-upload-time",
    seen="plausible: the version that was changed last is taken for the latest",
    on=[PYTHON_LOCAL],
    breaks=["layouts.latest-is-highest"],
)
def _latest_by_upload_time() -> None:
    """The latest version is the one of which a file was changed last."""

    def by_time(layout: Layout) -> None:
        def changed(label: str) -> int:
            return max(int(file.tag.partition("-")[0]) for file in layout.versions[label].listed)

        layout.versions = {label: layout.versions[label] for label in sorted(layout.versions, key=changed)}

    _analyse_otherwise(by_time)
    arrange = Model.of

    def in_the_order_given(name: str, slots: Iterable[Slot]) -> Model:
        slots = list(slots)
        model = arrange(name, slots)
        model.descending = tuple(reversed(slots))
        model.point_latest(model.best())
        return model

    catalog.Model.of = in_the_order_given


@fault(
    "versions-of-64-bit",
    seen="https://github.com/tensorflow/serving/pull/217: a version is parsed as a signed integer of 64 bit",
    on=[PYTHON_LOCAL],
    breaks=["layouts.any-integer"],
)
def _versions_of_64_bit() -> None:
    """A folder whose number does not fit into 64 bit is no version."""

    def short(layout: Layout) -> None:
        for label in list(layout.versions):
            if label != UNVERSIONED and abs(int(label)) >= 2**63:
                del layout.versions[label]

    _analyse_otherwise(short)


@fault(
    "zero-is-no-version",
    seen="plausible: the number 0 is taken for no number",
    on=[ONNX_LOCAL],
    breaks=["layouts.any-integer"],
)
def _zero_is_no_version() -> None:
    """A folder 0 is no version."""

    def without_zero(layout: Layout) -> None:
        layout.versions.pop("0", None)

    _analyse_otherwise(without_zero)


@fault(
    "negative-is-no-version",
    seen="plausible: a version is a row of digits",
    on=[ONNX_LOCAL],
    breaks=["layouts.negative-integer"],
)
def _negative_is_no_version() -> None:
    """A folder with a minus in front of its number is no version."""
    layout._INTEGER = re.compile(r"[0-9]+", re.ASCII)


@fault(
    "versions-by-int",
    seen="plausible: int() of Python takes +1, 1_000 and digits of every script",
    on=[ONNX_LOCAL],
    breaks=["layouts.not-an-integer"],
)
def _versions_by_int() -> None:
    """Whatever int() can read is the name of a version."""

    class Integer:
        @staticmethod
        def fullmatch(text: str) -> bool:
            try:
                int(text)
            except ValueError:
                return False
            return True

    def canonical(number: str) -> str | None:
        return str(int(number)) if Integer.fullmatch(number) else None

    layout._INTEGER = Integer
    layout.canonical = catalog.canonical = canonical


@fault(
    "leading-zeros-count",
    seen="plausible: versions are found by the name of their folder",
    on=[PYTHON_LOCAL],
    breaks=["layouts.leading-zeros"],
)
def _leading_zeros_count() -> None:
    """A version can be asked for by the name of its folder only, so that 7 does not find 007."""
    catalog.canonical = lambda number: number


@fault(
    "invalid-version-unserves-model",
    seen="the original: one invalid version un-served the whole model",
    on=[ONNX_LOCAL],
    breaks=["layouts.bad-version-isolated"],
    also=["layouts.onnx"],
)
def _invalid_version_unserves_model() -> None:
    """A model with a version that is no model has none at all."""

    def strict(layout: Layout) -> None:
        if layout.broken:
            layout.versions.clear()

    _analyse_otherwise(strict)
