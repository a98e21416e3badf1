"""Servers that serve what they should refuse, refuse what they should serve, or do not say why."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import reference.__main__ as command_line
from reference import config, inventory, keeper, server, worker
from reference.catalog import DEFAULT_MODEL
from reference.errors import ConfigurationError
from reference.holding import Held
from reference.inventory import Inventory
from reference.keeper import Change, Keeper
from reference.layout import UNVERSIONED, Layout, Version
from reference.options import Options
from reference.sources import File, Source
from reference.yaml_lines import Document, Place
from tests.faults.configurations import CACHED_ONNX_LOCAL, ONNX_LOCAL, PYTHON_LOCAL
from tests.faults.registry import fault


@fault(
    "paths-and-dir-accepted",
    seen="plausible: whichever is looked at first wins",
    on=[PYTHON_LOCAL],
    breaks=["config.paths-or-dir"],
)
def _paths_and_dir_accepted() -> None:
    """A configuration with models.paths and models.dir is served from dir."""
    check_models = config._check_models

    def lenient(document: Document, at: Place, models: config.ModelsSection) -> None:
        both = models.paths is not None and models.dir is not None
        check_models(document, at, models.model_copy(update={"paths": None}) if both else models)

    config._check_models = lenient


@fault(
    "small-disk-cache-accepted",
    seen="plausible: the two sizes are never compared",
    on=[CACHED_ONNX_LOCAL],
    breaks=["config.cache-order"],
)
def _small_disk_cache_accepted() -> None:
    """A disk cache smaller than the memory cache is accepted."""
    check_models = config._check_models

    def lenient(document: Document, at: Place, models: config.ModelsSection) -> None:
        sizes = (models.cache_size, models.disk_cache_size)
        enough = max((size for size in sizes if size is not None), default=None)
        raised = models.disk_cache_size is not None
        check_models(document, at, models.model_copy(update={"disk_cache_size": enough}) if raised else models)

    config._check_models = lenient


@fault(
    "versions-of-model-path-unseen",
    seen="plausible: one configured model is read without looking for versions",
    on=[PYTHON_LOCAL],
    breaks=["config.model-path"],
    also=["clients.explicit-version"],
)
def _versions_of_model_path_unseen() -> None:
    """The directory of model_path is one model, whatever versions it holds."""
    settle, analyse = Inventory._settle, inventory.analyse
    single: list[bool] = []

    def noting(self: Inventory, held: Held, listed: list[File], looked_at: float) -> bool:
        single[:] = [held.name == DEFAULT_MODEL]
        return settle(self, held, listed, looked_at)

    def as_one(files: Iterable[File], root: str, kind: str) -> Layout:
        files = tuple(files)
        if single == [True]:
            return Layout({UNVERSIONED: Version(root, files, files)})
        return analyse(files, root, kind)

    Inventory._settle = noting
    inventory.analyse = as_one


@fault(
    "first-path-only",
    seen="plausible: written when there was one path",
    on=[ONNX_LOCAL],
    breaks=["config.models-paths"],
    also=["clients.by-name", "layouts.prefix-neighbours"],
)
def _first_path_only() -> None:
    """Of models.paths only the first entry is served."""
    sources = server._sources

    def first(api: config.Api, project: Path, interval: float) -> list[tuple[str | None, Source]]:
        return sources(api, project, interval)[:1]

    server._sources = first


@fault(
    "unversioned-not-in-dir",
    seen="Triton refuses a model without version folders: docs/user_guide/model_repository.md",
    on=[PYTHON_LOCAL],
    breaks=["config.models-dir"],
    # All of these are judged with unversioned models in a directory of models.
    also=[
        "layouts.unversioned",
        "layouts.not-an-integer",
        "layouts.bad-model-isolated",
        "clients.by-name",
        "clients.sole-name-optional",
        "clients.python.load-model-path",
        "clients.python.exact-object",
        "clients.python.load-once",
        "reload.model-added",
        "reload.model-removed",
        "reload.structure-changed",
        "reload.updated-in-place",
        "reload.versioned-to-unversioned",
    ],
)
def _unversioned_not_in_dir() -> None:
    """Of models.dir only those subdirectories are models that have versions."""
    settle, analyse = Inventory._settle, inventory.analyse
    in_dir: list[bool] = []

    def noting(self: Inventory, held: Held, listed: list[File], looked_at: float) -> bool:
        in_dir[:] = [bool(held.root)]
        return settle(self, held, listed, looked_at)

    def versioned(files: Iterable[File], root: str, kind: str) -> Layout:
        layout = analyse(files, root, kind)
        if root:
            layout.versions.pop(UNVERSIONED, None)
        return layout

    Inventory._settle = noting
    inventory.analyse = versioned


@fault(
    "alias-refused",
    seen="plausible: the key was renamed, https://github.com/cortexlabs/cortex/pull/1428",
    on=[PYTHON_LOCAL],
    breaks=["config.model-path-alias"],
)
def _alias_refused() -> None:
    """An entry of models.paths must not say model_path for path."""
    keys = config._EFFECTIVE["predictor.models.paths"]
    config._EFFECTIVE["predictor.models.paths"] = tuple(key for key in keys if key != "model_path")


@fault(
    "model-path-and-models-accepted",
    seen="plausible: whichever is looked at first wins",
    on=[PYTHON_LOCAL],
    breaks=["config.exclusive"],
)
def _model_path_and_models_accepted() -> None:
    """A configuration with model_path and models is served from model_path."""
    check = config._check_together

    def lenient(document: Document, place: Place, api: config.Api) -> None:
        predictor = api.predictor
        if predictor.model_path is not None and predictor.models is not None:
            api = api.model_copy(update={"predictor": predictor.model_copy(update={"models": None})})
        check(document, place, api)

    config._check_together = lenient


@fault(
    "cache-without-disk-accepted",
    seen="plausible: the size of one layer is a default for the other",
    on=[CACHED_ONNX_LOCAL],
    breaks=["config.cache-pair"],
)
def _cache_without_disk_accepted() -> None:
    """Of cache_size and disk_cache_size one is enough."""
    check_models = config._check_models

    def lenient(document: Document, at: Place, models: config.ModelsSection) -> None:
        sizes = {"cache_size": models.cache_size, "disk_cache_size": models.disk_cache_size}
        either = models.cache_size or models.disk_cache_size
        check_models(document, at, models.model_copy(update={key: size or either for key, size in sizes.items()}))

    config._check_models = lenient


@fault(
    "cache-of-any-size-accepted",
    seen="plausible: 0 is taken for no limit, and what is no integer is rounded",
    on=[CACHED_ONNX_LOCAL],
    breaks=["config.cache-positive"],
)
def _cache_of_any_size_accepted() -> None:
    """A cache_size that is not positive, or no integer, is taken for the nearest one that is."""

    class Lenient(config.Api):
        @classmethod
        def model_validate(cls, data: Any, **options: Any) -> config.Api:
            models = data.get("predictor", {}).get("models") or {}
            size = models.get("cache_size")
            if isinstance(size, (int, float)):
                models["cache_size"] = max(1, int(size))
            return config.Api.__base__.model_validate.__func__(cls, data, **options)

    config.Api = Lenient


@fault(
    "cache-with-processes-accepted",
    seen="plausible: each process has a cache of its own",
    on=[CACHED_ONNX_LOCAL],
    breaks=["config.cache-one-process"],
)
def _cache_with_processes_accepted() -> None:
    """Caching is accepted with any number of processes."""
    check = config._check_together

    def lenient(document: Document, place: Place, api: config.Api) -> None:
        one = api.predictor.model_copy(update={"processes_per_replica": 1})
        check(document, place, api.model_copy(update={"predictor": one}))

    config._check_together = lenient


@fault(
    "path-stands-in-for-model",
    seen="plausible: without load_model the predictor is given the path",
    on=[PYTHON_LOCAL],
    breaks=["config.load-model-required"],
)
def _path_stands_in_for_model() -> None:
    """A class without load_model is served, and get_model gives it the path of the model."""

    def require_or_provide(found: type[Any], file: Path) -> None:
        if not hasattr(found, "load_model"):
            found.load_model = lambda self, path: path

    worker.require_load_model = require_or_provide


@fault(
    "python-needs-a-model",
    seen="plausible: what the other predictors need is asked of all",
    on=[PYTHON_LOCAL],
    breaks=["config.python-model-optional"],
)
def _python_needs_a_model() -> None:
    """A python predictor without any model path is refused."""
    check = config._check_together

    def strict(document: Document, place: Place, api: config.Api) -> None:
        check(document, place, api)
        if not api.has_models:
            raise document.error((*place, "predictor"), "needs 'model_path' or 'models'")

    config._check_together = strict


@fault(
    "refusal-without-field",
    seen="plausible: the cause is lost on its way to the user",
    on=[PYTHON_LOCAL],
    breaks=["config.refusal-is-clear"],
)
def _refusal_without_field() -> None:
    """A refused configuration is called invalid, and nothing more is said."""
    serve = command_line.serve

    def curt(options: Options) -> None:
        try:
            serve(options)
        except ConfigurationError:
            raise ConfigurationError("the configuration is not valid") from None

    command_line.serve = curt


@fault(
    "refusal-exits-with-success",
    seen="plausible: the error is logged, and the process comes to its end",
    on=[ONNX_LOCAL],
    breaks=["config.refusal-is-clear"],
)
def _refusal_exits_with_success() -> None:
    """A server that refuses its configuration exits with status 0."""
    serve = command_line.serve

    def polite(options: Options) -> None:
        try:
            serve(options)
        except ConfigurationError as error:
            print(f"error: {error}")

    command_line.serve = polite


@fault(
    "invalid-path-holds-up-others",
    seen="https://github.com/SeldonIO/MLServer/issues/869: one model that fails keeps the server from being ready",
    on=[PYTHON_LOCAL],
    breaks=["config.invalid-path"],
)
def _invalid_path_holds_up_others() -> None:
    """While an entry of models.paths holds nothing, no other entry is served."""
    carry_out = Keeper._carry_out

    def all_or_nothing(self: Keeper, changes: list[Change]) -> int:
        empty = any(path.name not in {None, DEFAULT_MODEL} and path.listed == [] for path in self._paths)
        return carry_out(self, [] if empty else changes)

    keeper.Keeper._carry_out = all_or_nothing
