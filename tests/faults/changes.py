"""The changes that make a faulty server out of the reference, each with the clauses that it breaks."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from reference import catalog, config, inventory, keeper, layout, s3
from reference.frameworks import onnx
from reference.inventory import Inventory
from reference.layout import Version
from reference.models import Models
from reference.resident import Candidate, Resident, Slot
from reference.sources import File, Source
from reference.store import Revision


@dataclass(frozen=True)
class Fault:
    """A way in which a server is wrong.

    `seen` says where such a bug was met; `chosen` is the expression (pytest's -k) that selects the tests to run, those
    of the setting that its clauses need; `clauses` are all that it breaks there, and no others may turn red.
    """

    name: str
    description: str
    seen: str
    chosen: str
    clauses: frozenset[str]
    apply: Callable[[], None]


FAULTS: dict[str, Fault] = {}


def fault(
    name: str, *, seen: str, chosen: str, clauses: Iterable[str]
) -> Callable[[Callable[[], None]], Callable[[], None]]:
    """Register a change; its docstring describes the fault."""

    def register(apply: Callable[[], None]) -> Callable[[], None]:
        assert apply.__doc__, "a fault has a description"
        FAULTS[name] = Fault(name, apply.__doc__, seen, chosen, frozenset(clauses), apply)
        return apply

    return register


@fault(
    "latest-by-string",
    seen="plausible: folder names sorted as they are listed",
    chosen="python-s3",
    clauses=["layouts.latest-is-highest"],
)
def _latest_by_string() -> None:
    """The latest version is the last one by string, so that 9 comes after 10."""
    arrange = catalog.Model.of

    def by_string(name: str, slots: Iterable[Slot]) -> catalog.Model:
        model = arrange(name, slots)
        model.descending = tuple(sorted(model.descending, key=lambda slot: slot.label, reverse=True))
        model.point_latest(model.best())
        return model

    catalog.Model.of = by_string  # type: ignore[method-assign, assignment]


@fault(
    "several-onnx-files",
    seen="plausible: the first *.onnx of a folder is loaded",
    chosen="onnx-local",
    clauses=["layouts.onnx"],
)
def _several_onnx_files() -> None:
    """A folder with two *.onnx files is a model: the first of them is served."""
    why_not, path_of = layout._why_not, onnx.Path

    def lenient(names: Sequence[str], kind: str) -> str | None:
        first = next((name for name in sorted(names) if name.endswith(".onnx")), None)
        chosen = [name for name in names if not name.endswith(".onnx") or name == first]
        return why_not(chosen if kind == "onnx" else names, kind)

    class FirstOnly(type(path_of())):  # type: ignore[misc]
        def glob(self, pattern: str) -> list[object]:
            return sorted(super().glob(pattern))[:1]

    layout._why_not = lenient
    onnx.Path = FirstOnly  # type: ignore[misc]


@fault(
    "prefix-without-slash",
    seen="plausible: the prefix is listed as configured, without a slash at its end",
    chosen="python-s3",
    clauses=["layouts.prefix-neighbours"],
)
def _prefix_without_slash() -> None:
    """The listing of s3://bucket/foo takes in s3://bucket/foobar/ as well."""
    parse_url, listing = s3.parse_url, s3.S3Source.listing

    def without_slash(url: str) -> tuple[str, str]:
        bucket, prefix = parse_url(url)
        return bucket, prefix.removesuffix("/")

    def stripped(self: s3.S3Source, below: str = "") -> list[File]:
        found = [file._replace(key=file.key.removeprefix("/")) for file in listing(self)]
        return [file for file in found if file.key.startswith(below)]

    fetch = s3.S3Source.fetch

    def fetch_either(self: s3.S3Source, file: File, target: s3.Path) -> None:
        try:
            fetch(self, file._replace(key=f"/{file.key}"), target)
        except s3.ContentChangedError:
            fetch(self, file, target)

    s3.parse_url = without_slash
    s3.S3Source.listing = stripped  # type: ignore[method-assign]
    s3.S3Source.fetch = fetch_either  # type: ignore[method-assign]


@fault(
    "same-size-unnoticed",
    seen="the original: a file overwritten within one second of its last change went unnoticed",
    chosen="python-local",
    clauses=["reload.updated-in-place"],
)
def _same_size_unnoticed() -> None:
    """A file overwritten by another one of the same size is not seen to have changed."""
    unsettled = Inventory.unsettled

    def by_size(self: Inventory, name: str, source: Source, root: str, listed: list[File]) -> inventory.Held | None:
        held = unsettled(self, name, source, root, listed)
        if held is not None and held.listed is not None and _sizes(held.listed) == _sizes(listed):
            return None
        return held

    Inventory.unsettled = by_size  # type: ignore[method-assign]


def _sizes(files: Iterable[File]) -> list[tuple[str, int]]:
    return [(file.key, file.size) for file in files]


@fault(
    "deletion-unnoticed",
    seen="the original: deleting a file that was not the newest went unnoticed",
    chosen="python-s3",
    clauses=["reload.structure-changed"],
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

    Inventory.unsettled = only_growth  # type: ignore[method-assign]


@fault(
    "removed-model-stays",
    seen="triton-inference-server/server: versions deleted on S3 stay",
    chosen="onnx-s3",
    clauses=["reload.model-removed"],
)
def _removed_model_stays() -> None:
    """A model of which nothing is left in the source is served for ever."""
    Inventory.remove = lambda self, name: None  # type: ignore[method-assign]  # noqa: ARG005


@fault(
    "broken-update-unserves",
    seen="tensorflow/serving 631, 1086: a half-copied version is loaded in the place of a good one",
    chosen="python-local",
    clauses=["reload.broken-keeps-last-good"],
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

    Inventory._renewed = newest_only  # type: ignore[method-assign]
    attempt = Slot._try

    def forgetful(self: Slot, candidate: Candidate, newest: bool) -> Resident | None:
        loaded = attempt(self, candidate, newest)
        if loaded is None:
            self.resident = None
        return loaded

    Slot._try = forgetful  # type: ignore[method-assign]


@fault(
    "unfinished-version-is-latest",
    seen="triton-inference-server/server 6534: an incomplete version folder wedges the model",
    chosen="onnx-local",
    clauses=["reload.half-uploaded"],
)
def _unfinished_version_is_latest() -> None:
    """The highest version is the latest although it cannot be loaded."""
    catalog.Model.best = lambda self: self.descending[0]  # type: ignore[method-assign]
    Models._highest_that_loads = lambda self, model: model.latest.get()  # type: ignore[method-assign]  # noqa: ARG005


@fault(
    "paths-and-dir-accepted",
    seen="plausible: whichever is looked at first wins",
    chosen="test_refusals or python-local",
    clauses=["config.paths-or-dir"],
)
def _paths_and_dir_accepted() -> None:
    """A configuration with models.paths and models.dir is served from dir."""
    check_models = config._check_models

    def lenient(document: config.Document, at: config.Place, models: config.ModelsSection) -> None:
        both = models.paths is not None and models.dir is not None
        check_models(document, at, models.model_copy(update={"paths": None}) if both else models)

    config._check_models = lenient


@fault(
    "small-disk-cache-accepted",
    seen="plausible: the two sizes are never compared",
    chosen="test_refusals or onnx-local",
    clauses=["config.cache-order"],
)
def _small_disk_cache_accepted() -> None:
    """A disk cache smaller than the memory cache is accepted."""
    check_models = config._check_models

    def lenient(document: config.Document, at: config.Place, models: config.ModelsSection) -> None:
        sizes = (models.cache_size, models.disk_cache_size)
        enough = max((size for size in sizes if size is not None), default=None)
        raised = models.disk_cache_size is not None
        check_models(document, at, models.model_copy(update={"disk_cache_size": enough}) if raised else models)

    config._check_models = lenient


@fault(
    "dies-on-stray-file",
    seen="the original: a model of dotfiles only ended the process",
    chosen="test_validity and python-local",
    clauses=["layouts.markers-ignored"],
)
def _dies_on_stray_file() -> None:
    """A file beside the models of models.dir ends the process."""
    split = layout.split

    def fragile(files: Iterable[File]) -> tuple[dict[str, list[File]], dict[str, str]]:
        models, aside = split(files)
        if aside:
            os._exit(70)
        return models, aside

    keeper.split = fragile
