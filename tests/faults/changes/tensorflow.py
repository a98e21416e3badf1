"""Servers that get SavedModels wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from reference import layout
from reference.catalog import Model
from reference.layout import Layout
from reference.models import Models
from reference.sources import File
from tests.faults.configurations import TENSORFLOW_LOCAL
from tests.faults.registry import fault


@fault(
    "protobuf-makes-saved-model",
    seen="https://github.com/tensorflow/serving/issues/1086: a version is loaded before its variables are there",
    on=[TENSORFLOW_LOCAL],
    breaks=["layouts.tensorflow"],
    also=["reload.half-uploaded"],
)
def _protobuf_makes_saved_model() -> None:
    """A folder with a saved_model.pb is a version, and the latest one if its number is the highest."""
    layout._why_no_variables = lambda names: None
    Model.best = lambda self: self.descending[0]
    Models._highest_that_loads = lambda self, model: model.latest.get()


@fault(
    "further-file-spoils-saved-model",
    seen="the original: a stray file un-served a TensorFlow model",
    on=[TENSORFLOW_LOCAL],
    breaks=["layouts.tensorflow"],
    also=["layouts.unversioned"],
)
def _further_file_spoils_saved_model() -> None:
    """A folder with anything beside saved_model.pb and variables/ is no model."""
    why_not = layout._why_not

    def strict(names: Sequence[str], kind: str) -> str | None:
        if any(name != "saved_model.pb" and not name.startswith("variables/") for name in names):
            return "has other files"
        return why_not(names, kind)

    layout._why_not = strict


@fault(
    "first-shard-only",
    seen="plausible: the original's document shows one file of each name",
    on=[TENSORFLOW_LOCAL],
    breaks=["layouts.tensorflow-shards"],
    also=["reload.structure-changed", "reload.half-uploaded"],
)
def _first_shard_only() -> None:
    """Of several shards of variables only the first is copied."""
    writable = layout._writable

    def first(listed: list[File], prefix: str, found: Layout) -> list[File]:
        further = "variables/variables.data-"
        return [
            file
            for file in writable(listed, prefix, found)
            if not file.key[len(prefix) :].startswith(further) or file.key[len(prefix) :].startswith(f"{further}00000-")
        ]

    layout._writable = first
    why_no_variables = layout._why_no_variables

    def lenient(names: Sequence[str]) -> str | None:
        why = why_no_variables(names)
        return None if why is not None and why.startswith("has ") else why

    layout._why_no_variables = lenient


@fault(
    "outputs-rounded",
    seen="plausible: outputs are sent in half precision",
    on=[TENSORFLOW_LOCAL],
    breaks=["clients.tensorflow.predict"],
)
def _outputs_rounded() -> None:
    """The numbers that a SavedModel gives are rounded to integers."""
    from reference.frameworks.tensorflow import SavedModel  # noqa: PLC0415 - takes seconds, only where it is used

    predict = SavedModel.predict

    def rounded(value: Any) -> Any:
        return [rounded(item) for item in value] if isinstance(value, list) else round(value)

    def predict_rounded(self: SavedModel, model_input: Any) -> dict[str, Any]:
        return {name: rounded(value) for name, value in predict(self, model_input).items()}

    SavedModel.predict = predict_rounded
