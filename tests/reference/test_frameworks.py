"""Loading and input checks of the frameworks, without a server."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from fixtures.models.onnx import onnx_model
from fixtures.targets.directory import DirectoryTarget
from reference.errors import InputError
from reference.frameworks.onnx import OnnxModel
from reference.frameworks.signatures import choose_signature
from reference.loading import Framework, HardwareMissingError, framework_loader


@pytest.mark.parametrize(
    ("there", "wanted", "chosen"),
    [
        (["other"], None, "other"),
        (["serving_default", "predict", "train"], None, "predict"),
        (["serving_default", "train"], None, "serving_default"),
        (["serving_default", "train"], "train", "train"),
    ],
)
def test_signature(there: list[str], wanted: str | None, chosen: str) -> None:
    """The configured signature is used, else the only one, else predict, else serving_default."""
    assert choose_signature(there, wanted) == chosen


@pytest.mark.parametrize(
    ("there", "wanted", "message"),
    [
        (["a", "b"], None, "set signature_key to one of a, b"),
        (["a"], "b", "no signature 'b'; it has a"),
        ([], None, "no signatures"),
    ],
)
def test_no_signature(there: list[str], wanted: str | None, message: str) -> None:
    """A signature that cannot be chosen is an error that lists what there is."""
    with pytest.raises(ValueError, match=message):
        choose_signature(there, wanted)


@pytest.fixture
def one_input(tmp_path: Path) -> OnnxModel:
    """Load a model with the input x, float32 [N]."""
    DirectoryTarget(tmp_path / "m").write(onnx_model())
    return OnnxModel(str(tmp_path / "m"), ["CPUExecutionProvider"])


@pytest.fixture
def two_inputs(tmp_path: Path) -> OnnxModel:
    """Load a model with the inputs a, float32 [N, 2], and b, int64 [2]."""
    a = helper.make_tensor_value_info("a", TensorProto.FLOAT, ["N", 2])
    b = helper.make_tensor_value_info("b", TensorProto.INT64, [2])
    outputs = [
        helper.make_tensor_value_info("out_a", TensorProto.FLOAT, ["N", 2]),
        helper.make_tensor_value_info("out_b", TensorProto.INT64, [2]),
    ]
    nodes = [helper.make_node("Identity", ["a"], ["out_a"]), helper.make_node("Identity", ["b"], ["out_b"])]
    model = helper.make_model(helper.make_graph(nodes, "g", [a, b], outputs), ir_version=8)
    (tmp_path / "two.onnx").write_bytes(model.SerializeToString())
    return OnnxModel(str(tmp_path), ["CPUExecutionProvider"])


@pytest.mark.parametrize("value", [[1, 2], (1.0, 2.0), np.array([1.0, 2.0]), {"x": [1, 2]}])
def test_onnx_one_input(one_input: OnnxModel, value: Any) -> None:
    """A model with one input takes the array itself, or a dictionary by name."""
    assert one_input.predict(value)[1].tolist() == [1.0, 2.0]


def test_onnx_several_inputs(two_inputs: OnnxModel) -> None:
    """Several inputs come by name; one example without its batch dimension is a batch of one."""
    outputs = two_inputs.predict({"a": [1, 2], "b": [3, 4]})
    assert [output.tolist() for output in outputs] == [[[1.0, 2.0]], [3, 4]]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([1, 2], "give a dictionary with 'a', 'b'"),
        ({"a": [1, 2]}, "the model's inputs are 'a', 'b', not"),
        ({"a": "text", "b": [1, 2]}, "input 'a' is not an array of float32"),
        ({"a": [1, 2, 3], "b": [1, 2]}, "input 'a' has shape"),
        ({"a": [[1, 2]], "b": [1, 2, 3]}, "input 'b' has shape"),
        ({"a": [[1, 2], [3]], "b": [1, 2]}, "input 'a' is not an array"),
    ],
)
def test_onnx_input_that_does_not_fit(two_inputs: OnnxModel, value: Any, message: str) -> None:
    """Input that does not fit the signature is an error that names the input."""
    with pytest.raises(InputError, match=message):
        two_inputs.predict(value)


def test_onnx_information(one_input: OnnxModel) -> None:
    """A model's information holds its session, and shape and type of each input."""
    assert one_input.info["session"].get_inputs()[0].name == "x"
    assert one_input.info["input_signatures"] == {"x": {"shape": ["N"], "type": np.float32}}


@pytest.mark.parametrize(
    ("framework", "message"),
    [
        (Framework("onnx", gpu=True), "CUDAExecutionProvider"),
        (Framework("tensorflow", inferentia=True), "Neuron runtime"),
    ],
)
def test_missing_hardware_is_refused(framework: Framework, message: str) -> None:
    """Hardware that is asked for and not there refuses the load instead of doing without."""
    with pytest.raises(HardwareMissingError, match=message):
        framework_loader(framework)("m", "path")
