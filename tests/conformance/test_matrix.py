"""The list of cases in which the events of reloading are judged."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import pytest

from conformance.catalogue import PREDICTORS, SOURCES, Source
from conformance.reload.matrix import Case, all_cases, usual_cases
from tests.conformance.suite_runs import run_suite, write_implementation


def always(sources: Sequence[Source]) -> list[Case]:
    """Give the cases of test_events.py, which need no list."""
    others = [Case(predictor, "dir", source) for predictor in ("python", "onnx") for source in sources]
    return [*others, Case("tensorflow", "dir", sources[0])]


# Every further case of TensorFlow starts a server of ten seconds.
LEFT_OUT = {("tensorflow", "model_path"), ("tensorflow", 2)}


def pairs(case: Case) -> set[tuple[object, ...]]:
    """Give all pairs of values of one case; booleans and numbers are told apart by what they stand for."""
    values = (case.predictor, case.naming, case.source, "cache" if case.cache else "no cache", case.processes)
    return set(itertools.combinations(values, 2))


@pytest.mark.parametrize("sources", [("s3", "local"), ("s3",), ("local",)])
def test_every_pair_occurs(sources: Sequence[Source]) -> None:
    """Any two values that are possible together occur together in a case, but for what TensorFlow leaves out."""
    everything = [*always(sources), *(case for case in all_cases() if case.source in sources)]
    possible = set().union(*map(pairs, everything))
    covered = set().union(*map(pairs, [*always(sources), *usual_cases(sources)]))
    assert possible - covered == LEFT_OUT


@pytest.mark.parametrize("sources", [("s3", "local"), ("s3",), ("local",)])
def test_cases_are_possible(sources: Sequence[Source]) -> None:
    """No case is one that the contract has refused, and none is there twice."""
    cases = [*always(sources), *usual_cases(sources)]
    assert all(case.is_possible for case in cases)
    assert len(cases) == len(set(cases))


def test_no_case_of_the_full_matrix_is_judged_twice() -> None:
    """No two tests publish the same model on one server, which each of them would change under the other."""
    always_judged = {Case(predictor, "dir", source) for predictor in PREDICTORS for source in SOURCES}
    further = list(all_cases())
    assert len(further) == len(set(further))
    assert always_judged.isdisjoint(further)


def test_tensorflow_is_judged_on_the_only_source(tmp_path: Path) -> None:
    """The servers that the tests of TensorFlow share are there for a server that reads no S3, too."""
    command = ["serve", "{project}", "{port}"]
    implementation = write_implementation(
        tmp_path,
        command,
        sources=["local"],
        predictors=["python", "tensorflow"],
        features=["multi-model", "reload", "cache"],
    )
    collected = run_suite(implementation, tmp_path / "report", "--collect-only").output
    assert "test_saved_model_is_served[tensorflow-local-default]" in collected
    for case in ("paths", "dir-cached"):
        assert f"test_in_further_cases[higher_version_becomes_the_latest-tensorflow-local-{case}" in collected
