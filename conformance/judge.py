"""The judge: which answers of a history no state of the source explains, and what that says; pure.

A model goes through states, one after each change of it. An answer is explained by a state that its source may have
been in when the request was answered, or before, as long as the deadline for the change that ended it had not passed.
Nothing else is asked of time, so that a server may look at its source whenever it likes until then.
"""

from __future__ import annotations

import bisect
import heapq
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
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


@dataclass(frozen=True)
class Request:
    """One request and its answer: the tokens of the files behind it, or None for an error.

    `version` is None where the latest was asked for; `process` tells the server's processes apart.
    """

    begun: float
    ended: float
    model: str
    version: str | None
    process: str
    tokens: Tokens | None


@dataclass(frozen=True)
class Finding:
    """A request whose answer nothing explains: the most specific clause that it breaks, and the reason in prose.

    Moments in `expected` and `observed` are seconds after the first change. What is `back` is older than what the same
    process had answered before, so that it cannot be on its way.
    """

    clause: str
    expected: str
    observed: str
    request: Request
    back: bool = False


def judge(changes: Iterable[Change], requests: Iterable[Request], staleness: float) -> list[Finding]:
    """Give the requests that break the contract, in the order in which they were sent.

    `staleness` is the time in seconds after which a change has to be seen: `Pace.serve`.
    """
    return judge_by(changes, requests, lambda ended: ended + staleness)


def judge_by(
    changes: Iterable[Change], requests: Iterable[Request], deadline: Deadline, *, one_process: bool = False
) -> list[Finding]:
    """Do the same where the moment by which a change has to be seen depends otherwise on the one at which it ended.

    A later change never has an earlier deadline. Where a server is configured to have `one_process`, a second one has
    taken the place of the first, and what it misses is the matter of that change alone.
    """
    changes = sorted(changes, key=lambda change: change.ended)
    zero = changes[0].begun if changes else 0.0
    sources = {model: _Source(model, changes, deadline) for model in {change.model for change in changes}}
    questions: dict[tuple[str, str | None], list[Request]] = {}
    for request in sorted(requests, key=lambda request: request.begun):
        if request.model not in sources:
            sources[request.model] = _Source(request.model, changes, deadline)
        questions.setdefault((request.model, request.version), []).append(request)
    findings = [
        finding
        for (model, _), asked in questions.items()
        for finding in _Witness(sources[model], sources, asked, zero, one_process).findings()
    ]
    return sorted(findings, key=lambda finding: finding.request.begun)


def answer(versions: Mapping[str, Tokens], version: str | None) -> Tokens | None:
    """Give what a request for a version, or with None for the latest, is answered by: tokens, or None for an error."""
    which = answering(versions, version)
    return None if which is None else versions[which]


def answering(versions: Iterable[str], version: str | None) -> str | None:
    """Give which of the versions a request for one, or with None for the latest, is answered by; None for an error."""
    return max((each for each in versions if version is None or _same(each, version)), key=_number, default=None)


class _Source:
    """The states that the source of one model went through; state 0 is that before its first change."""

    def __init__(self, model: str, changes: Sequence[Change], deadline: Deadline) -> None:
        self.model = model
        self.changes = [change for change in changes if change.model == model]
        self._begun = [change.begun for change in self.changes]
        self.deadlines = [deadline(change.ended) for change in self.changes]

    def allowed(self, request: Request) -> range:
        """Give the states that may explain the answer: none that was over too long ago, none that came afterwards."""
        first = bisect.bisect_left(self.deadlines, request.begun)
        return range(first, bisect.bisect_right(self._begun, request.ended) + 1)

    def answer(self, state: int, version: str | None) -> Tokens | None:
        """Give what a request is answered by in a state: tokens, or None for an error."""
        return answer(self.versions(state), version)

    def answering(self, state: int, version: str | None) -> str | None:
        """Give the version that answers a request in a state, None for an error."""
        return answering(self.versions(state), version)

    def versions(self, state: int) -> Mapping[str, Tokens]:
        """Give the versions that can be served in a state, each with its tokens."""
        return self.changes[state - 1].versions if state else {}

    def is_broken(self, state: int, version: str | None) -> bool:
        """Whether the version that answers a request in a state has content that cannot be loaded."""
        return state > 0 and self.answering(state, version) in self.changes[state - 1].broken

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


