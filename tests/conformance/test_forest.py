"""What a forest knows of the files that it has published, without any server."""

from collections.abc import Iterator

import pytest

from conformance.forest import Forest, Ground, Setting
from conformance.marks import Grow, Planting
from tests.conformance.suite_runs import reference_run


def _one_model(grow: Grow) -> Planting:
    return Planting({"only": grow()})


@pytest.fixture
def forest() -> Iterator[Forest]:
    """Publish a model in a directory, for a server that nobody starts."""
    run = reference_run()
    forest = Forest(run, Ground(Setting("python", "local"), "dir", "usual", started=False), [_one_model])
    forest.start()
    yield forest
    forest.close()
    run.close()


def test_owner_of_a_token_tells_whether_it_is_there_still(forest: Forest) -> None:
    """A token is that of a file, of a file as it was before it was overwritten or deleted, or of none."""
    before = forest.models(_one_model)["only"].tokens
    first, *others = before
    assert {forest.owner(token) for token in before.values()} == {f"{key} of 000-only" for key in before}
    forest.put(_one_model, "only", forest.grow(_one_model))
    after = forest.models(_one_model)["only"].tokens
    forest.remove(_one_model, "only", [first])
    assert {forest.owner(token) for token in before.values()} == {
        f"{key} of 000-only as it was before" for key in before
    }
    assert forest.owner(after[first]) == f"{first} of 000-only as it was before"
    assert {forest.owner(after[key]) for key in others} == {f"{key} of 000-only" for key in others}
    assert forest.owner("0" * 16) == "a file that was never published"
