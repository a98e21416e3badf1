"""Which arguments the constructor and predict of a predictor class get."""

from conformance.marks import Grow, Planting, clause, planting
from conformance.stand import Stand


def _one(grow: Grow) -> Planting:
    return Planting({"only": grow()})


@clause("clients.arguments-by-name")
@planting(_one, naming="model_path", witness="by_name", one_source=True)
def test_arguments_are_matched_by_name(stand: Stand) -> None:
    """A class that asks for config, client, headers, query_params and payload in any order gets each of them."""
    payload = {"probe": ["payload"]}
    headers = {"x-probe": "header"}
    answer = stand.await_answer(
        lambda: stand.deployment.predict(payload, query="?probe=query", headers=headers),
        lambda answer: answer.is_served,
    )
    stand.expect(answer.is_served, expected="an answer of the predictor", observed=stand.describe(answer))
    body = answer.body
    wanted = {
        "config_is_a_dict": True, "has_model": True, "payload": payload, "query": "query", "header": "header",
    }  # fmt: skip
    stand.expect(
        {key: body.get(key) for key in wanted} == wanted, expected=f"{wanted}", observed=f"{answer.text[:300]}"
    )


@clause("clients.arguments-by-name")
@planting(_one, naming="model_path", witness="only_payload", one_source=True)
def test_only_the_arguments_asked_for_are_passed(stand: Stand) -> None:
    """A class that asks for its client and the payload alone gets nothing else."""
    payload = {"probe": 1}
    answer = stand.await_answer(lambda: stand.deployment.predict(payload), lambda answer: answer.is_served)
    body = answer.body
    stand.expect(
        body.get("has_model") is True and body.get("payload") == payload,
        expected="an answer of the predictor with its model and the payload",
        observed=stand.describe(answer),
    )