class _Witness:
    """All requests that put one question to one model, in the order in which they were sent."""

    def __init__(
        self, source: _Source, sources: Mapping[str, _Source], asked: Sequence[Request], zero: float, one_process: bool
    ) -> None:
        self._source = source
        self._sources = sources
        self._asked = asked
        self._zero = zero
        self._one_process = one_process
        self._version = asked[0].version
        states = range(len(source.changes) + 1)
        self._answers = [source.answer(state, self._version) for state in states]

    def findings(self) -> Iterator[Finding]:
        """Judge each request by itself, and after those that its process had answered before it was sent."""
        floors: dict[str, int] = {}
        open_requests: dict[str, list[tuple[float, int]]] = {}
        for request in self._asked:
            completed = open_requests.setdefault(request.process, [])
            while completed and completed[0][0] < request.begun:
                _, state = heapq.heappop(completed)
                floors[request.process] = max(state, floors.get(request.process, 0))
            floor = floors.get(request.process, 0)
            explaining = list(self._explaining(request))
            if not explaining:
                yield replace(self._unexplained(request), back=self._is_back(request, floor))
            elif request.tokens is not None:
                newer = [state for state in explaining if state >= floor]
                if newer:
                    heapq.heappush(completed, (request.ended, newer[0]))
                else:
                    yield self._went_back(request, floor)

    def _explaining(self, request: Request) -> Iterator[int]:
        """Give the states that explain an answer: those it belongs to, and for an error those in which files went.

        A server that loads what it is asked for finds them gone before it has to know that they are.
        """
        allowed = self._source.allowed(request)
        for state in allowed:
            is_underway = request.tokens is None and state > allowed.start
            if self._answers[state] == request.tokens or (
                is_underway and self._source.loses_files(state, self._version)
            ):
                yield state

    def _is_back(self, request: Request, floor: int) -> bool:
        """Whether an answer that nothing explains is from a state before the one that its process has served."""
        before, since = self._answers[:floor], self._answers[floor:]
        return request.tokens is not None and request.tokens in before and request.tokens not in since

    def _unexplained(self, request: Request) -> Finding:
        allowed = self._source.allowed(request)
        was_whole = any(request.tokens in change.versions.values() for change in self._source.changes)
        is_broken = self._source.is_broken(allowed.start, self._version) and (was_whole or request.tokens is None)
        if not is_broken and (missed := self._stale_version(request)) is not None:
            return missed
        past = [state for state in range(allowed.start) if self._answers[state] == request.tokens]
        if is_broken:
            # What was served of it was to stay, and no error, other version or older content to take its place.
            clause = "reload.broken-keeps-last-good"
        elif past and not (request.tokens is None and self._was_served(request, past[-1])):
            return self.stale(request, past[-1])
        elif request.tokens is None:
            if len(allowed) == 1 and (missed := self._never_served(request)) is not None:
                return missed
            clause = "reload.no-gap"
        elif not request.tokens <= self._source.tokens:
            others = [source for source in self._sources.values() if source is not self._source]
            is_another = any(source.tokens & request.tokens for source in others)
            clause = "clients.by-name" if is_another else "reload.never-mixed"
        elif was_whole:
            if self._version is not None:
                clause = "clients.explicit-version"
            elif (missed := self._missed_addition(request)) is not None:
                return missed
            else:
                clause = "layouts.latest-is-highest"
        else:
            clause = "reload.never-mixed"
        wanted = {self._answers[state] for state in self._source.allowed(request)}
        return self._finding(clause, request, " or ".join(sorted(map(self._describe, wanted))))

    def _stale_version(self, request: Request) -> Finding | None:
        """Judge an answer that has older content of the version that is the latest, None if it is no such answer."""
        states = range(self._source.allowed(request).start)
        latest = self._source.answering(states.stop, None)
        if self._version is not None or latest is None or request.tokens is None:
            return None
        past = [state for state in states if self._source.answer(state, latest) == request.tokens]
        if not past:
            return None
        of_version = replace(request, version=latest)
        witness = _Witness(self._source, self._sources, [of_version], self._zero, self._one_process)
        missed = witness.stale(of_version, past[-1])
        observed = f"{self._what(request)}, still {self._describe(request.tokens)}"
        return replace(missed, observed=observed, request=request)

    def _never_served(self, request: Request) -> Finding | None:
        """Judge an error in the place of what has never been served since it is wanted; None if it has."""
        now = self._source.allowed(request).start
        since = max(state for state in range(now) if self._answers[state] != self._answers[now])
        if any(other.tokens == self._answers[now] and other.ended < request.begun for other in self._since(since)):
            return None
        return self.stale(request, since)

    def _since(self, state: int) -> Iterator[Request]:
        """Give the requests that were sent after a state had begun to end."""
        return (other for other in self._asked if other.begun >= self._source.changes[state].begun)

    def _missed_addition(self, request: Request) -> Finding | None:
        """Judge an answer by a lower version that was the latest once, or is of those that are left; None if not so.

        Whatever became of its files since, the higher version was missed.
        """
        states = range(self._source.allowed(request).start)
        latest = self._source.answering(states.stop, None)
        if latest is None:
            return None
        lower = {
            version
            for change in self._source.changes
            for version, tokens in change.versions.items()
            if tokens == request.tokens and _number(version) < _number(latest)
        }
        there = self._source.versions(states.stop).keys()
        past = [
            state
            for state in states
            for before in [self._source.versions(state).keys()]
            if {answering(before, None), answering(before & there, None)} & lower
        ]
        return self.stale(request, past[-1]) if past else None

    def stale(self, request: Request, state: int) -> Finding:
        """Accuse the server of having missed the change that made the wanted answer what it is.

        `state` is the last one that explains the answer that was given, or which version it was from. Where the version
        that is wanted was not always wanted since, the change is the one that brought it in, whatever became of its
        files afterwards.
        """
        allowed = self._source.allowed(request)
        now = allowed.start
        wanted = self._answers[now]
        by_version = {each: self._source.answering(each, self._version) for each in range(state, now + 1)}
        seen_as = by_version if len({*by_version.values()}) > 1 else self._answers
        missed = next(each for each in reversed(range(state, now)) if seen_as[each] != seen_as[now])
        change = self._source.changes[missed]
        others = [
            other
            for other in self._asked
            if not self._one_process
            and other.process != request.process
            and other.ended < request.begun
            and self._is_newer(other, state)
        ]
        seen = f"; process {others[-1].process} had served the change by {self._at(others[-1].ended)}" if others else ""
        return Finding(
            "reload.processes" if others else change.event,
            f"{self._describe(wanted)}: the source changed ({change.event}) until {self._at(change.ended)}, which every"
            f" process had to serve by {self._at(self._source.deadlines[missed])}",
            f"{self._what(request)}, still {self._describe(request.tokens)}{seen}",
            request,
        )

    def _went_back(self, request: Request, floor: int) -> Finding:
        newer = self._source.changes[floor - 1]
        return self._finding(
            "reload.never-back",
            request,
            f"no older revision in process {request.process}, which had already served the change of"
            f" {self._at(newer.ended)}: {self._describe(self._answers[floor])}",
        )

    def _finding(self, clause: str, request: Request, expected: str) -> Finding:
        return Finding(clause, expected, f"{self._what(request)}, {self._describe(request.tokens)}", request)

    def _was_served(self, request: Request, state: int) -> bool:
        """Whether a later state had been served before, so that an error is a gap and no change that was missed."""
        return any(other.ended < request.begun and self._is_newer(other, state) for other in self._asked)

    def _is_newer(self, request: Request, state: int) -> bool:
        return request.tokens is not None and request.tokens in self._answers[state + 1 :]

    def _what(self, request: Request) -> str:
        version = "the latest version" if request.version is None else f"version {request.version!r}"
        return (
            f"{version} of {request.model}, asked for at {self._at(request.begun)} and answered at"
            f" {self._at(request.ended)} by process {request.process}"
        )

    def _describe(self, tokens: Tokens | None) -> str:
        if tokens is None:
            return "an error"
        for source in self._sources.values():
            for change in source.changes:
                for version, carried in change.versions.items():
                    if tokens == carried:
                        of = f"version {version} of {source.model}" if version != UNVERSIONED else source.model
                        return f"{of}, whole since {self._at(change.ended)}"
        return f"files that were never together: tokens {', '.join(sorted(tokens)) or 'none'}"

    def _at(self, moment: float) -> str:
        return f"{moment - self._zero:.2f} s"


def _number(version: str) -> float | int:
    return int(version) if version != UNVERSIONED else -inf


def _same(one: str, other: str) -> bool:
    try:
        return one == other or int(one) == int(other)
    except ValueError:
        return False
