"""The judge: which answers of a history no state of the source explains, and what that says; pure.

A model goes through states, one after each change of it. An answer is explained by a state that its source may have
been in when the request was answered, or before, as long as the deadline for the change that ended it had not passed.
Nothing else is asked of time, so that a server may look at its source whenever it likes until then.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf

from conformance.source_states import (
    UNVERSIONED,
    Change,
    Deadline,
    SourceStates,
    Tokens,
    answering,
    number_of,
)


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
    sources = {model: SourceStates(model, changes, deadline) for model in {change.model for change in changes}}
    questions: dict[tuple[str, str | None], list[Request]] = {}
    for request in sorted(requests, key=lambda request: request.begun):
        if request.model not in sources:
            sources[request.model] = SourceStates(request.model, changes, deadline)
        questions.setdefault((request.model, request.version), []).append(request)
    findings = [
        finding
        for (model, _), asked in questions.items()
        for finding in _Witness(sources[model], sources, asked, zero, one_process).findings()
    ]
    return sorted(findings, key=lambda finding: finding.request.begun)


class _Witness:
    """All requests that put one question to one model, in the order in which they were sent."""

    def __init__(
        self,
        source: SourceStates,
        sources: Mapping[str, SourceStates],
        asked: Sequence[Request],
        zero: float,
        one_process: bool,
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

    def _allowed(self, request: Request) -> range:
        return self._source.allowed(request.begun, request.ended)

    def _explaining(self, request: Request) -> Iterator[int]:
        """Give the states that explain an answer: those it belongs to, and for an error those in which files went.

        A server that loads what it is asked for finds them gone before it has to know that they are.
        """
        allowed = self._allowed(request)
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
        if (missed := self._stale_version(request)) is not None:
            return missed
        allowed = self._allowed(request)
        past = [state for state in range(allowed.start) if self._answers[state] == request.tokens]
        wanted = self._source.answering(allowed.start, self._version)
        if wanted in self._source.broken(allowed.start) and (
            request.tokens is None or self._source.carriers(request.tokens, below=wanted)
        ):
            # What was served of it was to stay, and neither an error nor a lower version to take its place.
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
        elif self._source.carriers(request.tokens):
            if self._version is not None:
                clause = "clients.explicit-version"
            elif (missed := self._missed_addition(request)) is not None:
                return missed
            else:
                clause = "layouts.latest-is-highest"
        else:
            clause = "reload.never-mixed"
        answers = {self._answers[state] for state in allowed}
        return self._finding(clause, request, " or ".join(sorted(map(self._describe, answers))))

    def _stale_version(self, request: Request) -> Finding | None:
        """Judge an answer that has older content of the version that is the latest, None if it is no such answer."""
        states = range(self._allowed(request).start)
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
        now = self._allowed(request).start
        since = max(state for state in range(now) if self._answers[state] != self._answers[now])
        wanted, begun = self._answers[now], self._source.changes[since].begun
        if any(
            begun <= other.begun and other.ended < request.begun and other.tokens == wanted for other in self._asked
        ):
            return None
        return self.stale(request, since)

    def _missed_addition(self, request: Request) -> Finding | None:
        """Judge an answer by a lower version that was the latest once, or is of those that are left; None if not so.

        Whatever became of its files since, the higher version was missed.
        """
        states = range(self._allowed(request).start)
        latest = self._source.answering(states.stop, None)
        if latest is None or request.tokens is None:
            return None
        lower = self._source.carriers(request.tokens, below=latest)
        there = self._source.versions(states.stop).keys()
        past = [
            state
            for state in states
            for before in [self._source.versions(state).keys()]
            if {answering(before, None), answering(before & there, None)} & lower
        ]
        if not past:
            return None
        # One that became the latest only as others went may have been there for long, or be missed as well.
        now = states.stop
        came_in = next(state for state in reversed(states) if latest not in self._source.versions(state))
        was_seen = any(self._source.had_to_be_seen(state) for state in range(came_in + 1, now))
        return self.stale(request, past[-1]) if was_seen else self._missing(request, came_in, came_in)

    def stale(self, request: Request, state: int) -> Finding:
        """Accuse the server of having missed the change that made the wanted answer what it is.

        `state` is the last one that explains the answer that was given, or which version it was from.
        """
        return self._missing(request, state, self._missed(request, state, self._allowed(request).start))

    def _missing(self, request: Request, state: int, missed: int) -> Finding:
        """Accuse the server, or of several processes this one, of having missed a change since a state."""
        now = self._allowed(request).start
        wanted = self._answers[now]
        change, event = self._source.changes[missed], self._source.event(missed, now)
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
            "reload.processes" if others else event,
            f"{self._describe(wanted)}: the source changed ({event}) until {self._at(change.ended)}, which every"
            f" process had to serve by {self._at(self._source.deadlines[missed])}",
            f"{self._what(request)}, still {self._describe(request.tokens)}{seen}",
            request,
        )

    def _missed(self, request: Request, state: int, now: int) -> int:
        """Find the change since a state that was missed.

        Where the version that is wanted was not always wanted since, that is the one that brought it in, whatever
        became of its files afterwards; or where the answer is from a higher one, the one that took that away.
        """
        by_version = {each: self._source.answering(each, self._version) for each in range(state, now + 1)}
        served, wanted = by_version[state], by_version[now]
        if self._answers[state] == request.tokens and served is not None and wanted is not None:
            there = [each for each in range(state, now + 1) if served in self._source.versions(each)]
            if there[-1] < now and number_of(served) > number_of(wanted) > -inf:
                return there[-1]
        seen_as = by_version if len({*by_version.values()}) > 1 else self._answers
        return next(each for each in reversed(range(state, now)) if seen_as[each] != seen_as[now])

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
