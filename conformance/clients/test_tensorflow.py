"""What tensorflow_client.predict gives."""

from conformance.marks import Grow, Planting, clause, planting
from conformance.stand import Stand


def _one(grow: Grow) -> Planting:
    return Planting({"model": grow()})


@clause("clients.tensorflow.predict")
@planting(_one)
def test_predict_gives_the_outputs_by_name(stand: Stand) -> None:
    """Predict returns a dict with every output of the model, computed from the input."""
    stand.expect_served("model")
    numbers = [0.5, -2.0, 1024.0]
    answer = stand.ask("model", more={"inputs": {"x": {"type": "float32", "shape": [3], "data": numbers}}})
    body = answer.body
    stand.expect(body.get("type") == "dict", expected="a dict", observed=answer.text[:300])
    outputs = body["outputs"]
    stand.expect(
        {"token", "variables_token", "echo"} <= set(outputs),
        expected="the outputs token, variables_token and echo by name",
        observed=f"the outputs {sorted(outputs)}",
    )
    stand.expect(outputs["echo"] == numbers, expected=f"the echo {numbers}", observed=f"the echo {outputs['echo']}")
