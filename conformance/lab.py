"""A lab: for tests that need a server of their own, on a configuration that may be refused."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Any

from conformance.catalogue import PredictorType, Source
from conformance.deployment import Deployment, ServerDiedError
from conformance.forest import MODELS
from conformance.project import Api
from conformance.run import Run
from conformance.stand import await_tokens
from conformance.violations import Evidence, ViolationError
from fixtures.trees import Tree


class Lab:
    """Places to publish in and servers to start, which end with the test.

    Uses the first predictor type and the first source that the implementation declares, as configurations are
    refused or accepted whatever these are. A test that meets `ServerDiedError` is run once more in another lab.
    """

    def __init__(self, run: Run, name: str) -> None:
        self.run = run
        declares = run.implementation.declares
        self.predictor: PredictorType = declares.predictors[0]
        self.source: Source = declares.sources[0]
        self.random = Random(f"{run.seed} {name}")
        self._published: dict[str, Tree] = {}
        self._deployments: list[Deployment] = []

    def grow(self, predictor: PredictorType | None = None) -> Tree:
        """Make a model that the predictor can serve."""
        return MODELS[predictor or self.predictor](random=self.random)

    def publish(self, tree: Tree) -> str:
        """Publish a tree in a place of its own; gives the path to write into the configuration."""
        place = f"{self.random.getrandbits(48):012x}"
        self._published[place] = tree
        target = self.run.target(self.source, place)
        target.write(tree)
        return f"{target.url}/"

    def deploy(
        self,
        models: Mapping[str, Any],
        *,
        predictor: PredictorType | None = None,
        witness: str = "usual",
        **more: Any,
    ) -> Deployment:
        """Start a server on a configuration, and do not wait for it; `more` are further keys of `predictor`."""
        keys = sum(map(len, self._published.values()))
        deployment = self.run.deployment(Api(predictor or self.predictor, models, witness, more), keys=keys)
        self._deployments.append(deployment)
        deployment.spawn()
        return deployment

    def gets_ready(self, deployment: Deployment) -> bool:
        """Wait until a server is ready, or has ended or taken too long."""
        try:
            deployment.await_ready()
        except ServerDiedError:
            return False
        return True

    def expect_accepted(self, deployment: Deployment) -> None:
        """Expect a server to get ready."""
        try:
            deployment.await_ready()
        except ServerDiedError as error:
            raise ViolationError("the configuration is accepted", str(error)) from error

    def expect_tokens(self, deployment: Deployment, ask: Mapping[str, str], model: Tree) -> None:
        """Expect a request to be answered in time from the files of a model."""
        tokens = frozenset(model.tokens.values())
        answer = await_tokens(deployment, ask, tokens)
        if answer.tokens != tokens:
            observed = f"status {answer.status}: {answer.text[:300]}"
            raise ViolationError(f"{dict(ask)} is answered from its model", observed)

    def errors(self) -> str:
        """Give what the server started last printed on stderr."""
        return "\n".join(self._deployments[-1].process.error_lines())

    def evidence(self) -> Evidence:
        """Gather what there is to show for a violation: that of the server started last."""
        last = self._deployments[-1]
        return Evidence(
            setting=f"{last.api.predictor}-{self.source}",
            configuration=last.api.to_yaml().splitlines(),
            tree=[self.run.target(self.source, place).url for place in self._published],
            timeline=last.history.timeline(set()),
            deadline=last.clock.explain(),
            log=last.last_log_lines(),
        )

    def close(self) -> None:
        """End every server and, unless the run keeps its trees, delete what was published."""
        for deployment in self._deployments:
            deployment.close()
        for place, tree in self._published.items():
            self.run.leave(self.source, place, [("", tree)])
