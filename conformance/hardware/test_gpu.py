"""What holds on a GPU: PyTorch models give their memory back, and ONNX models run there."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from conformance.clients.frameworks import numpy_model, skip_unless_there
from conformance.hardware.detection import device_memory
from conformance.marks import Configuration, Grow, Planting, clause, planting
from conformance.stand import Stand
from fixtures.models.frameworks import torch_model
from fixtures.trees import File, Tree

pytestmark = pytest.mark.gpu

SIZE = 256 << 20
"""Bytes that a model takes on the device."""

SLACK = 32 << 20
"""Bytes that may be in use beside the models."""

CYCLES, SETTLED = 10, 3
"""Loads, each followed by an eviction, and those after which PyTorch has all the memory that it works with."""

GPU = Configuration(gpu=1)
CACHED_ON_GPU = Configuration(cache_size=1, disk_cache_size=4, gpu=1)
CUDA = "CUDAExecutionProvider"


def _small(grow: Grow) -> Planting:
    return Planting({"small": numpy_model(1 << 10, grow.random)})


@clause("gpu.python-released")
@planting(_small, witness="frameworks", configuration=CACHED_ON_GPU, one_source=True)
def test_evicted_models_give_device_memory_back(stand: Stand) -> None:
    """Of two PyTorch models loaded in turn, one is on the device after each run, and the device does not fill up."""
    skip_unless_there(stand, ["torch"])
    random = Random(stand.forest.run.seed)
    for name in ("first", "second"):
        stand.put(name, torch_model(size=SIZE, random=random))
    settled = 0
    for cycle in range(1, CYCLES + 1):
        stand.expect_served(("first", "second")[cycle % 2])
        _expect_on_device(stand, models=1)
        if cycle == SETTLED:
            settled = device_memory()
    last = device_memory()
    stand.expect(
        last <= settled + SIZE + SLACK,
        expected=f"at most one model of {SIZE >> 20} MiB more on the device after cycle {CYCLES} than after cycle"
        f" {SETTLED}, when {settled >> 20} MiB were in use",
        observed=f"{last >> 20} MiB in use",
    )


@clause("gpu.python-released")
@planting(_small, witness="frameworks", configuration=GPU, one_source=True, alone=True)
def test_replaced_and_removed_models_give_device_memory_back(stand: Stand) -> None:
    """A PyTorch model that is overwritten is on the device once, and one that is removed is there no more."""
    skip_unless_there(stand, ["torch"])
    random = Random(stand.forest.run.seed)
    for _ in range(2):
        stand.put("model", torch_model(size=SIZE, random=random))
        stand.expect_served("model")
    _expect_on_device(stand, models=1)
    stand.remove("model")
    stand.expect_gone("model")
    _expect_on_device(stand, models=0)


def _expect_on_device(stand: Stand, models: int) -> None:
    """Expect the tensors of so many models to be on the device in time, and no more."""
    limit = models * SIZE + SLACK
    stand.await_eviction(lambda: _on_device(stand) <= limit)
    found = _on_device(stand)
    stand.expect(
        models * SIZE <= found <= limit,
        expected=f"tensors of {models} models of {SIZE >> 20} MiB on the device",
        observed=f"tensors of {found >> 20} MiB",
    )


def _on_device(stand: Stand) -> int:
    return int(stand.deployment.predict({"census": True}).body["on_device"])


INPUTS, OUTPUTS, ROWS = 64, 32, 4


def _layer(random: Random) -> onnx.ModelProto:
    """Make a layer of a network with weights that are not 0, so that its outputs say something."""
    numbers = np.random.default_rng(random.getrandbits(32))
    weights = numpy_helper.from_array(numbers.normal(size=(INPUTS, OUTPUTS)).astype(np.float32) / 8, "weights")
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "weights"], ["sum"]), helper.make_node("Tanh", ["sum"], ["y"])],
        "layer",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", INPUTS])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", OUTPUTS])],
        [weights],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def _networks(grow: Grow) -> Planting:
    layer = _layer(grow.random)
    return Planting({"plain": grow(), "layer": Tree({"model.onnx": File(layer.SerializeToString())})})


@clause("gpu.onnx")
@planting(_networks, configuration=GPU)
def test_onnx_session_has_the_cuda_provider(stand: Stand) -> None:
    """With compute.gpu the session of a model runs on the CUDA provider before any other."""
    stand.expect_served("plain")
    answer = stand.ask("plain", more={"describe": True})
    providers = answer.body.get("providers", [])
    stand.expect(
        providers[:1] == [CUDA], expected=f"a session with {CUDA} as its first provider", observed=f"{providers}"
    )


@clause("gpu.onnx")
@planting(_networks, configuration=GPU)
def test_onnx_outputs_are_those_of_the_cpu(stand: Stand) -> None:
    """On the GPU a layer of a network gives the outputs that it gives on the CPU, as exactly as GPUs compute them."""
    model = onnx.load_model_from_string(stand.models["layer"]["model.onnx"].read())
    x = (np.arange(ROWS * INPUTS, dtype=np.float32) / (ROWS * INPUTS)).reshape(ROWS, INPUTS)
    expected: npt.NDArray[Any] = ReferenceEvaluator(model).run(None, {"x": x})[0]  # type: ignore[index]
    inputs = {"inputs": {"x": {"type": "float32", "shape": [ROWS, INPUTS]}}}
    answer = stand.await_answer(lambda: stand.ask("layer", more=inputs), lambda answer: answer.is_served)
    stand.expect(answer.is_served, expected="the layer predicts", observed=stand.describe(answer))
    (output,) = answer.body["outputs"]
    got = np.asarray(output["data"], dtype=np.float32).reshape(output["shape"])
    # GPUs multiply numbers of 32 bits with a mantissa of 10.
    stand.expect(
        got.shape == expected.shape and np.allclose(got, expected, atol=1e-2),
        expected=f"an output of shape {expected.shape}, beginning {expected.ravel()[:4]}",
        observed=f"an output of shape {got.shape}, beginning {got.ravel()[:4]}",
    )
