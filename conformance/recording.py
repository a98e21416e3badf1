"""A recording: what a test changes of its models and asks about them, written down for the judge of histories."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial

from conformance import timing
from conformance.judge import Finding, Request, judge_by
from conformance.layouts.oracle import read_level
from conformance.source_states import UNVERSIONED, Change, SourceStates, Tokens, answer
from conformance.stand import LEFT_OUT, Stand
from fixtures.trees import Tree, join


@dataclass(frozen=True)
class _Broken:
    """A version whose content cannot be loaded since a moment, and what is served of it instead."""

    since: float
    served: Tokens | None


class Recording:
    """The changes and requests of one test so far, by the names of its planting.

    Files are written and deleted one by one, as each leaves a state behind that a server may have seen.
    """

    def __init__(self, stand: Stand) -> None:
        self._stand = stand
        self._changes: list[Change] = []
        self._requests: list[Request] = []
        self._broken: dict[tuple[str, str], _Broken] = {}
        for name in stand.models:
            self._note(name, "reload.model-added", stand.deployment.ready_at)

    def put(self, name: str, files: Tree, *, event: str) -> None:
        """Add files to a model or overwrite them; `event` is the clause that asks a server to see it."""
        for key, file in files.items():
            self._change(name, event, partial(self._stand.put, name, Tree({key: file})))

    def remove(self, name: str, folder: str = UNVERSIONED, *, event: str) -> None:
        """Delete a model, or a version of it."""
        self._broken.pop((name, folder), None)
        prefix = f"{folder}/" if folder else ""
        for key in [key for key in self._stand.models[name] if key.startswith(prefix)]:
            self.remove_file(name, key, event=event)

    def remove_file(self, name: str, key: str, *, event: str) -> None:
        """Delete one file of a model."""
        self._change(name, event, partial(self._stand.remove_file, name, key))

    @property
    def last_event(self) -> str | None:
        """The clause that asks a server to see the last change; None before the first."""
        return self._changes[-1].event if self._changes else None

    def break_version(self, name: str, folder: str, files: Tree) -> None:
        """Put files into a version with which it cannot be loaded: what was served of it stays, until it is mended."""
        self._broken[name, folder] = _Broken(timing.now(), self.servable(name).get(folder))
        self.put(name, files.at(folder), event="reload.broken-keeps-last-good")

    def mend_version(self, name: str, folder: str, files: Tree, *, obstacle: str | None) -> None:
        """Put files into a broken version with which it can be loaded, and delete the file that kept it from that.

        Where nobody had to see it broken, its files were overwritten, and that is all.
        """
        seen = self._stand.deployment.clock.deadline(self._broken[name, folder].since) <= timing.now()
        event = "reload.broken-keeps-last-good" if seen else "reload.updated-in-place"
        if obstacle is not None:
            self.put(name, files.at(folder), event=event)
        del self._broken[name, folder]
        if obstacle is None:
            self.put(name, files.at(folder), event=event)
        else:
            self.remove_file(name, join(folder, obstacle), event=event)

    def is_broken(self, name: str, folder: str) -> bool:
        """Whether a version has content that cannot be loaded."""
        return (name, folder) in self._broken

    def folders(self, name: str) -> list[str]:
        """Give the version folders of a model as it is published now, "" for a model without versions."""
        level = read_level(self._stand.models.get(name, Tree()), self._stand.predictor)
        return list(level.versions.values()) or ([UNVERSIONED] if level.is_model else [])

    def lately_served(self, name: str) -> set[str]:
        """Give the versions of a model, "" for one without versions, in any state that a server may be in by now."""
        states, now = self._states_of(name), timing.now()
        return {version for state in states.allowed(now, now) for version in states.versions(state)}

    def seen(self, name: str) -> list[Collection[str]]:
        """Give the versions of a model, as `folders` does, in each of its states that every server has seen."""
        states, now = self._states_of(name), timing.now()
        numbers = range(1, len(states.changes) + 1)
        return [states.versions(state).keys() for state in numbers if states.had_to_be_seen(state, now)]

    def servable(self, name: str) -> Mapping[str, Tokens]:
        """Give the versions of a model that can be served now, each with its tokens."""
        tree = self._stand.models.get(name, Tree())
        served = {
            folder: self._broken[name, folder].served
            if self.is_broken(name, folder)
            else Tokens(tree.under(folder).tokens.values())
            for folder in self.folders(name)
        }
        return {folder: tokens for folder, tokens in served.items() if tokens is not None}

    def ask(self, name: str, version: str | None = None) -> Request:
        """Ask for a model, the latest version without `version`; the answer is not recorded yet."""
        begun = timing.now()
        given = self._stand.ask(name, LEFT_OUT if version is None else version)
        process = str(given.body.get("process", ""))
        tokens = given.tokens if given.is_served else None
        return Request(begun, timing.now(), name, version, process, tokens)

    def record(self, request: Request) -> None:
        """Record a request, also one that another thread sent."""
        self._requests.append(request)

    def await_current(self, name: str) -> None:
        """Ask for a model until its latest version is served, or an error if it has none, and record every answer.

        What is not served by the deadline the judge will find.
        """

        def is_current() -> bool | None:
            request = self.ask(name)
            self.record(request)
            return True if request.tokens == answer(self.servable(name), None) else None

        timing.poll(is_current, until=self._stand.catch_up())

    def findings(self, *more: Request) -> list[Finding]:
        """Judge what was recorded, and further requests."""
        requests = [*self._requests, *more]
        models = {request.model for request in (more or requests)}
        return judge_by(
            self._changes,
            [request for request in requests if request.model in models],
            self._stand.deployment.clock.deadline,
            one_process=self._stand.processes == 1,
        )

    def _states_of(self, name: str) -> SourceStates:
        return SourceStates(name, self._changes, self._stand.deployment.clock.deadline)

    def _change(self, name: str, event: str, change: Callable[[], None]) -> None:
        begun = timing.now()
        change()
        self._note(name, event, begun)

    def _note(self, name: str, event: str, begun: float) -> None:
        broken = {folder for model, folder in self._broken if model == name}
        self._changes.append(Change(begun, timing.now(), name, event, self.servable(name), broken))
