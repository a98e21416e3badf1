"""Random version trees: a forest of them is published, and the server must agree with the oracle on every one."""

import random

import pytest

from conformance.layouts.generated import CLAUSES, draw_trees, least_findings
from conformance.marks import Grow, Planting, clause, planting
from conformance.stand import Stand
from conformance.violations import ViolationError

# Trees in one forest; a SavedModel takes some tenths of a second to load.
COUNTS = {"python": 30, "onnx": 30, "tensorflow": 10}


def _forest_of_random_trees(grow: Grow) -> Planting:
    return Planting(draw_trees(grow.predictor, random.Random(grow.random.getrandbits(32)), COUNTS[grow.predictor]))


@planting(_forest_of_random_trees)
@pytest.mark.parametrize("charged", [pytest.param(name, marks=clause(name), id=name) for name in CLAUSES])
def test_random_version_trees_agree_with_the_oracle(stand: Stand, charged: str) -> None:
    """Whatever versions a tree has and whatever lies beside them, the server serves what the oracle says."""
    for finding in stand.forest.once("random version trees", lambda: least_findings(stand)):
        if finding.clause == charged:
            raise ViolationError(finding.expected, finding.observed, finding.evidence)
