"""What became of a test, in pytest's words and in those of the suite."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from conformance.catalogue import Clause
from conformance.deployment import ServerDiedError
from conformance.known_failing import KnownFailing
from conformance.outcomes import Outcome, TestResult
from conformance.problems import SuiteError, UnobservableError
from conformance.violations import ViolationError, explain
from fixtures.targets import TargetError


@dataclass(frozen=True)
class LeftOut:
    """A test that is not run, with its outcome and the reason."""

    outcome: Outcome
    reason: str


# What is not run; the time in seconds that a test took, however long pytest waited for it.
LEFT_OUT = pytest.StashKey[LeftOut]()
SECONDS = pytest.StashKey[float]()


# What the suite says in words of its own.
_SPEAKING = (ViolationError, UnobservableError, SuiteError, ServerDiedError, TargetError)


def spare_traceback(call: pytest.CallInfo[None]) -> None:
    """Keep pytest from showing sources for what the suite says in words.

    It would parse them, which may fail in CPython 3.11 while another thread parses too ("AST constructor recursion
    depth mismatch"), as Hypothesis does in the threads of scenarios.
    """
    if call.excinfo is not None and isinstance(error := call.excinfo.value, _SPEAKING):
        plain = pytest.fail.Exception(str(error), pytrace=False)
        call.excinfo = pytest.ExceptionInfo.from_exception(plain.with_traceback(error.__traceback__))


def test_id_of(item: pytest.Item) -> str:
    """Give the id of a test as it is known to all: a worker has added the ground, by which tests are distributed."""
    return item.nodeid.partition("@")[0]


def complete_report(
    report: pytest.TestReport,
    item: pytest.Item,
    error: BaseException | None,
    *,
    clause: Clause,
    known_failing: KnownFailing,
    reproduce: Callable[[], str],
) -> None:
    """Give a report its outcome and its words; `reproduce` writes the command that repeats the test."""
    test_id = test_id_of(item)
    message = ""
    if error is None:
        outcome = Outcome.PASS
    elif isinstance(error, ViolationError):
        outcome, message = Outcome.FAIL, explain(clause, error, reproduce())
        if error.evidence is not None and error.evidence.failures_of_s3:
            outcome, message = Outcome.ERROR, f"not held against the server, as S3 failed by itself:\n{message}"
        report.longrepr = message
        if outcome is Outcome.FAIL and (reason := known_failing.reason(test_id, clause.id)) is not None:
            outcome, message = Outcome.KNOWN_FAILING, f"{reason}\n{message}"
            report.outcome, report.wasxfail = "skipped", reason
    elif isinstance(error, pytest.skip.Exception):
        left_out = item.stash.get(LEFT_OUT, LeftOut(Outcome.SKIPPED, str(error)))
        outcome, message = left_out.outcome, left_out.reason
    elif isinstance(error, UnobservableError):
        outcome, message = Outcome.UNOBSERVABLE, str(error)
        report.outcome, report.longrepr = "skipped", (str(item.path), 0, f"unobservable: {message}")
    else:
        outcome = Outcome.ERROR
        message = str(error) if isinstance(error, _SPEAKING) else report.longreprtext
        report.longrepr = message
    if report.when == "call":
        report.duration = item.stash.get(SECONDS, report.duration)
    report.user_properties += [
        ("test", test_id),
        ("clause", clause.id),
        ("outcome", str(outcome)),
        ("message", message),
    ]


def result_of(report: pytest.TestReport) -> TestResult | None:
    """Read the result of a test from its report: of its call, or of the phase in which it ended before or after.

    None for a phase that says nothing.
    """
    properties = {name: str(value) for name, value in report.user_properties}
    if "outcome" not in properties:  # from pytest-xdist, of a worker that ended
        return None
    outcome = Outcome(properties["outcome"])
    if report.when != "call" and outcome is Outcome.PASS:
        return None
    return TestResult(
        properties["test"], properties["clause"], outcome, round(report.duration, 3), properties["message"]
    )
