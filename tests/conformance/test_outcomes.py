"""Outcomes, profiles and the verdict, as README.md defines them."""

import pytest

from conformance.catalogue import Catalogue, Clause, Level, Profile
from conformance.outcomes import Outcome, ProfileResult, TestResult, Verdict, judge, judge_clauses


def catalogue_of(*clauses: Clause) -> Catalogue:
    """Make a catalogue of a few clauses."""
    return Catalogue("1", {clause.id: clause for clause in clauses})


def clause(clause_id: str, level: Level = Level.MUST, profile: Profile = Profile.CORE, *requires: str) -> Clause:
    """Make a clause."""
    return Clause(id=clause_id, level=level, profile=profile, document="Models", statement="S.", requires=requires)


A = clause("layouts.a")
B = clause("layouts.b", Level.MUST, Profile.CORE, "layouts.a")
C = clause("layouts.c", Level.SHOULD, Profile.CORE, "layouts.b")
CACHE = clause("cache.a", profile=Profile.CACHE)
GPU = clause("gpu.a", profile=Profile.GPU)
ALL = catalogue_of(A, B, C, CACHE, GPU)


def results_of(**outcomes: Outcome) -> list[TestResult]:
    """Make one test result for each clause; `layouts_a` stands for layouts.a."""
    return [TestResult(f"test {name}", name.replace("_", "."), outcome) for name, outcome in outcomes.items()]


def outcomes_of(**outcomes: Outcome) -> dict[str, Outcome]:
    """Judge clauses by the outcomes of one test each."""
    return judge_clauses(ALL, results_of(**outcomes))


def judged(*, strict: bool = False, **outcomes: Outcome) -> tuple[Verdict, dict[Profile, ProfileResult]]:
    """Give the verdict on the outcomes of one test for each clause."""
    return judge(ALL, results_of(**outcomes), outcomes_of(**outcomes), strict=strict)


@pytest.mark.parametrize(
    ("tests", "expected"),
    [
        ([Outcome.PASS, Outcome.PASS], Outcome.PASS),
        ([Outcome.PASS, Outcome.FAIL, Outcome.ERROR], Outcome.FAIL),
        ([Outcome.PASS, Outcome.ERROR, Outcome.SKIPPED], Outcome.ERROR),
        ([Outcome.PASS, Outcome.UNOBSERVABLE], Outcome.UNOBSERVABLE),
        ([Outcome.PASS, Outcome.DESELECTED], Outcome.DESELECTED),
        ([Outcome.PASS, Outcome.NOT_SUPPORTED], Outcome.PASS),
        ([Outcome.NOT_SUPPORTED], Outcome.NOT_SUPPORTED),
        ([], Outcome.UNTESTED),
    ],
)
def test_worst_test_decides_the_clause(tests: list[Outcome], expected: Outcome) -> None:
    """A clause passes only if all of its tests that could be run passed."""
    results = [TestResult(f"test {number}", "layouts.a", outcome) for number, outcome in enumerate(tests)]
    assert judge_clauses(ALL, results)["layouts.a"] is expected


def test_clause_is_blocked_by_a_failed_requirement() -> None:
    """A failure blocks the clauses that require it, and those that require them, whether they passed or failed."""
    outcomes = outcomes_of(layouts_a=Outcome.FAIL, layouts_b=Outcome.FAIL, layouts_c=Outcome.PASS)
    assert outcomes["layouts.a"] is Outcome.FAIL
    assert outcomes["layouts.b"] is Outcome.BLOCKED
    assert outcomes["layouts.c"] is Outcome.BLOCKED


def test_untested_clause_stays_untested() -> None:
    """A clause without a test is not blocked by anything."""
    assert outcomes_of(layouts_a=Outcome.FAIL)["layouts.b"] is Outcome.UNTESTED


@pytest.mark.parametrize(
    ("outcome", "verdict"),
    [
        (Outcome.PASS, Verdict.CONFORMANT),
        (Outcome.FAIL, Verdict.NOT_CONFORMANT),
        (Outcome.ERROR, Verdict.ERROR),
        (Outcome.UNOBSERVABLE, Verdict.PARTIAL),
        (Outcome.KNOWN_FAILING, Verdict.PARTIAL),
        (Outcome.DESELECTED, Verdict.PARTIAL),
        (Outcome.SKIPPED, Verdict.PARTIAL),
        (Outcome.UNTESTED, Verdict.CONFORMANT),
        (Outcome.NOT_SUPPORTED, Verdict.CONFORMANT),
    ],
)
def test_must_clause_decides_the_verdict(outcome: Outcome, verdict: Verdict) -> None:
    """With everything else passed, the outcome of one MUST clause decides."""
    given, profiles = judged(layouts_a=Outcome.PASS, layouts_b=outcome)
    assert given is verdict
    named = [reason for reason in profiles[Profile.CORE].reasons if reason == f"layouts.b: {outcome}"]
    assert bool(named) is (verdict is not Verdict.CONFORMANT)


def test_should_clause_binds_only_when_strict() -> None:
    """A failed SHOULD changes the verdict with --strict and not without."""
    outcomes = {"layouts_a": Outcome.PASS, "layouts_b": Outcome.PASS, "layouts_c": Outcome.FAIL}
    assert judged(**outcomes)[0] is Verdict.CONFORMANT
    assert judged(**outcomes, strict=True)[0] is Verdict.NOT_CONFORMANT


def test_undeclared_profile_is_absent() -> None:
    """A profile of which nothing is supported is absent, and does not lower the verdict."""
    verdict, profiles = judged(layouts_a=Outcome.PASS, cache_a=Outcome.NOT_SUPPORTED)
    assert profiles[Profile.CACHE].verdict is Verdict.ABSENT
    assert verdict is Verdict.CONFORMANT


def test_hardware_stands_beside_the_verdict() -> None:
    """A failed hardware clause is seen in its profile, not in the overall verdict."""
    verdict, profiles = judged(layouts_a=Outcome.PASS, gpu_a=Outcome.FAIL)
    assert verdict is Verdict.CONFORMANT
    assert profiles[Profile.GPU].verdict is Verdict.NOT_CONFORMANT


def test_nothing_passed_is_an_error() -> None:
    """A run in which no test passed says nothing good of anybody."""
    assert judged(layouts_a=Outcome.NOT_SUPPORTED)[0] is Verdict.ERROR
    assert judged()[0] is Verdict.ERROR


def test_partly_run_clause_leaves_the_verdict_partial() -> None:
    """When every clause has tests that were left out, those that passed make the run partial, and no error."""
    tests = results_of(layouts_a=Outcome.PASS) + results_of(layouts_a=Outcome.DESELECTED)
    assert judge(ALL, tests, judge_clauses(ALL, tests))[0] is Verdict.PARTIAL
