"""What onnx_client.predict and onnx_client.get_model give."""

import numpy as np
import pytest

from conformance.marks import Grow, Planting, clause, planting
from conformance.stand import LEFT_OUT, Stand, Version
from fixtures.shipped import ShippedModel, shipped_models
from fixtures.trees import versions


def _plain(grow: Grow) -> Planting:
    return Planting({"plain": grow()})


@clause("clients.onnx.predict")
@planting(_plain)
def test_predict_runs_the_model_on_its_input(stand: Stand) -> None:
    """Predict returns the outputs of the model, computed from the input."""
    stand.expect_served("plain")
    numbers = [0.5, -2.0, 1024.0, 3.25]
    inputs = {"inputs": {"x": {"type": "float32", "shape": [4], "data": numbers}}}
    answer = stand.ask("plain", more=inputs)
    outputs = answer.body.get("outputs", [])
    stand.expect(
        [output["data"] for output in outputs] == [numbers],
        expected=f"the model's echo of its input {numbers}",
        observed=answer.text[:300],
    )


SHIPPED = {model.name: model for model in shipped_models()}


def _shipped(_: Grow) -> Planting:
    return Planting({name: model.tree for name, model in SHIPPED.items()})


@clause("clients.onnx.predict")
@planting(_shipped)
@pytest.mark.parametrize("name", SHIPPED)
def test_real_models_give_the_outputs_shipped_with_them(stand: Stand, name: str) -> None:
    """Well-known networks give the outputs that their authors recorded, within onnx's own tolerance."""
    model: ShippedModel = SHIPPED[name]
    inputs = {key: {"type": str(array.dtype), "shape": list(array.shape)} for key, array in model.inputs.items()}
    answer = stand.await_answer(lambda: stand.ask(name, more={"inputs": inputs}), lambda answer: answer.is_served)
    stand.expect(answer.is_served, expected=f"{name} predicts", observed=stand.describe(answer))
    outputs = answer.body["outputs"]
    stand.expect(
        len(outputs) == len(model.outputs),
        expected=f"{len(model.outputs)} outputs",
        observed=f"{len(outputs)} outputs",
    )
    for output, expected in zip(outputs, model.outputs, strict=True):
        got = np.asarray(output["data"], dtype=expected.dtype).reshape(output["shape"])
        stand.expect(
            got.shape == expected.shape and np.allclose(got, expected, rtol=1e-3, atol=1e-7),
            expected=f"the recorded output of shape {expected.shape}, beginning {expected.ravel()[:4]}",
            observed=f"an output of shape {got.shape}, beginning {got.ravel()[:4]}",
        )


@clause("clients.onnx.get-model")
@planting(_plain)
def test_get_model_describes_the_model(stand: Stand) -> None:
    """get_model gives the session, its inputs, and the shape and type of each input by name."""
    _expect_described(stand, "plain", "", LEFT_OUT)


def _versioned(grow: Grow) -> Planting:
    return Planting({"versioned": versions({"1": grow(), "2": grow()})})


@clause("clients.onnx.get-model")
@planting(_versioned)
def test_get_model_describes_a_version(stand: Stand) -> None:
    """get_model gives the same of a version that is asked for."""
    _expect_described(stand, "versioned", "1", "1")


def _expect_described(stand: Stand, name: str, folder: str, version: Version) -> None:
    stand.expect_served(name, folder, version=version)
    answer = stand.ask(name, version, more={"describe": True})
    stand.expect(answer.is_served, expected="get_model answers", observed=stand.describe(answer))
    body = answer.body
    wanted = {"session", "signatures", "input_signatures"}
    stand.expect(
        wanted <= set(body["keys"]), expected=f"the keys {sorted(wanted)}", observed=f"the keys {body['keys']}"
    )
    stand.expect(
        body["session_inputs"] == ["x"] and body["signature_inputs"] == ["x"],
        expected="session and signatures with the one input x",
        observed=f"session inputs {body['session_inputs']}, signatures {body['signature_inputs']}",
    )
    signature = body["input_signatures"].get("x", {})
    stand.expect(
        len(signature.get("shape", ())) == 1 and "float" in str(signature.get("type")),
        expected="an input signature x with a shape of one dimension and a floating type",
        observed=f"{body['input_signatures']}",
    )
