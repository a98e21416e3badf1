"""Outcomes, profiles and the verdict: pure functions from the results of tests to what a run says; README.md."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum

from conformance.catalogue import Catalogue, Clause, Level, Profile


class Outcome(StrEnum):
    """What became of a test or of a clause."""

    PASS = "pass"  # noqa: S105 - an outcome, no secret
    FAIL = "fail"
    BLOCKED = "blocked"
    NOT_SUPPORTED = "not-supported"
    UNOBSERVABLE = "unobservable"
    SKIPPED = "skipped"
    KNOWN_FAILING = "known-failing"
    DESELECTED = "deselected"
    ERROR = "error"
    UNTESTED = "untested"


class Verdict(StrEnum):
    """What a run says of an implementation, or of one profile of it."""

    CONFORMANT = "conformant"
    NOT_CONFORMANT = "not conformant"
    PARTIAL = "partial"
    ERROR = "error"
    ABSENT = "absent"


class ExitStatus(IntEnum):
    """What the suite exits with."""

    CONFORMANT = 0
    NOT_CONFORMANT = 1
    PARTIAL = 2
    ERROR = 3


EXIT_STATUS = {
    Verdict.CONFORMANT: ExitStatus.CONFORMANT,
    Verdict.NOT_CONFORMANT: ExitStatus.NOT_CONFORMANT,
    Verdict.PARTIAL: ExitStatus.PARTIAL,
    Verdict.ERROR: ExitStatus.ERROR,
}

# The outcome of a clause is the first of these that one of its tests has.
_PRECEDENCE = (
    Outcome.FAIL,
    Outcome.ERROR,
    Outcome.KNOWN_FAILING,
    Outcome.UNOBSERVABLE,
    Outcome.SKIPPED,
    Outcome.DESELECTED,
    Outcome.PASS,
    Outcome.NOT_SUPPORTED,
)

# A MUST with one of these was not judged, so that nothing better than partial can be said.
_NOT_JUDGED = frozenset(
    {Outcome.UNOBSERVABLE, Outcome.KNOWN_FAILING, Outcome.DESELECTED, Outcome.SKIPPED, Outcome.BLOCKED}
)


@dataclass(frozen=True)
class TestResult:
    """What became of one test: `message` explains every outcome other than pass."""

    __test__ = False

    id: str
    clause: str
    outcome: Outcome
    seconds: float = 0.0
    message: str = ""


@dataclass(frozen=True)
class ProfileResult:
    """The verdict on one profile, and the clauses that it rests on, each with its outcome in words."""

    verdict: Verdict
    reasons: Sequence[str] = field(default_factory=tuple)


def judge_clauses(
    catalogue: Catalogue, tests: Iterable[TestResult], without_tests: Mapping[str, Outcome] | None = None
) -> dict[str, Outcome]:
    """Give the outcome of every clause of the catalogue.

    A clause for which no test ran is untested, unless `without_tests` knows better.
    """
    seen: dict[str, set[Outcome]] = {clause_id: set() for clause_id in catalogue}
    for test in tests:
        seen[test.clause].add(test.outcome)
    own = {
        clause_id: next(
            (outcome for outcome in _PRECEDENCE if outcome in outcomes),
            (without_tests or {}).get(clause_id, Outcome.UNTESTED),
        )
        for clause_id, outcomes in seen.items()
    }

    def is_blocked(clause: Clause) -> bool:
        return any(own[required] is Outcome.FAIL or is_blocked(catalogue[required]) for required in clause.requires)

    return {
        clause_id: Outcome.BLOCKED
        if outcome in {Outcome.PASS, Outcome.FAIL} and is_blocked(catalogue[clause_id])
        else outcome
        for clause_id, outcome in own.items()
    }


def judge_profile(
    profile: Profile, catalogue: Catalogue, outcomes: Mapping[str, Outcome], *, strict: bool = False
) -> ProfileResult:
    """Judge one profile; only MUST clauses bind, unless `strict`.

    A clause that no test covers does not lower the verdict: it says something about the suite, not about the server.
    """
    binding = {
        clause.id: outcomes[clause.id]
        for clause in catalogue.values()
        if clause.profile is profile and (strict or clause.level is Level.MUST)
    }

    def having(*chosen: Outcome) -> list[str]:
        return [f"{clause_id}: {outcome}" for clause_id, outcome in binding.items() if outcome in chosen]

    if failed := having(Outcome.FAIL):
        return ProfileResult(Verdict.NOT_CONFORMANT, failed)
    if broken := having(Outcome.ERROR):
        return ProfileResult(Verdict.ERROR, broken)
    if Outcome.PASS not in binding.values() and (not_judged := having(*_NOT_JUDGED)):
        return ProfileResult(Verdict.PARTIAL, not_judged)
    if Outcome.PASS not in binding.values():
        return ProfileResult(Verdict.ABSENT, ())
    if not_judged := having(*_NOT_JUDGED):
        return ProfileResult(Verdict.PARTIAL, not_judged)
    return ProfileResult(Verdict.CONFORMANT)


def judge(
    catalogue: Catalogue,
    tests: Iterable[TestResult],
    outcomes: Mapping[str, Outcome],
    *,
    strict: bool = False,
    profiles: Collection[Profile] = (),
) -> tuple[Verdict, dict[Profile, ProfileResult]]:
    """Give the verdict of the run, and that on each profile.

    That of the run is that of `profiles`; without any, of the declared ones but those of hardware.
    """
    judged = {profile: judge_profile(profile, catalogue, outcomes, strict=strict) for profile in Profile}
    asked = profiles or [profile for profile in Profile if not profile.is_hardware]
    verdicts = {judged[profile].verdict for profile in asked}
    for verdict in (Verdict.NOT_CONFORMANT, Verdict.ERROR):
        if verdict in verdicts:
            return verdict, judged
    if not any(test.outcome is Outcome.PASS for test in tests):
        return Verdict.ERROR, judged
    return (Verdict.PARTIAL if Verdict.PARTIAL in verdicts else Verdict.CONFORMANT), judged
