"""A stand: what a test sees of its forest - its own trees, questions about them, and expectations."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Any, Literal

from conformance.agreement import await_agreement
from conformance.catalogue import Clause
from conformance.deployment import Answer, Deployment
from conformance.forest import Forest
from conformance.marks import Plant
from conformance.s3.faults import FaultKind, HeldFault
from conformance.s3.ledger import Request
from conformance.violations import Evidence, ViolationError
from fixtures.trees import Tree

Calling = Literal["positional", "keyword"]


# Right answers in a row after a change: one may come from a part of a server that has it, beside one that has not.
_READS = 3

# In the text of a failure: lines of a configuration or a tree, and of requests to S3.
_MOST_LINES = 40
_MOST_REQUESTS = 12


class _LeftOut:
    """The argument is not passed at all, which differs from passing None."""


LEFT_OUT = _LeftOut()
Version = str | None | _LeftOut


def witness_payload(ask: Mapping[str, str | None], call: Calling = "positional") -> dict[str, Any]:
    """Write the payload that lets the witness fetch a model by `name` and `version`, those of them that are given."""
    return {"ask": dict(ask), "call": call, "inputs": {"x": {"type": "float32", "shape": [2], "data": [1.0, 2.0]}}}


def await_tokens(deployment: Deployment, ask: Mapping[str, str], tokens: frozenset[str]) -> Answer:
    """Let the witness fetch a model until some process echoes these tokens, in time; gives the last answer."""
    return await_agreement(
        1,
        lambda: deployment.predict(witness_payload(ask)),
        lambda answer: answer.tokens == tokens,
        deadline=deployment.clock.catch_up(deployment.ready_at),
        patience=deployment.pace.answer,
    )


class Stand:
    """The part of a forest that belongs to one test; models go by the names that its planting gave them."""

    def __init__(self, forest: Forest, plant: Plant, clause: Clause) -> None:
        self.clause = clause
        self.forest = forest
        self.predictor = forest.ground.setting.predictor
        self._plant = plant

    @property
    def deployment(self) -> Deployment:
        """The server under test."""
        return self.forest.deployment

    @property
    def processes(self) -> int:
        """The number of processes that the server is configured to have."""
        return self.forest.ground.configuration.processes_per_replica or 1

    @property
    def models(self) -> Mapping[str, Tree]:
        """The planted models, as they are now."""
        return self.forest.models(self._plant)

    def published_name(self, name: str) -> str:
        """Give the name under which the server knows a model."""
        return self.forest.published_name(self._plant, name)

    def ask(
        self,
        name: str,
        version: Version = LEFT_OUT,
        *,
        call: Calling = "positional",
        named: bool | None = None,
        more: Mapping[str, Any] | None = None,
        timeout: float | None = None,
    ) -> Answer:
        """Let the witness fetch a model and echo it.

        The name is left out where model_path names the model, or when `named` is False; `more` goes into the payload.
        The answer may take `timeout` seconds, or else as long as any for which the model is downloaded first.
        """
        if named is None:
            named = self.forest.ground.naming != "model_path"
        ask: dict[str, str | None] = {"name": self.published_name(name)} if named else {}
        if not isinstance(version, _LeftOut):
            ask["version"] = version
        payload = {**witness_payload(ask, call), **(more or {})}
        if timeout is None:
            pace = self.deployment.pace
            timeout = pace.answer + pace.download(len(self.models.get(name, ())))
        return self.deployment.predict(payload, about=self.published_name(name), timeout=timeout)

    def ask_by_name(self, name: str, version: Version = LEFT_OUT) -> Answer:
        """Let the witness fetch whatever the server knows under exactly this name."""
        ask: dict[str, str | None] = {"name": name}
        if not isinstance(version, _LeftOut):
            ask["version"] = version
        return self.deployment.predict(witness_payload(ask), about=name)

    def await_answer(
        self, question: Callable[[], Answer], is_right: Callable[[Answer], bool], *, reads: int = 1
    ) -> Answer:
        """Ask until the answer of each process is right or the deadline has passed; gives the last answer.

        So many `reads` in a row have to be right.
        Raises `HarnessError` when some process never answers.
        """
        deadline, patience = self.catch_up(), self.deployment.pace.answer
        return await_agreement(self.processes, question, is_right, deadline=deadline, patience=patience, reads=reads)

    @property
    def _reads(self) -> int:
        return _READS if self.forest.has_changed(self._plant) else 1

    def expect_served(
        self,
        name: str,
        folder: str = "",
        *,
        version: Version = LEFT_OUT,
        call: Calling = "positional",
        named: bool | None = None,
    ) -> Answer:
        """Expect the files below `folder` of a model to be served in time, those and no others, and to stay."""
        expected = frozenset(self.models[name].under(folder).tokens.values())
        assert expected, f"the planting {name}/{folder} carries no token to be recognised by"
        answer = self.await_answer(
            lambda: self.ask(name, version, call=call, named=named),
            lambda answer: answer.tokens == expected,
            reads=self._reads,
        )
        if answer.tokens != expected:
            raise ViolationError(
                f"{self.question(name, version)} is answered by {self._whereabouts(name, folder)}",
                self.describe(answer),
            )
        return answer

    def expect_refused(self, name: str, version: Version = LEFT_OUT) -> Answer:
        """Expect an error, once the server has had the time to find everything there is."""
        self.settle()
        answer = self.ask(name, version)
        if answer.is_served:
            raise ViolationError(f"{self.question(name, version)} is an error", self.describe(answer))
        return answer

    def expect_gone(self, name: str, version: Version = LEFT_OUT) -> None:
        """Expect a request that was served before to err in time."""
        answer = self.await_answer(
            lambda: self.ask(name, version), lambda answer: not answer.is_served, reads=self._reads
        )
        if answer.is_served:
            raise ViolationError(f"{self.question(name, version)} is an error in time", self.describe(answer))

    def grow(self) -> Tree:
        """Make one more model that the predictor can serve, with fresh tokens."""
        return self.forest.grow(self._plant)

    def put(self, name: str, files: Tree) -> None:
        """Add files to a model, or overwrite them; the deadline of what follows counts from here."""
        self.forest.put(self._plant, name, files)

    def remove(self, name: str, folder: str = "") -> None:
        """Delete a model, or what lies below a folder of it; the deadline of what follows counts from here."""
        keys = [key for key in self.models[name] if key.startswith(f"{folder}/")] if folder else None
        self.forest.remove(self._plant, name, keys)

    def remove_file(self, name: str, key: str) -> None:
        """Delete one file of a model; the deadline of what follows counts from here."""
        self.forest.remove(self._plant, name, [key])

    def s3_fault(self, kind: FaultKind, name: str | None = None, key: str = "") -> AbstractContextManager[HeldFault]:
        """Let S3 fail in one way for the time of a block; the deadline of what follows counts from its end.

        Without a name it fails for all that the server reads, and the test must be `alone`; with one for that model,
        or for what begins with a key in it.
        """
        return self.forest.s3_fault(self._plant, kind, name, key)

    def expect(self, condition: object, *, expected: str, observed: str) -> None:
        """Expect anything else of an answer or of the witness."""
        if not condition:
            raise ViolationError(expected, observed)

    def catch_up(self) -> float:
        """Make a driven server look at the last change of one's own models; one that polls does so by itself.

        Gives the moment by which the change has to be served.
        """
        return self.deployment.clock.catch_up(self.forest.changed_at(self._plant))

    def settle(self) -> None:
        """Give the server one pass more than it needs to serve the last change of one's own models."""
        self.deployment.clock.settle(self.forest.changed_at(self._plant))

    def requests_since(self, moment: float) -> list[Request]:
        """Give what the server has asked of S3 about these models since a moment of `timing.now`; none if not in S3.

        In the order in which the requests ended; also of models that have been removed since.
        """
        return self.forest.requests_since(self._plant, moment)

    def await_eviction(self, until: Callable[[], bool] | None = None) -> None:
        """Wait until an eviction run that began after this call has ended.

        A server that shows no run is given the time of one; `until` tells that it has done its work before that.
        """
        self.deployment.clock.await_eviction(until)

    def question(self, name: str, version: Version) -> str:
        """Write what was asked, for an expectation."""
        which = "without a version" if isinstance(version, _LeftOut) else f"version {version!r}"
        everywhere = f", in each of {self.processes} processes," if self.processes > 1 else ""
        return f"model {self.published_name(name)} {which}{everywhere}"

    def describe(self, answer: Answer) -> str:
        """Write what was answered, with the files behind it."""
        if not answer.is_served:
            return f"status {answer.status}: {answer.text[:300]}"
        if not answer.tokens:
            return f"an answer without a token: {answer.text[:300]}"
        return "an answer from " + ", ".join(
            sorted(f"{self.forest.owner(token)} (token {token})" for token in answer.tokens)
        )

    def evidence(self, *names: str) -> Evidence:
        """Gather what there is to show for a violation, on some of the models or on all."""
        models = {name: self.models[name] for name in names or self.models}
        strays = {} if names else self.forest.plantings[self._plant].strays
        deployment = self.deployment
        requests = self.requests_since(deployment.history.begun)
        return Evidence(
            setting=str(self.forest.ground),
            configuration=deployment.api.to_yaml().splitlines()[:_MOST_LINES],
            tree=[
                *(f"{self.published_name(name)}/{key}" for name, tree in models.items() for key in tree),
                *(f"{self.forest.stray_key(self._plant, key)} (stray)" for key in strays),
            ][:_MOST_LINES],
            timeline=deployment.history.timeline({self.published_name(name) for name in models}),
            deadline=deployment.clock.explain(),
            log=deployment.last_log_lines(),
            s3=self._lines(request for request in requests if models.keys() & set(request.models)),
            failures_of_s3=self._lines(request for request in requests if request.is_failure_of_s3),
        )

    def _lines(self, requests: Iterable[Request]) -> list[str]:
        return self.deployment.history.lines([request.entry.to_event() for request in requests], _MOST_REQUESTS)

    def _whereabouts(self, name: str, folder: str) -> str:
        published = self.published_name(name)
        return f"version folder {folder} of {published}" if folder else f"the files of {published}"
