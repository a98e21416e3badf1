"""The smoke stage: before the suite one model is served once, so that a fault in plugging in is named by its step."""

from __future__ import annotations

from random import Random

from conformance.catalogue import Source
from conformance.deployment import Deployment, ServerDiedError
from conformance.forest import MODELS
from conformance.problems import HarnessError
from conformance.processes import CommandMissingError
from conformance.project import Api
from conformance.run import Run
from conformance.stand import await_tokens

_PLACE = "smoke"


class SmokeError(HarnessError):
    """The server could not be plugged in; `step` is spawn, ready, control, predict or stop."""

    def __init__(self, step: str, what: str, deployment: Deployment) -> None:
        lines = deployment.last_log_lines()
        log = (
            "\n".join(["last lines of the server's log:", *(f"  {line}" for line in lines)])
            if lines
            else "its log is empty"
        )
        super().__init__(f"smoke stage, step {step}: {what}\n{log}")
        self.step = step


def check_smoke(run: Run) -> None:
    """Start the server on one model, wait until it is ready, let it predict, and stop it; raises `SmokeError`."""
    declares = run.implementation.declares
    predictor = declares.predictors[0]
    source: Source = "local" if "local" in declares.sources else "s3"
    tree = MODELS[predictor](random=Random(run.seed))
    target = run.target(source, _PLACE)
    target.write(tree)
    deployment = run.deployment(Api(predictor, {"model_path": f"{target.url}/"}), keys=len(tree))
    try:
        try:
            deployment.spawn()
        except CommandMissingError as error:
            raise SmokeError("spawn", str(error), deployment) from error
        try:
            deployment.await_ready()
        except ServerDiedError as error:
            raise SmokeError("ready", str(error), deployment) from error
        _check_control(deployment)
        _check_predict(deployment, frozenset(tree.tokens.values()))
        try:
            deployment.stop()
        except ServerDiedError as error:
            raise SmokeError("stop", str(error), deployment) from error
    finally:
        deployment.close()
        run.leave(source, _PLACE, [("", tree)])


def _check_control(deployment: Deployment) -> None:
    """See a server on a driven clock look at its source and evict; on another there is nothing to see."""
    try:
        deployment.clock.catch_up(deployment.ready_at)
        deployment.clock.await_eviction(lambda: True)
    except (HarnessError, ServerDiedError) as error:
        raise SmokeError("control", str(error), deployment) from error


def _check_predict(deployment: Deployment, tokens: frozenset[str]) -> None:
    try:
        answer = await_tokens(deployment, {}, tokens)
    except ServerDiedError as error:
        raise SmokeError("predict", str(error), deployment) from error
    if answer.tokens != tokens:
        wanted = (
            "the answer lacks the token of the model that was published"
            if answer.is_served
            else "no answer of the predictor"
        )
        raise SmokeError("predict", f"{wanted}: status {answer.status}: {answer.text[:300]}", deployment)
