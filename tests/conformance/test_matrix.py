"""The list of cases in which the events of reloading are judged."""

from __future__ import annotations

import itertools
from pathlib import Path

from conformance.reload.matrix import Case, all_cases, usual_cases
from tests.conformance.suite_runs import run_suite, write_implementation

# Those of test_events.py, which need no list.
ALWAYS = [
    *(Case(predictor, "dir", source) for predictor in ("python", "onnx") for source in ("s3", "local")),
    Case("tensorflow", "dir", "s3"),
]

# Every further case of TensorFlow starts a server of ten seconds.
LEFT_OUT = {("tensorflow", "model_path"), ("tensorflow", 2)}


def pairs(case: Case) -> set[tuple[object, ...]]:
    """Give all pairs of values of one case; booleans and numbers are told apart by what they stand for."""
    values = (case.predictor, case.naming, case.source, "cache" if case.cache else "no cache", case.processes)
    return set(itertools.combinations(values, 2))


def test_every_pair_occurs() -> None:
    """Any two values that are possible together occur together in a case, but for what TensorFlow leaves out."""
    possible = set().union(*map(pairs, all_cases()))
    covered = set().union(*map(pairs, [*ALWAYS, *usual_cases()]))
    assert possible - covered == LEFT_OUT


def test_cases_are_possible() -> None:
    """No case is one that the contract has refused, and none is there twice."""
    cases = [*ALWAYS, *usual_cases()]
    assert all(case.is_possible for case in cases)
    assert len(cases) == len(set(cases))


def test_tensorflow_is_judged_on_the_only_source(tmp_path: Path) -> None:
    """The servers that the tests of TensorFlow share are there for a server that reads no S3, too."""
    command = ["serve", "{project}", "{port}"]
    implementation = write_implementation(tmp_path, command, sources=["local"], predictors=["python", "tensorflow"])
    collected = run_suite(implementation, tmp_path / "report", "--collect-only").output
    assert "test_saved_model_is_served[tensorflow-local-default]" in collected
    assert "test_event_in_further_cases[higher_version_becomes_the_latest-tensorflow-local-paths" in collected
