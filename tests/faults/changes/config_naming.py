"""Servers that do not serve models as the configuration names them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from reference import config, inventory, keeper, server
from reference.catalog import DEFAULT_MODEL
from reference.holding import Held
from reference.inventory import Inventory
from reference.keeper import Change, Keeper
from reference.layout import UNVERSIONED, Layout, Version
from reference.sources import File, Source
from tests.faults.configurations import ONNX_LOCAL, PYTHON_LOCAL
from tests.faults.registry import fault


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
    also=["clients.by-name", "layouts.prefix-neighbours", "reload.processes"],
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
        "layouts.markers-ignored",
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
    analyse = inventory.analyse

    def versioned(files: Iterable[File], root: str, kind: str) -> Layout:
        layout = analyse(files, root, kind)
        if root:
            layout.versions.pop(UNVERSIONED, None)
        return layout

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
