"""The oracle of layouts: what a directory holds by the contract, written from the clauses and from no server."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from conformance.catalogue import PredictorType

_INTEGER = re.compile(r"-?[0-9]+")


@dataclass(frozen=True)
class Level:
    """What the oracle says of one model directory.

    `versions` maps each valid version to its folder; empty, the directory is one unversioned model if `is_model`.
    `aside` maps every other entry to the clause by which it is none. `unspecified` says why nothing can be said.
    """

    versions: dict[int, str]
    aside: dict[str, str]
    is_model: bool
    unspecified: str = ""

    @property
    def latest(self) -> str:
        """The folder that a request without a version is answered from: `""` for an unversioned model."""
        return self.versions[max(self.versions)] if self.versions else ""


def read_level(keys: Iterable[str], predictor: PredictorType) -> Level:
    """Read a model directory from its keys, relative to it; tensorflow levels are not understood yet."""
    folders: dict[str, list[str]] = {}
    files: list[str] = []
    for key in keys:
        entry, is_deeper, rest = key.partition("/")
        if is_deeper:
            folders.setdefault(entry, []).append(rest)
        else:
            files.append(entry)
    contents = {entry: [key for key in below if not key.endswith("/") and key] for entry, below in folders.items()}
    integers = [entry for entry in contents if _INTEGER.fullmatch(entry) and contents[entry]]
    if len({int(entry) for entry in integers}) < len(integers):
        return Level({}, {}, is_model=False, unspecified="two folders are the same integer")
    valid = [entry for entry in integers if predictor == "python" or _is_onnx_model(contents[entry])]
    aside = {entry: "layouts.bad-version-isolated" for entry in integers if entry not in valid}
    for entry, below in contents.items():
        if not below:
            aside[entry] = "layouts.markers-ignored"
        elif entry not in integers:
            aside[entry] = "layouts.not-an-integer"
    aside |= {file: "layouts.markers-ignored" if file.startswith(".") else "layouts.mixed-level" for file in files}
    if not valid:
        return _unversioned(files, contents, integers, predictor)
    if predictor == "python" and not all(clause == "layouts.markers-ignored" for clause in aside.values()):
        return Level({}, {}, is_model=False, unspecified="versions of a python model beside other files or folders")
    return Level({int(entry): entry for entry in valid}, aside, is_model=True)


def _unversioned(
    files: list[str], contents: dict[str, list[str]], integers: list[str], predictor: PredictorType
) -> Level:
    if predictor == "python":
        return Level({}, {}, is_model=bool(files or any(contents.values())))
    is_model = _is_onnx_model(files)
    if is_model and integers:
        return Level({}, {}, is_model=False, unspecified="an unversioned model beside invalid versions")
    return Level({}, {}, is_model=is_model)


def _is_onnx_model(files: list[str]) -> bool:
    return sum("/" not in file and file.endswith(".onnx") for file in files) == 1
