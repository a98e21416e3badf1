"""The models of a stand as a cache holds them: accessed one by one, and watched through what the witness tells.

Whether an object is in memory the python witness knows of everything that load_model returned, the onnx witness of
every session that it was handed. A SavedModel is seen only by asking: its counter goes on when it stayed, and begins
anew when it was loaded anew. What is not on disk is downloaded when it is asked for, which the ledger of S3 shows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from conformance import timing
from conformance.cache.lru import LeastRecentlyUsed
from conformance.clock import Driven
from conformance.deployment import Answer
from conformance.problems import HarnessError, UnobservableError
from conformance.s3.ledger import Request
from conformance.stand import LEFT_OUT, Stand, Version
from conformance.violations import ViolationError

# Times that the first model is asked for to see that one that stays in memory shows it.
_SHOWN = 3

# Windows that are tried before none is taken to be quiet, and the part of an interval in which no run begins.
_ATTEMPTS = 6
_SURELY_BEFORE_THE_NEXT = 0.85


@dataclass(frozen=True)
class Access:
    """One answer: whether the model was in memory already, and what had to be downloaded for it."""

    was_in_memory: bool
    downloads: tuple[Request, ...]


@dataclass(frozen=True)
class Window:
    """A time in which models were asked for: when it ended, and how many objects were let go of meanwhile."""

    ended: float
    drops: int

    @property
    def is_quiet(self) -> bool:
        """Whether nothing was let go of."""
        return not self.drops


class CachedModels:
    """The models of a stand, asked for one after the other; `memory` and `disk` say what the contract keeps of them."""

    def __init__(self, stand: Stand) -> None:
        configuration = stand.forest.ground.configuration
        assert configuration.cache_size is not None, "the planting configures no cache"
        assert configuration.disk_cache_size is not None, "the planting configures no cache"
        self.stand = stand
        self.memory = LeastRecentlyUsed(configuration.cache_size)
        self.disk = LeastRecentlyUsed(configuration.disk_cache_size)
        self._asked: dict[str, tuple[str, Version]] = {}
        self._last: dict[str, int] = {}
        self._objects: dict[tuple[int, int], str] = {}
        self._owners: dict[str, str] = {}
        self._note_owners()

    def access(self, name: str, folder: str = "", *, version: Version = LEFT_OUT) -> Access:
        """Ask for a model, or for the version in a folder of it, and expect its files; raises `ViolationError`.

        Of a model with versions this is always the same one, in whichever way the request names it.

        Raises `UnobservableError` when the first model never looks as if it had stayed in memory.
        """
        if not self._last and not any(self._ask(name, folder, version).was_in_memory for _ in range(_SHOWN)):
            raise UnobservableError(f"model {name}, asked for {_SHOWN} times, does not show that it stayed in memory")
        return self._ask(name, folder, version)

    def access_all(self, names: Iterable[str]) -> Mapping[str, Access]:
        """Ask for several models in this order, once each, in the way that each was asked for last."""
        asked = {name: self._asked.get(name, ("", LEFT_OUT)) for name in names}
        return {name: self.access(name, folder, version=version) for name, (folder, version) in asked.items()}

    def _ask(self, name: str, folder: str, version: Version) -> Access:
        stand = self.stand
        self._asked[name] = folder, version
        expected = frozenset(stand.models[name].under(folder).tokens.values())
        begun = timing.now()
        answer = stand.await_answer(
            lambda: stand.ask(name, version, more={"watch": True}), lambda answer: answer.tokens == expected
        )
        if answer.tokens != expected:
            raise ViolationError(f"{stand.question(name, version)} is answered by its files", stand.describe(answer))
        self.memory.access(name)
        self.disk.access(name)
        downloads = tuple(
            request for request in stand.requests_since(begun) if request.is_download and name in request.models
        )
        return Access(self._was_in_memory(name, answer), downloads)

    def _was_in_memory(self, name: str, answer: Answer) -> bool:
        body = answer.body
        last = self._last.get(name)
        if self.stand.predictor == "tensorflow":
            (counter,) = body["outputs"]["counter"]
            self._last[name] = counter
            return last is not None and bool(counter == last + 1)
        self._last[name] = body["serial"]
        self._objects[body["process"], body["serial"]] = name
        return bool(last == body["serial"])

    @property
    def shows_memory(self) -> bool:
        """Whether what is in memory can be seen without asking for it."""
        return self.stand.predictor != "tensorflow"

    def in_memory(self) -> set[str]:
        """Give the models that are in memory, which for TensorFlow asks for each of them once.

        Those that ought to be there are asked for first, so that none of the others can have displaced them.
        """
        if not self.shows_memory:
            return {name for name, access in self.access_all(self.memory.accessed).items() if access.was_in_memory}
        census = self._census()
        known = self._known_objects()
        found = {known.get((census["process"], serial)) for serial in census["in_memory"]}
        return {name for name in found if name is not None}

    def on_disk(self) -> set[str]:
        """Give the models that are on disk, or else in memory, by asking for each of them once; needs S3.

        Those that ought to be there are asked for first, so that none of the others can have displaced them.
        """
        return {name for name, access in self.access_all(self.disk.accessed).items() if not access.downloads}

    def loaded_from_disk(self) -> set[str]:
        """Give the models that are on disk and not in memory, by asking for each of them once; needs S3."""
        asked = self.access_all(self.disk.accessed)
        return {name for name, access in asked.items() if not access.was_in_memory and not access.downloads}

    def on_disk_by_path(self) -> set[str]:
        """Give the models of which a path that load_model got still holds the files; only of the python predictor."""
        census = self._census()
        known = self._known_objects()
        found = {known.get((census["process"], serial)) for serial in census["on_disk"]}
        return {name for name in found if name is not None}

    def bytes_fetched(self, name: str, since: float) -> dict[str, int]:
        """Count the bytes downloaded of each file of a model, in whole or in parts, since a moment of `timing.now`."""
        fetched: dict[str, int] = {}
        for request in self.stand.requests_since(since):
            if request.key is not None and name in request.models and request.is_download:
                fetched[request.key] = fetched.get(request.key, 0) + request.entry.size
        return fetched

    def drops_since(self, moment: float) -> list[float]:
        """Give the moments at which objects were let go, in order, as far as the witness saw it."""
        known = self._known_objects()
        return sorted(
            line["at"]
            for line in self.stand.deployment.journals()
            if line["event"] == "dropped" and line["at"] >= moment and (line["process"], line["serial"]) in known
        )

    def loads(self, name: str) -> int:
        """Count how often load_model was called with the files of a model; only of the python predictor."""
        return list(self._known_objects().values()).count(name)

    def is_within_memory(self) -> bool:
        """Whether no more models are in memory than there may be; only where `shows_memory`."""
        return len(self.in_memory()) <= self.memory.limit

    def await_eviction(self) -> None:
        """Await a run; where memory can be seen without asking, until it is within its limit."""
        self.stand.await_eviction(self.is_within_memory if self.shows_memory else None)

    def ask_within_one_window(self, names: Sequence[str]) -> Window:
        """Ask for models between two eviction runs; only where `shows_memory`.

        What is let go of all the same was not let go of by a run. Raises `HarnessError` when runs follow each other too
        closely for that.
        """
        interval = self.stand.deployment.pace.intervals.evict
        *first, last = names
        for _ in range(_ATTEMPTS):
            self.access_all(first)
            before_last = timing.now()
            self.access(last)
            self._await_end_of_run(since := timing.now())
            # The run that has just been seen tells when the next one is due. Without any, one may have taken place just
            # after the last model had come in, or else all went within the requests.
            last_run = max(self.drops_since(since), default=None)
            begun = timing.now()
            self.access_all(names)
            window = Window(timing.now(), len(self.drops_since(begun)))
            due = (before_last if last_run is None else last_run) + _SURELY_BEFORE_THE_NEXT * interval
            if self.is_driven or (window.ended < due and (last_run is None) != window.is_quiet):
                return window
        raise HarnessError(f"intervals unusable: {len(names)} models take {window.ended - begun:.2f} s to ask for")

    def _await_end_of_run(self, since: float) -> None:
        """Await a run that lets go of something; a server that keeps too much shows its end by a pause."""
        pause = self.stand.deployment.pace.intervals.evict / 4

        def is_over() -> bool:
            if self.is_within_memory():
                return True
            drops = self.drops_since(since)
            return bool(drops) and timing.now() > drops[-1] + pause

        self.stand.await_eviction(is_over)

    @property
    def is_driven(self) -> bool:
        """Whether runs take place only when they are awaited."""
        return isinstance(self.stand.deployment.clock, Driven)

    def _census(self) -> Mapping[str, Any]:
        answer = self.stand.deployment.predict({"census": True})
        if not answer.is_served:
            raise ViolationError("the predictor answers what it is asked", self.stand.describe(answer))
        return answer.body

    def _known_objects(self) -> Mapping[tuple[int, int], str]:
        """Give the model of each object that the witness watches, by process and serial."""
        if self.stand.predictor != "python":
            return self._objects
        self._note_owners()
        return {
            (line["process"], line["serial"]): name
            for line in self.stand.deployment.journals()
            if line["event"] == "loaded" and "serial" in line
            for name in {self._owners.get(token or "") for token in line["files"].values()}
            if name is not None
        }

    def _note_owners(self) -> None:
        """Remember whose tokens these are, also when they are overwritten later."""
        self._owners |= {token: name for name, tree in self.stand.models.items() for token in tree.tokens.values()}


def expect_within(cached: CachedModels, found: set[str], limit: int, where: str) -> None:
    """Expect a run to have left no more than the limit."""
    cached.stand.expect(
        len(found) <= limit,
        expected=f"at most {limit} of {len(cached.memory.accessed)} models {where} after an eviction run",
        observed=f"{len(found)}: {listed(found)}",
    )


def listed(names: Iterable[str]) -> str:
    """Write some models for an expectation."""
    return ", ".join(sorted(names)) or "none"
