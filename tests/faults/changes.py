"""The changes that make a faulty server out of the reference, each with the clauses that it breaks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from reference import catalog, layout, s3
from reference.frameworks import onnx
from reference.resident import Slot
from reference.sources import File


@dataclass(frozen=True)
class Fault:
    """A way in which a server is wrong.

    `seen` says where such a bug was met; `setting` is the one that its clauses need, such as onnx-s3; `clauses` are all
    those that it breaks there, and no others may turn red.
    """

    name: str
    description: str
    seen: str
    setting: str
    clauses: frozenset[str]
    apply: Callable[[], None]


FAULTS: dict[str, Fault] = {}


def fault(
    name: str, *, seen: str, setting: str, clauses: Iterable[str]
) -> Callable[[Callable[[], None]], Callable[[], None]]:
    """Register a change; its docstring describes the fault."""

    def register(apply: Callable[[], None]) -> Callable[[], None]:
        assert apply.__doc__, "a fault has a description"
        FAULTS[name] = Fault(name, apply.__doc__, seen, setting, frozenset(clauses), apply)
        return apply

    return register


@fault(
    "latest-by-string",
    seen="plausible: folder names sorted as they are listed",
    setting="python-s3",
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
    setting="onnx-local",
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
    setting="python-s3",
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
