"""The known-failing file, and the profiles that a verdict is asked of."""

from __future__ import annotations

from pathlib import Path

import pytest

from conformance.catalogue import Profile, load_catalogue
from conformance.known_failing import load_known_failing
from conformance.outcomes import Outcome, TestResult, Verdict, judge, judge_clauses
from conformance.problems import InvalidInputError
from tests.conformance.suite_runs import run_suite, stub

CATALOGUE = load_catalogue()
TEST = "conformance/cache/test_recency.py::test_x[python-s3]"


def result(outcome: Outcome, test_id: str = TEST, clause: str = "cache.lru-disk") -> TestResult:
    """Make the result of a test."""
    return TestResult(test_id, clause, outcome)


def write(folder: Path, text: str) -> Path:
    """Write a known-failing file."""
    file = folder / "known.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_clauses_and_tests_are_listed(tmp_path: Path) -> None:
    """A reason holds for the test of its id, and for every test of its clause."""
    known = load_known_failing(
        write(tmp_path, f'[known-failing]\n"cache.lru-disk" = "41"\n"{TEST}" = "42"\n'), CATALOGUE
    )
    assert known.reason(TEST, "cache.lru-disk") == "42"
    assert known.reason("another", "cache.lru-disk") == "41"
    assert known.reason("another", "cache.keeps") is None


def test_unexpected_pass_is_an_error(tmp_path: Path) -> None:
    """What is listed and passes is named; what still fails, and what was not judged, is not."""
    known = load_known_failing(write(tmp_path, '[known-failing]\n"cache.lru-disk" = "41"\n'), CATALOGUE)
    assert known.unexpected_passes([]) == []
    assert known.unexpected_passes([result(Outcome.DESELECTED)]) == []
    assert known.unexpected_passes([result(Outcome.PASS), result(Outcome.KNOWN_FAILING, "another")]) == []
    assert known.unexpected_passes([result(Outcome.PASS)]) == [
        "known-failing: cache.lru-disk passes; take it off the list"
    ]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[known-failing]\nx = ", "not TOML"),
        ("", "[known-failing]"),
        ("[known]\n", "[known-failing]"),
        ('[known-failing]\n"cache.nothing" = "41"\n', "'cache.nothing'"),
        ('[known-failing]\n"cache.lru-disk" = " "\n', "'cache.lru-disk'"),
        ('[known-failing]\n"cache.lru-disk" = 41\n', "'cache.lru-disk'"),
    ],
)
def test_bad_files_are_refused(tmp_path: Path, text: str, named: str) -> None:
    """The error names the file, and the key or what is missing."""
    file = write(tmp_path, text)
    with pytest.raises(InvalidInputError) as refused:
        load_known_failing(file, CATALOGUE)
    assert str(file) in str(refused.value)
    assert named in str(refused.value)


def test_missing_file_is_refused(tmp_path: Path) -> None:
    """A file that is not there is named before anything is run."""
    run = run_suite(stub(tmp_path, "good"), tmp_path, "--known-failing", str(tmp_path / "nowhere.toml"))
    assert run.status == 3
    assert f"known-failing file {tmp_path / 'nowhere.toml'}: No such file or directory" in run.output


def test_known_failure_is_partial() -> None:
    """A MUST that is known to fail makes the verdict partial."""
    tests = [result(Outcome.KNOWN_FAILING), result(Outcome.PASS, "another", "cache.keeps")]
    verdict, profiles = judge(CATALOGUE, tests, judge_clauses(CATALOGUE, tests))
    assert verdict is Verdict.PARTIAL
    assert profiles[Profile.CACHE].reasons == ["cache.lru-disk: known-failing"]


def test_verdict_is_that_of_the_profiles_asked_for() -> None:
    """What fails in another profile does not count, and a profile of hardware counts if it is asked for."""
    tests = [
        result(Outcome.PASS, "1", "cache.keeps"),
        result(Outcome.FAIL, "2", "layouts.versioned"),
        result(Outcome.FAIL, "3", "gpu.onnx"),
    ]
    outcomes = judge_clauses(CATALOGUE, tests)
    assert judge(CATALOGUE, tests, outcomes)[0] is Verdict.NOT_CONFORMANT
    assert judge(CATALOGUE, tests, outcomes, profiles=[Profile.CACHE])[0] is Verdict.CONFORMANT
    assert judge(CATALOGUE, tests, outcomes, profiles=[Profile.GPU])[0] is Verdict.NOT_CONFORMANT
