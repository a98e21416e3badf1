"""What a forest knows of the files that it has published, without any server."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from conformance.catalogue import load_catalogue
from conformance.forest import Forest, Ground, Setting
from conformance.marks import Grow, Planting
from conformance.stand import Stand
from tests.conformance.suite_runs import reference_run


def _one_model(grow: Grow) -> Planting:
    return Planting({"only": grow()})


def _another_model(grow: Grow) -> Planting:
    return Planting({"another": grow()})


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


def test_request_may_take_as_long_as_the_download_of_its_model(forest: Forest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who downloads a model when it is asked for has as much longer to answer as the model has files."""
    pace = forest.deployment.pace
    granted: list[float] = []
    monkeypatch.setattr(forest.deployment, "predict", lambda *_, timeout, **__: granted.append(timeout))
    stand = Stand(forest, _one_model, load_catalogue()["layouts.many-keys"])
    for name in ("only", "unknown"):
        stand.ask(name)
    assert granted == [pace.answer + pace.download(len(stand.models["only"])), pace.answer]
    assert granted[0] > granted[1]


def test_model_in_its_turn_lies_where_the_one_before_lay(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next model comes in the place of the last, whatever their names, once that has been seen to go."""
    run = reference_run()
    forest = Forest(run, Ground(Setting("python", "local"), "model_path", "usual", started=False), [_one_model])
    forest.start()
    place = Path(forest.deployment.api.models["model_path"])
    seen: list[set[str]] = []

    def look(_: float) -> None:
        seen.append({file.relative_to(place).as_posix() for file in place.rglob("*") if file.is_file()})

    monkeypatch.setattr(forest.deployment.clock, "settle", look)
    before = set(forest.models(_one_model)["only"].tokens.values())
    forest.turn_to(_another_model)
    there = forest.models(_another_model)["another"]
    assert seen == [set(), set(there)]
    assert forest.published_name(_another_model, "another") == "000-only"
    assert before.isdisjoint(there.tokens.values())
    forest.close()
    run.close()
