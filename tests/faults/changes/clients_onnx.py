"""Servers that answer otherwise than the ONNX model does, or describe it wrongly."""

from __future__ import annotations

from typing import Any

import numpy as np

from reference.frameworks.onnx import OnnxModel
from tests.faults.configurations import ONNX_LOCAL
from tests.faults.registry import fault


@fault(
    "onnx-outputs-rounded",
    seen="plausible: outputs are sent in half precision",
    on=[ONNX_LOCAL],
    breaks=["clients.onnx.predict"],
)
def _onnx_outputs_rounded() -> None:
    """The floating numbers that an ONNX model gives are rounded."""
    predict = OnnxModel.predict

    def rounded(self: OnnxModel, model_input: Any) -> list[Any]:
        outputs = predict(self, model_input)
        return [np.round(each, 1) if np.issubdtype(each.dtype, np.floating) else each for each in outputs]

    OnnxModel.predict = rounded


@fault(
    "onnx-answer-remembered",
    seen="plausible: answers are cached by model, without the input",
    on=[ONNX_LOCAL],
    breaks=["clients.onnx.predict"],
)
def _onnx_answer_remembered() -> None:
    """An ONNX model gives the outputs of its first input for every input."""
    predict = OnnxModel.predict

    def remembered(self: OnnxModel, model_input: Any) -> list[Any]:
        if "answer" not in self.info:
            self.info["answer"] = predict(self, model_input)
        answer: list[Any] = self.info["answer"]
        return answer

    OnnxModel.predict = remembered


@fault(
    "signatures-without-shape",
    seen="plausible: shapes are left out where a dimension has no size",
    on=[ONNX_LOCAL],
    breaks=["clients.onnx.get-model"],
)
def _signatures_without_shape() -> None:
    """input_signatures gives the type of each input, and no shape."""
    make = OnnxModel.__init__

    def without_shape(self: OnnxModel, folder: str, providers: list[str]) -> None:
        make(self, folder, providers)
        signatures = self.info["input_signatures"]
        self.info["input_signatures"] = {name: each | {"shape": []} for name, each in signatures.items()}

    OnnxModel.__init__ = without_shape
