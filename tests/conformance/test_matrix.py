"""The list of cases in which the events of reloading are judged."""

from __future__ import annotations

import itertools

from conformance.reload.matrix import Case, all_cases, usual_cases

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
