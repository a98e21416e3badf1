"""How many random programs a run has."""

import itertools

import pytest

from conformance.catalogue import SOURCES, PredictorType, Source
from conformance.implementation import ClockName, Declares
from conformance.reload.programs import programs_on

DECLARED: list[tuple[list[PredictorType], list[Source], bool]] = [
    (["python", "onnx", "tensorflow"], list(SOURCES), True),
    (["python"], ["local"], False),
    (["onnx", "tensorflow"], ["s3"], False),
    (["onnx"], list(SOURCES), True),
]


@pytest.mark.parametrize(("predictors", "sources", "caches"), DECLARED)
def test_driven_run_has_two_hundred_programs(
    predictors: list[PredictorType], sources: list[Source], *, caches: bool
) -> None:
    """Whatever a server declares that is told when to look, at least 200 programs run on it."""
    declares = Declares(predictors=predictors, sources=sources, features=["cache"] if caches else [])
    servers = itertools.product({"python", "onnx"} & {*predictors}, sources, {False, caches})
    assert sum(programs_on(ClockName.DRIVEN, source, declares) for _, source, _ in servers) >= 200
