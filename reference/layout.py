"""What models and versions a listing holds. Pure, and linear in the number of keys.

One rule for every predictor: a level with at least one valid integer folder is versioned, and whatever else lies at
that level is left aside. Otherwise the level itself is the model, if it is one.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from reference.sources import File

UNVERSIONED = ""
"""The label of the only version of a model without version folders."""

_INTEGER = re.compile(r"-?[0-9]+", re.ASCII)
# Empty, `.` and `..` parts, NUL, and parts that are longer than a file name may be.
_UNSAFE = re.compile(r"(?:^|/)\.{0,2}(?:/|$)|\x00|[^/]{256}")
_SHARD = re.compile(r"variables/variables\.data-([0-9]+)-of-([0-9]+)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Version:
    """One version: all that was listed below `prefix`, and the files of it that make up the model."""

    prefix: str
    listed: tuple[File, ...]
    files: tuple[File, ...]


@dataclass(slots=True)
class Layout:
    """What one model directory holds."""

    versions: dict[str, Version] = field(default_factory=dict)
    """By folder name, lowest number first; UNVERSIONED for a model without version folders."""
    broken: dict[str, str] = field(default_factory=dict)
    """Versions that are there but are no model, at least not yet: why."""
    aside: dict[str, str] = field(default_factory=dict)
    """Keys and folders that are left aside: why."""


def canonical(number: str) -> str | None:
    """Return the one spelling of an integer (`007` -> `7`), or None if it is not one (`v2`, `1.0`, `+1`)."""
    if not _INTEGER.fullmatch(number):
        return None
    digits = number.lstrip("-").lstrip("0") or "0"
    return f"-{digits}" if number[0] == "-" and digits != "0" else digits


def split(files: Iterable[File]) -> tuple[dict[str, list[File]], dict[str, str]]:
    """Group the files of a directory of models by model; the second value is what is left aside, and why."""
    models: dict[str, list[File]] = {}
    aside: dict[str, str] = {}
    for file in files:
        name, slash, _ = file.key.partition("/")
        if slash and name not in models and (name[:1] == "." or _unsafe(name)):
            slash = ""
        if slash:
            models.setdefault(name, []).append(file)
        elif _unsafe(name):
            aside[file.key] = "the name cannot be written to disk"
        elif name[0] != ".":
            aside[file.key] = "a file beside the models"
    return models, aside


def analyse(files: Iterable[File], root: str, kind: str) -> Layout:
    """Tell what the model directory at `root` (empty, or ending with `/`) holds.

    `kind` is the predictor type, or `inferentia`. Every key in `files` starts with `root`.
    """
    folders: dict[str, list[File]] = {}
    beside: list[File] = []
    for file in files:
        first, slash, _ = file.key[len(root) :].partition("/")
        if slash and (first in folders or _INTEGER.fullmatch(first)):
            folders.setdefault(first, []).append(file)
        else:
            beside.append(file)
    layout = Layout()
    for label in _one_spelling_each(folders, root, layout):
        _add(layout, label, f"{root}{label}/", folders[label], kind)
    if layout.versions:
        for name in dict.fromkeys(file.key[len(root) :].partition("/")[0] for file in beside):
            if not name.startswith("."):
                layout.aside[root + name] = "beside the versions"
        return layout
    if beside:
        everything = [*beside, *(file for folder in folders.values() for file in folder)]
        alone = Layout()
        _add(alone, UNVERSIONED, root, everything, kind)
        if alone.versions or not folders:
            return alone
        layout.broken.update(alone.broken)
    return layout


def _one_spelling_each(folders: Iterable[str], root: str, layout: Layout) -> list[str]:
    """Sort version folders by number; of `7` and `007`, which are one version, the plain spelling stays."""
    chosen: dict[str | None, str] = {}
    for label in sorted(folders, key=lambda label: (int(label), len(label), label)):
        number = canonical(label)
        twin = chosen.setdefault(number, label)
        if twin != label:
            layout.aside[f"{root}{label}"] = f"the same version as {twin}"
    return list(chosen.values())


def _add(layout: Layout, label: str, prefix: str, listed: list[File], kind: str) -> None:
    files = _writable(listed, prefix, layout)
    reason = _why_not([file.key[len(prefix) :] for file in files], kind)
    if reason is None:
        layout.versions[label] = Version(prefix, tuple(listed), tuple(files))
    else:
        layout.broken[label] = layout.aside[prefix] = reason


def _writable(listed: list[File], prefix: str, layout: Layout) -> list[File]:
    """Leave aside what no disk can hold: unsafe keys, and of `a` and `a/b` the file."""
    files: list[File] = []
    folders: set[str] = set()
    for file in listed:
        if _unsafe(file.key[len(prefix) :]):
            layout.aside[file.key] = "the key cannot be written to disk"
            continue
        files.append(file)
        folder = file.key.rpartition("/")[0]
        while len(folder) >= len(prefix) and folder not in folders:
            folders.add(folder)
            folder = folder.rpartition("/")[0]
    clashes = {file.key for file in files if file.key in folders}
    layout.aside.update(dict.fromkeys(clashes, "a file and a folder at once"))
    return [file for file in files if file.key not in clashes] if clashes else files


def _why_not(names: Sequence[str], kind: str) -> str | None:
    """Return why these files are no model of this kind, or None if they are one."""
    if kind == "python":
        if any(not name.startswith(".") and "/." not in name for name in names):
            return None
        return "holds no file" if not names else "holds nothing but dotfiles"
    if kind == "onnx":
        found = [name for name in names if name.endswith(".onnx") and not name.rpartition("/")[2].startswith(".")]
        if len(found) == 1 and "/" not in found[0]:
            return None
        return f"must contain a single *.onnx file, has {len(found) or 'none'}" + (
            f" ({found[0]} is in a folder)" if len(found) == 1 else ""
        )
    if "saved_model.pb" not in names:
        return "lacks saved_model.pb"
    return None if kind == "inferentia" else _why_no_variables(names)


def _why_no_variables(names: Sequence[str]) -> str | None:
    if "variables/variables.index" not in names:
        return "lacks variables/variables.index"
    shards = [name for name in names if name.startswith("variables/variables.data-")]
    if not shards:
        return "lacks variables/variables.data-*"
    announced: dict[int, set[int]] = {}
    for shard in shards:
        numbered = _SHARD.fullmatch(shard)
        if numbered:
            announced.setdefault(int(numbered[2]), set()).add(int(numbered[1]))
    for total, present in announced.items():
        if len(present) < total:
            return f"has {len(present)} of the {total} variable shards that their names announce"
    return None


def _unsafe(key: str) -> bool:
    if _UNSAFE.search(key):
        return True
    if key.isascii():
        return False
    try:
        return any(len(part.encode()) > 255 for part in key.split("/"))
    except UnicodeEncodeError:  # a local name that is not valid UTF-8
        return True
