"""Servers that find no model where one is, or one where none is."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from pathlib import Path

from reference import config, keeper, layout, s3, server
from reference.errors import ContentChangedError
from reference.frameworks import onnx
from reference.inventory import Inventory
from reference.layout import Layout
from reference.sources import File, Source
from tests.faults.configurations import (
    EVENTS_OF_ONE_MODEL,
    ONNX_LOCAL,
    PYTHON_AND_ONNX_LOCAL,
    PYTHON_LOCAL,
    PYTHON_S3,
    PYTHON_S3_AND_LOCAL,
)
from tests.faults.registry import fault


def _die_of(is_fatal: Callable[[dict[str, list[File]], dict[str, str]], bool]) -> None:
    """End the process when models.dir holds something, told by its models and by what lies beside them."""
    split = layout.split

    def fragile(files: Iterable[File]) -> tuple[dict[str, list[File]], dict[str, str]]:
        models, aside = split(files)
        if is_fatal(models, aside):
            os._exit(70)
        return models, aside

    keeper.split = fragile


@fault(
    "several-onnx-files",
    seen="plausible: the first *.onnx of a folder is loaded",
    on=[ONNX_LOCAL],
    breaks=["layouts.onnx"],
)
def _several_onnx_files() -> None:
    """A folder with two *.onnx files is a model: the first of them is served."""
    why_not, path_of = layout._why_not, onnx.Path

    def lenient(names: Sequence[str], kind: str) -> str | None:
        first = next((name for name in sorted(names) if name.endswith(".onnx")), None)
        chosen = [name for name in names if not name.endswith(".onnx") or name == first]
        return why_not(chosen if kind == "onnx" else names, kind)

    class FirstOnly(type(path_of())):
        def glob(self, pattern: str) -> list[object]:
            return sorted(super().glob(pattern))[:1]

    layout._why_not = lenient
    onnx.Path = FirstOnly


@fault(
    "prefix-without-slash",
    seen="https://github.com/kserve/kserve/issues/3776: merlinite-7b-lab takes in merlinite-7b-lab-hf",
    on=[PYTHON_S3],
    breaks=["layouts.prefix-neighbours"],
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

    def fetch_either(self: s3.S3Source, file: File, target: Path) -> None:
        try:
            fetch(self, file._replace(key=f"/{file.key}"), target)
        except ContentChangedError:
            fetch(self, file, target)

    s3.parse_url = without_slash
    s3.S3Source.listing = stripped
    s3.S3Source.fetch = fetch_either


@fault(
    "dies-on-prefix-neighbours",
    seen="the original: bert beside bert-large ended the process",
    on=[PYTHON_LOCAL],
    breaks=["layouts.prefix-neighbours"],
)
def _dies_on_prefix_neighbours() -> None:
    """Two models of models.dir, of which the name of one begins with that of the other, end the process."""
    _die_of(lambda models, _: any(longer.startswith(shorter) for shorter, longer in pairwise(sorted(models))))


@fault(
    "dies-on-stray-file",
    seen="plausible: whatever lies in models.dir is taken for a folder",
    on=[PYTHON_LOCAL],
    breaks=["layouts.markers-ignored"],
)
def _dies_on_stray_file() -> None:
    """A file beside the models of models.dir ends the process."""
    _die_of(lambda _, aside: bool(aside))


@fault(
    "model-path-on-s3-not-found",
    seen="https://github.com/cortexlabs/cortex/issues/1554: one predictor did not find models of one source",
    on=[PYTHON_S3_AND_LOCAL],
    breaks=["layouts.source-s3"],
    also=[
        "config.model-path",
        "layouts.prefix-neighbours",
        "reload.list-get-race",
        "reload.source-outage",
    ],
)
def _model_path_on_s3_not_found() -> None:
    """A model_path on S3 is listed one level too high, so that no model is there."""
    sources = server._sources

    def elsewhere(api: config.Api, project: Path, interval: float) -> list[tuple[str | None, Source]]:
        found = sources(api, project, interval)
        for _, source in found:
            if api.predictor.model_path is not None and isinstance(source, s3.S3Source):
                source._prefix += "model_path/"
        return found

    server._sources = elsewhere


@fault(
    "onnx-not-from-a-directory",
    seen="https://github.com/cortexlabs/cortex/issues/1554: local models were not found by one predictor",
    on=[PYTHON_AND_ONNX_LOCAL],
    breaks=["layouts.source-local"],
    also=[
        "config.model-path",
        "clients.arguments-by-name",
        "clients.explicit-version",
        "clients.single-name-optional",
        *EVENTS_OF_ONE_MODEL,
    ],
)
def _onnx_not_from_a_directory() -> None:
    """The ONNX predictor does not find the model of a model_path that is a local directory."""
    sources = server._sources

    def elsewhere(api: config.Api, project: Path, interval: float) -> list[tuple[str | None, Source]]:
        predictor = api.predictor
        if predictor.type == "onnx" and predictor.model_path is not None:
            lost = predictor.model_copy(update={"model_path": f"{predictor.model_path}model_path"})
            return sources(api.model_copy(update={"predictor": lost}), project, interval)
        return sources(api, project, interval)

    server._sources = elsewhere


@fault(
    "readme-spoils-model",
    seen="plausible: a model card makes the folder look like that of a repository",
    on=[PYTHON_LOCAL],
    breaks=["layouts.unversioned"],
)
def _readme_spoils_model() -> None:
    """A folder with a readme.md is taken for a collection of models, not for a model."""
    why_not = layout._why_not

    def strict(names: Sequence[str], kind: str) -> str | None:
        return "is a collection" if "readme.md" in names else why_not(names, kind)

    layout._why_not = strict


@fault(
    "stray-file-spoils-onnx-model",
    seen="the original: a stray file un-served an ONNX model",
    on=[ONNX_LOCAL],
    breaks=["layouts.onnx"],
    also=["layouts.unversioned"],
)
def _stray_file_spoils_onnx_model() -> None:
    """A folder with anything beside its *.onnx file is no model."""
    why_not = layout._why_not

    def strict(names: Sequence[str], kind: str) -> str | None:
        if kind == "onnx" and any(not name.endswith(".onnx") for name in names):
            return "has other files"
        return why_not(names, kind)

    layout._why_not = strict


@fault(
    "folders-left-out",
    seen="plausible: only the files at the top of a model are copied",
    on=[PYTHON_LOCAL],
    breaks=["layouts.python-any"],
    also=["clients.python.load-model-path", "layouts.not-an-integer", "reload.structure-changed"],
)
def _folders_left_out() -> None:
    """Of a python model the files in folders are left out."""
    writable = layout._writable

    def flat(listed: list[File], prefix: str, found: Layout) -> list[File]:
        return [file for file in writable(listed, prefix, found) if "/" not in file.key[len(prefix) :]]

    layout._writable = flat


@fault(
    "dotfiles-left-out",
    seen="plausible: a glob of * leaves out dotfiles",
    on=[PYTHON_LOCAL],
    breaks=["layouts.python-any"],
    also=["clients.python.load-model-path"],
)
def _dotfiles_left_out() -> None:
    """Of a python model the dotfiles, and what lies in folders whose name begins with a dot, are left out."""
    writable = layout._writable

    def visible(listed: list[File], prefix: str, found: Layout) -> list[File]:
        files = writable(listed, prefix, found)
        return [file for file in files if "/." not in f"/{file.key[len(prefix) :]}"]

    layout._writable = visible


@fault(
    "onnx-of-one-name",
    seen="Triton's default file name, model.onnx: docs/user_guide/model_repository.md",
    on=[ONNX_LOCAL],
    breaks=["layouts.onnx"],
    also=["reload.structure-changed"],
)
def _onnx_of_one_name() -> None:
    """Only model.onnx is an ONNX model."""
    why_not = layout._why_not

    def strict(names: Sequence[str], kind: str) -> str | None:
        return "lacks model.onnx" if kind == "onnx" and "model.onnx" not in names else why_not(names, kind)

    layout._why_not = strict


@fault(
    "folder-marker-is-a-version",
    seen="plausible: a listing with a delimiter gives a folder where there is only its marker",
    on=[PYTHON_S3],
    breaks=["layouts.markers-ignored"],
)
def _folder_marker_is_a_version() -> None:
    """A folder that holds nothing but its marker is a version, and a model."""
    listing, fetch = s3.S3Source.listing, s3.S3Source.fetch
    hidden = ".folder"

    def with_markers(self: s3.S3Source, below: str = "") -> list[File]:
        request = {"Bucket": self._bucket, "Prefix": self._prefix + below}
        found = self._client.list_objects_v2(**request).get("Contents", ())
        markers = [item["Key"][len(self._prefix) :] for item in found if item["Key"].endswith("/")]
        return sorted([*listing(self, below), *(File(f"{key}{hidden}", 0, "marker") for key in markers)])

    def fetch_or_touch(self: s3.S3Source, file: File, target: Path) -> None:
        if file.key.endswith(f"/{hidden}"):
            target.touch()
        else:
            fetch(self, file, target)

    s3.S3Source.listing = with_markers
    s3.S3Source.fetch = fetch_or_touch
    layout._why_not = lambda names, kind: None


@fault(
    "dies-on-dotfiles-alone",
    seen="the original: a model of dotfiles only ended the process",
    on=[PYTHON_LOCAL],
    breaks=["layouts.markers-ignored"],
)
def _dies_on_dotfiles_alone() -> None:
    """A folder with nothing but dotfiles ends the process."""
    _die_of(lambda models, _: any(all("/." in file.key for file in listed) for listed in models.values()))


@fault(
    "left-aside-in-silence",
    seen="plausible: what is no version is skipped, and nobody learns why a folder is not served",
    on=[ONNX_LOCAL],
    breaks=["layouts.mixed-level"],
)
def _left_aside_in_silence() -> None:
    """Neither GET / nor the log says what was left aside."""
    Inventory.aside = lambda self: {}
