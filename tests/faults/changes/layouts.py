"""Servers that get the layouts family wrong."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from reference import catalog, keeper, layout, s3
from reference.frameworks import onnx
from reference.resident import Slot
from reference.sources import File
from tests.faults.configurations import ONNX_LOCAL, PYTHON_LOCAL, PYTHON_S3
from tests.faults.registry import fault


@fault(
    "latest-by-string",
    seen="plausible: folder names sorted as they are listed",
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
    seen="plausible: the prefix is listed as configured, without a slash at its end",
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

    def fetch_either(self: s3.S3Source, file: File, target: s3.Path) -> None:
        try:
            fetch(self, file._replace(key=f"/{file.key}"), target)
        except s3.ContentChangedError:
            fetch(self, file, target)

    s3.parse_url = without_slash
    s3.S3Source.listing = stripped
    s3.S3Source.fetch = fetch_either


@fault(
    "dies-on-stray-file",
    seen="the original: a model of dotfiles only ended the process",
    on=[PYTHON_LOCAL],
    breaks=["layouts.markers-ignored"],
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
