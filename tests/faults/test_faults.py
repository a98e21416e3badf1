"""A few of the changed servers: every run of the tests sees the suite fail for the right reason, and accept."""

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

import pytest

from tests.faults.configurations import PYTHON_LOCAL
from tests.faults.judging import Judgement, Options, judge
from tests.faults.preloading import preloaded
from tests.faults.registry import Change, changes

# All of them, which take much longer, are for `nox -s faults`. These are one of each family of clauses that judge
# quickly, and one variation.
FAULTS = (
    "several-onnx-files",
    "paths-and-dir-accepted",
    "unknown-version-is-latest",
    "broken-update-unserves",
    "dies-when-emptied",
    "loaded-ahead",
)
VARIATION = "store-by-content"
AT_ONCE = 2


def _few() -> list[Change]:
    there = changes()
    # Where a model lies shows with any predictor and source.
    accepted = replace(there[VARIATION], on=(PYTHON_LOCAL,), needs=frozenset())
    return [*(there[name] for name in FAULTS), accepted]


@pytest.fixture(scope="module")
def judgements(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Future[Judgement]]:
    """Run the suite against some changed servers side by side, as it mostly waits."""
    with preloaded(tensorflow=False) as (command, environment), ThreadPoolExecutor(AT_ONCE) as pool:
        options = Options(tmp_path_factory.mktemp("faults"), command=command, environment=environment)
        return {change.name: pool.submit(judge, change, options) for change in _few()}


@pytest.mark.parametrize("name", FAULTS)
def test_fault_turns_exactly_its_clauses_red(judgements: dict[str, Future[Judgement]], name: str) -> None:
    """The suite accuses a faulty server of what is wrong with it and of nothing else."""
    judgement = judgements[name].result()
    assert judgement.problems == ()
    assert set(judgement.failed) == changes()[name].clauses


def test_harmless_variation_is_accepted(judgements: dict[str, Future[Judgement]]) -> None:
    """The suite accuses a correct server that keeps its models elsewhere of nothing."""
    judgement = judgements[VARIATION].result()
    assert judgement.problems == ()
    assert judgement.failed == ()
