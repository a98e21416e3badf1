"""A few of the faulty servers, so that every run of the tests sees the suite fail for the right reason."""

from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from tests.faults.judging import Judgement, Options, judge
from tests.faults.preloading import preloaded
from tests.faults.registry import changes

# All of them, which take much longer, are for `nox -s faults`.
FEW = ("latest-by-string", "several-onnx-files", "prefix-without-slash", "dies-on-stray-file")
AT_ONCE = 2


@pytest.fixture(scope="module")
def judgements(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Future[Judgement]]:
    """Run the suite against some faulty servers side by side, as it mostly waits."""
    with preloaded(tensorflow=False) as (command, environment), ThreadPoolExecutor(AT_ONCE) as pool:
        options = Options(tmp_path_factory.mktemp("faults"), command=command, environment=environment)
        return {name: pool.submit(judge, changes()[name], options) for name in FEW}


@pytest.mark.parametrize("name", FEW)
def test_fault_turns_exactly_its_clauses_red(judgements: dict[str, Future[Judgement]], name: str) -> None:
    """The suite accuses a faulty server of what is wrong with it and of nothing else."""
    assert judgements[name].result().problems == ()
