"""One random program: models are published, changed, broken and removed in any order, and every answer is judged."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from conformance import timing
from conformance.broken_content import BROKEN, OBSTACLE
from conformance.clock import Driven
from conformance.deployment import ServerDiedError
from conformance.judge import Finding, Request
from conformance.recording import Recording
from conformance.reload.publication import publication_event
from conformance.reload.search import Search
from conformance.source_states import UNVERSIONED, answer
from fixtures.trees import Tree, join

# Few, so that much happens to each of them; the order of the numbers as text is not that of the integers.
_NAMES = ("a", "b")
_VERSIONS = ("2", "9", "10")

# What no answer may ever be, whether a later one is right or not.
_NEVER = frozenset({"clients.by-name", "reload.never-mixed", "reload.never-back"})

_looks = st.sampled_from((False, False, True))


class FaultFoundError(Exception):
    """A step met an answer that nothing explains."""


class ServerGone(BaseException):
    """The server is gone, so that no step can follow."""


def _names_of(versions: Iterable[tuple[str, str]]) -> list[str]:
    return sorted({name for name, _ in versions})


def _step(function: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(function)
    def step(program: Program, *given: object, **named: object) -> None:
        if timing.now() > program.search.reduced_until:
            # Nothing fails any more, which ends the search.
            return
        try:
            function(program, *given, **named)
        except ServerDiedError as death:
            raise ServerGone from death

    return step


class Program(RuleBasedStateMachine):
    """One program on models that no other has; the rules are its steps."""

    def __init__(self, found: Search, number: int) -> None:
        super().__init__()
        self.search = found
        self._stand = found.stand
        self._number = number
        self._recording = Recording(found.stand)
        self.script: list[str] = []
        self._last = ""
        self._ever: dict[str, set[str]] = {}

    @property
    def last_event(self) -> str:
        """The clause that asks to see the last change."""
        return self._recording.last_event or "reload.removed-then-restored"

    @precondition(lambda self: self._publishable())
    @rule(data=st.data(), look=_looks)
    @_step
    def publish(self, data: st.DataObject, *, look: bool) -> None:
        """Publish a version that is not there, or a model without versions where nothing is."""
        new = self._publishable()
        name, version = data.draw(st.sampled_from(new + [each for each in new if each[0] == self._last] * 2), "version")
        event = publication_event(version, self._versions(name), self._recording.seen(self._model(name)))
        self._say(f"publish version {version} of {name}" if version else f"publish {name} without versions")
        self._last = name
        self._ever.setdefault(name, set()).add(version)
        files = self._stand.grow()
        self._recording.put(self._model(name), files.at(version), event=event)
        self._look_at_all(look)

    @precondition(lambda self: self._sound())
    @rule(data=st.data(), look=_looks)
    @_step
    def overwrite(self, data: st.DataObject, *, look: bool) -> None:
        """Overwrite the files of a version by others of the same size."""
        name, version = self._draw_version(data, self._sound())
        self._say(f"overwrite version {version} of {name}" if version else f"overwrite {name}")
        files = self._in_place(self._stand.grow(), name, version)
        self._recording.put(self._model(name), files.at(version), event="reload.updated-in-place")
        self._look_at_all(look)

    @precondition(lambda self: self._stand.predictor == "python" and self._sound())
    @rule(data=st.data(), look=_looks)
    @_step
    def add_file(self, data: st.DataObject, *, look: bool) -> None:
        """Add a file to a version."""
        name, version = self._draw_version(data, self._sound())
        self._say(f"add a file to version {version} of {name}" if version else f"add a file to {name}")
        key, file = next(iter(self._stand.grow().items()))
        further = Tree({f"further-{len(self.script)}/{key}": file})
        self._recording.put(self._model(name), further.at(version), event="reload.structure-changed")
        self._look_at_all(look)

    @precondition(lambda self: self._stand.predictor == "python" and self._of_several_files())
    @rule(data=st.data(), look=_looks)
    @_step
    def delete_file(self, data: st.DataObject, *, look: bool) -> None:
        """Delete a file of a version that has more."""
        name, version = self._draw_version(data, self._of_several_files())
        key = join(version, data.draw(st.sampled_from(self._keys(name, version)), "key"))
        self._say(f"delete {key} of {name}")
        self._recording.remove_file(self._model(name), key, event="reload.structure-changed")
        self._look_at_all(look)

    @precondition(lambda self: self._stand.predictor == "onnx" and self._sound())
    @rule(data=st.data(), look=_looks)
    @_step
    def rename_file(self, data: st.DataObject, *, look: bool) -> None:
        """Replace the file of an ONNX model by one of another name; for a moment there are two, and no model."""
        name, version = self._draw_version(data, self._sound())
        (old,) = self._keys(name, version)
        (file,) = self._stand.grow().values()
        self._say(f"rename the file of version {version} of {name}" if version else f"rename the file of {name}")
        renamed = Tree({f"renamed-{len(self.script)}.onnx": file})
        self._recording.put(self._model(name), renamed.at(version), event="reload.structure-changed")
        self._recording.remove_file(self._model(name), join(version, old), event="reload.structure-changed")
        self._look_at_all(look)

    @precondition(lambda self: self._published())
    @rule(data=st.data(), look=_looks)
    @_step
    def remove_version(self, data: st.DataObject, *, look: bool) -> None:
        """Remove one version of a model, or the model if it has none."""
        name, version = self._draw_version(data, self._published())
        last = len(self._versions(name)) == 1
        self._say(f"remove version {version} of {name}" if version else f"remove {name}")
        event = "reload.model-removed" if last else "reload.version-removed"
        self._recording.remove(self._model(name), version, event=event)
        self._look_at_all(look)

    @precondition(lambda self: self._published())
    @rule(data=st.data(), look=_looks)
    @_step
    def remove_model(self, data: st.DataObject, *, look: bool) -> None:
        """Remove a model with all of its versions."""
        name = data.draw(st.sampled_from(_names_of(self._published())), "model")
        self._say(f"remove {name} with all of its versions")
        for version in self._versions(name):
            self._recording.remove(self._model(name), version, event="reload.model-removed")
        self._look_at_all(look)

    @precondition(lambda self: (self._evicts or not self._has_cache) and self._sound())
    @rule(data=st.data(), look=_looks)
    @_step
    def break_version(self, data: st.DataObject, *, look: bool) -> None:
        """Overwrite a version that is being served by one that cannot be loaded."""
        name, version = self._draw_version(data, self._sound())
        self._look()
        # Only what was served can be kept, and only where nothing takes it away again.
        if not self._ask(name, version or None):
            return
        self._say(f"break version {version} of {name}" if version else f"break {name}")
        broken = self._in_place(BROKEN[self._stand.predictor], name, version)
        self._recording.break_version(self._model(name), version, broken)
        if not self._has_cache:
            self._look_at_all(look)
            return
        # An eviction may take away what was served, so that it is mended before the next one.
        self._look()
        self._ask(name, version or None)
        self._mend(name, version)

    @precondition(lambda self: self._broken())
    @rule(data=st.data(), look=_looks)
    @_step
    def mend_version(self, data: st.DataObject, *, look: bool) -> None:
        """Overwrite what cannot be loaded by what can."""
        self._mend(*data.draw(st.sampled_from(self._broken()), "version"))
        self._look_at_all(look)

    @precondition(lambda self: self._ever)
    @rule(data=st.data())
    @_step
    def ask(self, data: st.DataObject) -> None:
        """Ask for the latest or another version that was there at some time, whatever the server has seen so far."""
        name = data.draw(st.sampled_from(sorted(self._ever)), "model")
        versions = sorted(self._ever[name] | {UNVERSIONED}) if self._has_versions(name) else [UNVERSIONED]
        self._ask(name, data.draw(st.sampled_from(versions), "version") or None)

    @precondition(lambda self: self._evicts)
    @rule()
    @_step
    def evict(self) -> None:
        """Make the server evict."""
        self._say("evict")
        self._stand.await_eviction()

    def teardown(self) -> None:
        """Leave nothing behind for the next program."""
        for name in _NAMES:
            if self._stand.models.get(self._model(name)):
                self._stand.remove(self._model(name))

    def _draw_version(self, data: st.DataObject, among: list[tuple[str, str]]) -> tuple[str, str]:
        names = _names_of(among)
        # What happens to one model between two looks is what servers get wrong: the one before, more often than not.
        name = data.draw(st.sampled_from(names + [self._last] * 2 * (self._last in names)), "model")
        self._last = name
        return name, data.draw(st.sampled_from(sorted(version for each, version in among if each == name)), "version")

    def _mend(self, name: str, version: str) -> None:
        self._say(f"mend version {version} of {name}" if version else f"mend {name}")
        self._recording.mend_version(
            self._model(name),
            version,
            self._in_place(self._stand.grow(), name, version),
            obstacle=OBSTACLE[self._stand.predictor],
        )

    def _in_place(self, files: Tree, name: str, version: str) -> Tree:
        """Give the one file of an ONNX model the name that it has in a version, so that it overwrites it."""
        if self._stand.predictor != "onnx":
            return files
        return Tree(dict(zip(self._keys(name, version), files.values(), strict=True)))

    def _keys(self, name: str, version: str) -> list[str]:
        return list(self._stand.models[self._model(name)].under(version))

    @property
    def _has_cache(self) -> bool:
        return self._stand.forest.ground.configuration.cache_size is not None

    @property
    def _evicts(self) -> bool:
        return self._has_cache and isinstance(self._stand.deployment.clock, Driven)

    def _look(self) -> None:
        self._say("look")
        self._stand.catch_up()
        if not isinstance(self._stand.deployment.clock, Driven):
            for name in self._ever:
                self._recording.await_current(self._model(name))

    def _look_at_all(self, look: bool) -> None:
        """Make the server look, or give it the time to, and ask for everything that there ever was."""
        if look:
            self._look()
            for name, versions in sorted(self._ever.items()):
                self._ask(name, None)
                for version in sorted(versions - {UNVERSIONED}):
                    self._ask(name, version)

    def _ask(self, name: str, version: str | None) -> bool:
        """Ask, and judge the answer with all that came before; tells whether it is that of what is published now."""
        if version is not None and not self._has_versions(name):
            return False
        model = self._model(name)
        self._say(f"ask for {name}" if version is None else f"ask for version {version} of {name}")
        # What is loaded when it is asked for may come with a later answer. When a program that has failed is reduced,
        # it is known how much later at the most; if something else is wrong then, that is left for another search.
        search = self.search
        allowed = 2 * search.longest_wait if search.violation else self._stand.deployment.pace.load
        begun = timing.now()
        findings: list[Finding] = []

        def judged() -> Request | None:
            request = self._recording.ask(model, version)
            findings[:] = self._recording.findings(request)
            return request if not findings or findings[0].back or findings[0].clause in _NEVER else None

        request = timing.poll(judged, until=begun + allowed)
        if request is None or findings:
            if search.violation and findings[0].clause != search.clause:
                return False
            search.accuse(findings[0], self.script, [model])
            raise FaultFoundError(findings[0].clause)
        search.longest_wait = max(search.longest_wait, request.ended - begun)
        self._recording.record(request)
        return request.tokens == answer(self._recording.servable(model), version)

    def _model(self, name: str) -> str:
        return f"program-{self._number}-{name}"

    def _has_versions(self, name: str) -> bool:
        """Tell whether a version can be asked for: the contract is silent on one of a model without versions."""
        return UNVERSIONED not in self._recording.lately_served(self._model(name))

    def _versions(self, name: str) -> list[str]:
        return list(self._recording.folders(self._model(name)))

    def _publishable(self) -> list[tuple[str, str]]:
        there = {name: self._versions(name) for name in _NAMES}
        new = [(name, UNVERSIONED) for name, versions in there.items() if not versions]
        return new + [
            (name, version)
            for name, versions in there.items()
            if UNVERSIONED not in versions
            for version in _VERSIONS
            if version not in versions
        ]

    def _published(self) -> list[tuple[str, str]]:
        return [(name, version) for name in _NAMES for version in self._versions(name)]

    def _broken(self) -> list[tuple[str, str]]:
        return [each for each in self._published() if self._is_broken(*each)]

    def _sound(self) -> list[tuple[str, str]]:
        return [each for each in self._published() if not self._is_broken(*each)]

    def _of_several_files(self) -> list[tuple[str, str]]:
        return [each for each in self._sound() if len(self._keys(*each)) > 1]

    def _is_broken(self, name: str, version: str) -> bool:
        return self._recording.is_broken(self._model(name), version)

    def _say(self, line: str) -> None:
        self.script.append(line)
