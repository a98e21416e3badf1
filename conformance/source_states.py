"""The states that the source of a model goes through, one after each change of it; pure."""

from __future__ import annotations

import bisect
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import inf

Tokens = frozenset[str]

# Gives the moment by which every request has to see a change that ended at a moment.
Deadline = Callable[[float], float]

# The key of a model's only version where it has no version folders.
UNVERSIONED = ""


@dataclass(frozen=True)
class Change:
    """One change of a model: of a single key, or of several that no answer can tell apart.

    `versions` are those that can be served after it, each with its tokens; where content came in that cannot be loaded,
    that is what was served before, and the version is one of `broken`. `event` is the clause that asks a server to see
    the change. `begun` and `ended` are moments of `timing.now`; what happened before the server was started is a change
    like all others.
    """

    begun: float
    ended: float
    model: str
    event: str
    versions: Mapping[str, Tokens]
    broken: Collection[str] = ()


def answer(versions: Mapping[str, Tokens], version: str | None) -> Tokens | None:
    """Give what a request for a version, or with None for the latest, is answered by: tokens, or None for an error."""
    which = answering(versions, version)
    return None if which is None else versions[which]


def answering(versions: Iterable[str], version: str | None) -> str | None:
    """Give which of the versions a request for one, or with None for the latest, is answered by; None for an error."""
    return max((each for each in versions if version is None or _is_same(each, version)), key=number_of, default=None)


def number_of(version: str) -> float | int:
    """Give the number by which versions are ordered; a model without versions is below all."""
    return int(version) if version != UNVERSIONED else -inf


def _is_same(one: str, other: str) -> bool:
    try:
        return one == other or int(one) == int(other)
    except ValueError:
        return False


class SourceStates:
    """The states that the source of one model went through; state 0 is that before its first change."""

    def __init__(self, model: str, changes: Sequence[Change], deadline: Deadline) -> None:
        self.model = model
        self.changes = [change for change in changes if change.model == model]
        self._begun = [change.begun for change in self.changes]
        self.deadlines = [deadline(change.ended) for change in self.changes]

    def allowed(self, begun: float, ended: float) -> range:
        """Give the states that may explain an answer, by when it was asked for and when it came.

        None was over too long before, and none came afterwards.
        """
        return range(bisect.bisect_left(self.deadlines, begun), bisect.bisect_right(self._begun, ended) + 1)

    def answer(self, state: int, version: str | None) -> Tokens | None:
        """Give what a request is answered by in a state: tokens, or None for an error."""
        return answer(self.versions(state), version)

    def answering(self, state: int, version: str | None) -> str | None:
        """Give the version that answers a request in a state, None for an error."""
        return answering(self.versions(state), version)

    def versions(self, state: int) -> Mapping[str, Tokens]:
        """Give the versions that can be served in a state, each with its tokens."""
        return self.changes[state - 1].versions if state else {}

    def had_to_be_seen(self, state: int, now: float = inf) -> bool:
        """Whether a state lasted until its deadline, the last one until `now`; not of that before the first change."""
        end = self._begun[state] if state < len(self.changes) else now
        return self.deadlines[state - 1] <= end

    def event(self, number: int, now: int) -> str:
        """Give the clause that asks to see a change: of a model that nobody had to see gone a version was removed."""
        event = self.changes[number].event
        was_gone = any(not self.versions(state) and self.had_to_be_seen(state) for state in range(number + 1, now))
        is_back = bool(self.versions(now)) and not was_gone
        return "reload.version-removed" if event == "reload.model-removed" and is_back else event

    def broken(self, state: int) -> Collection[str]:
        """Give the versions that in a state have content that cannot be loaded."""
        return self.changes[state - 1].broken if state else ()

    def carriers(self, tokens: Tokens, below: str | None = None) -> set[str]:
        """Give the versions that ever had these tokens, all or those lower than one."""
        return {
            version
            for change in self.changes
            for version, carried in change.versions.items()
            if carried == tokens and (below is None or number_of(version) < number_of(below))
        }

    def loses_files(self, state: int, version: str | None) -> bool:
        """Whether files that would have answered a request in the state before have been deleted in this one."""
        before = self.answering(state - 1, version) if state else None
        return before is not None and len(self.versions(state).get(before, ())) < len(self.versions(state - 1)[before])

    @cached_property
    def tokens(self) -> Tokens:
        """Every token that the model ever had."""
        return Tokens(
            token for change in self.changes for version in change.versions.values() for token in version
        )  # fmt: skip
