"""The configurations on which changed servers are judged: each is one implementation file, with what it declares."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from conformance.catalogue import Clause, Feature

ROOT = Path(__file__).parent.parent.parent
REFERENCE = ROOT / "conformance" / "implementations" / "reference.toml"

# How the implementation file of the reference starts it.
_COMMAND = ("python", "-m", "reference")


# Tests that take so long that they are run only against the changes that need them, by the words that their ids hold
# (pytest's -k). Only `reload.automatic`, `cache.period` and `layouts.many-keys` are judged by none but these.
LONG_TESTS = {
    "real time": "default",
    "programs": "random_programs",
    "many keys": "first_page or thousands_of_keys",
}


@cache
def _features_of_reference() -> list[str]:
    features: list[str] = tomllib.loads(REFERENCE.read_text(encoding="utf-8"))["declares"]["features"]
    return features


@dataclass(frozen=True)
class Configuration:
    """A part of what the reference declares; the suite runs its tests that speak of it, whatever they judge.

    A clause is judged on every configuration that it speaks of, so that a fault that turns a clause red for which it is
    not listed is seen to do so.
    """

    name: str
    predictors: tuple[str, ...]
    sources: tuple[str, ...]
    without: tuple[Feature, ...] = ()
    """Features that are not declared."""
    besides: tuple[Feature, ...] = ()
    """Features that are declared though the reference does not declare them."""

    @property
    def features(self) -> list[str]:
        """The features that are declared."""
        return [feature for feature in _features_of_reference() if feature not in self.without] + list(self.besides)

    def concerns(self, clause: Clause) -> bool:
        """Whether a clause speaks of a server like this."""
        return (
            not set(clause.predictors).isdisjoint(self.predictors)
            and not set(clause.sources).isdisjoint(self.sources)
            and set(clause.features) <= {*self.features}
        )

    def write(self, file: Path, command: Sequence[str], intervals: Mapping[str, Any]) -> None:
        """Write the implementation file of a server that `command` starts in the place of the reference.

        `intervals` are declared in the place of those of the reference.
        """
        document = tomllib.loads(REFERENCE.read_text(encoding="utf-8"))
        process, declares = document["process"], document["declares"]
        assert tuple(process["command"][:3]) == _COMMAND
        process["command"] = [*command, *process["command"][3:]]
        declares["predictors"] = list(self.predictors)
        declares["sources"] = list(self.sources)
        declares["features"] = self.features
        document["intervals"] |= intervals
        file.write_text("\n".join(_table(*table) for table in document.items()), encoding="utf-8")


def _table(name: str, values: Mapping[str, Any]) -> str:
    # Strings, numbers, true, false and lists of them are the same in JSON and in TOML.
    return "".join([f"[{name}]\n", *(f"{key} = {json.dumps(value)}\n" for key, value in values.items())])


def _one(predictor: str, source: str) -> Configuration:
    return Configuration(f"{predictor}-{source}", (predictor,), (source,), without=("cache",))


def _cached(predictor: str, source: str) -> Configuration:
    return Configuration(f"{predictor}-{source}-cached", (predictor,), (source,))


PYTHON_S3, PYTHON_LOCAL = _one("python", "s3"), _one("python", "local")
ONNX_S3, ONNX_LOCAL = _one("onnx", "s3"), _one("onnx", "local")
TENSORFLOW_S3, TENSORFLOW_LOCAL = _one("tensorflow", "s3"), _one("tensorflow", "local")

# What of Inferentia shows without the hardware.
TENSORFLOW_INFERENTIA = Configuration(
    "tensorflow-local-inferentia", ("tensorflow",), ("local",), without=("cache",), besides=("inferentia",)
)

# With two of a kind, where a fault of one of them must leave the smoke stage alone: it serves one python model by
# model_path, from a directory if there may be one.
PYTHON_AND_ONNX_LOCAL = Configuration("python-onnx-local", ("python", "onnx"), ("local",), without=("cache",))
PYTHON_S3_AND_LOCAL = Configuration("python-s3-local", ("python",), ("s3", "local"), without=("cache",))

# The same as the first ones, and with multi model caching declared.
CACHED_PYTHON_S3, CACHED_PYTHON_LOCAL = _cached("python", "s3"), _cached("python", "local")
CACHED_ONNX_S3, CACHED_ONNX_LOCAL = _cached("onnx", "s3"), _cached("onnx", "local")
CACHED_TENSORFLOW_LOCAL = _cached("tensorflow", "local")

EVERYTHING = Configuration("everything", ("python", "onnx", "tensorflow"), ("s3", "local"))
WITHOUT_THREADS = Configuration("without-threads", EVERYTHING.predictors, EVERYTHING.sources, without=("threads",))

# Of a server that reads from one source only, each of these events is judged with model_path too.
EVENTS_OF_ONE_MODEL = (
    "reload.model-removed",
    "reload.version-added",
    "reload.version-removed",
    "reload.structure-changed",
    "reload.updated-in-place",
    "reload.versioned-to-unversioned",
)
