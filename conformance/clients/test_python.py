"""What load_model gets and what get_model gives, in the python predictor."""

import pytest

from conformance.marks import Grow, Planting, clause, planting
from conformance.stand import LEFT_OUT, Stand, Version
from fixtures.models import python_model
from fixtures.trees import File, Tree, versions


def _any_files(grow: Grow) -> Tree:
    names = ("model.pkl", "data.txt", "nested/deep/part.bin", ".config", "with space.txt")
    return python_model(files=names, random=grow.random) | Tree({"nested/empty.txt": File(b"")})


def _files(grow: Grow) -> Planting:
    return Planting({"plain": _any_files(grow)})


@clause("clients.python.load-model-path")
@planting(_files)
def test_path_holds_exactly_the_files(stand: Stand) -> None:
    """Under the path that load_model got lie the files of the model, all of them and nothing else."""
    _expect_exactly_the_files(stand, "plain", "", LEFT_OUT)


def _files_of_versions(grow: Grow) -> Planting:
    return Planting({"versioned": versions({"4": _any_files(grow), "5": grow()})})


@clause("clients.python.load-model-path")
@planting(_files_of_versions)
@pytest.mark.parametrize("version", ["4", "5"])
def test_path_holds_exactly_the_files_of_a_version(stand: Stand, version: str) -> None:
    """Under the path that load_model got lie the files of the version that was asked for and nothing else."""
    _expect_exactly_the_files(stand, "versioned", version, version)


def _expect_exactly_the_files(stand: Stand, name: str, folder: str, version: Version) -> None:
    answer = stand.expect_served(name, folder, version=version)
    tree = stand.models[name].under(folder)
    body = answer.body
    stand.expect(
        body.get("files") == {key: tree[key].token for key in tree},
        expected=f"exactly the files {sorted(tree)}",
        observed=f"the files {sorted(body.get('files', {}))} under {body.get('path')}",
    )


def _plain(grow: Grow) -> Planting:
    return Planting({"model": grow()})


@clause("clients.python.exact-object")
@planting(_plain)
def test_get_model_gives_the_object_that_load_model_returned(stand: Stand) -> None:
    """get_model returns the very object, not a copy or a wrapper, and the same one again."""
    first = stand.expect_served("model")
    again = stand.expect_served("model")
    for answer in (first, again):
        stand.expect(
            answer.body.get("exact") is True,
            expected="the identical object that load_model returned",
            observed=f"another object: {answer.text[:300]}",
        )
    # Serials count per process, and another process may well have loaded an object of its own.
    if first.body["process"] == again.body["process"]:
        stand.expect(
            first.body["serial"] == again.body["serial"],
            expected="the same object as long as the model does not change",
            observed=f"object {first.body['serial']}, then object {again.body['serial']}",
        )


def _versioned(grow: Grow) -> Planting:
    return Planting({"versioned": versions({"1": grow(), "2": grow()})})


@clause("clients.python.exact-object")
@planting(_versioned)
def test_latest_and_its_number_are_the_same_object(stand: Stand) -> None:
    """The latest version and the same version by number are one object in a process."""
    latest = stand.expect_served("versioned", "2").body
    numbered = stand.expect_served("versioned", "2", version="2").body
    if latest["process"] == numbered["process"]:
        stand.expect(
            latest["serial"] == numbered["serial"],
            expected="one object for the latest version and for version '2'",
            observed=f"object {latest['serial']} for the latest, object {numbered['serial']} for '2'",
        )


FALSY = {"none": "null", "zero": "0", "empty-list": "[]", "empty-dict": "{}", "empty-text": '""', "false": "false"}
PYTHON_REPR = {"null": "None", '""': "''", "false": "False"}


def _falsy(_: Grow) -> Planting:
    # The witness returns what it finds in return.json; such models carry no token and are told apart by that value.
    return Planting({name: Tree({"return.json": File(f"{value}\n")}) for name, value in FALSY.items()})


@clause("clients.python.exact-object")
@planting(_falsy)
@pytest.mark.parametrize("name", FALSY)
def test_falsy_objects_are_objects(stand: Stand, name: str) -> None:
    """None, 0, empty collections and False are returned like any other object."""
    wanted = PYTHON_REPR.get(FALSY[name], FALSY[name])
    answer = stand.await_answer(lambda: stand.ask(name), lambda answer: answer.is_served)
    stand.expect(
        answer.is_served and answer.body["value"] == wanted,
        expected=f"get_model returns {wanted}",
        observed=stand.describe(answer) if not answer.is_served else f"{answer.body['value']}",
    )


@clause("clients.python.load-once")
@planting(_falsy)
@pytest.mark.parametrize("name", FALSY)
def test_falsy_objects_are_loaded_once(stand: Stand, name: str) -> None:
    """A model whose object is None or falsy is not loaded again on every request."""
    answers = [stand.await_answer(lambda: stand.ask(name), lambda answer: answer.is_served) for _ in range(4)]
    stand.expect(all(a.is_served for a in answers), expected="four answers", observed=stand.describe(answers[-1]))
    loads = _loads_of_value(stand, FALSY[name])
    stand.expect(
        max(loads.values(), default=0) <= 1,
        expected="at most one load in each process",
        observed=", ".join(f"{count} loads in process {process}" for process, count in loads.items()),
    )


def _loads_of_value(stand: Stand, value: str) -> dict[int, int]:
    counts: dict[int, int] = {}
    for entry in stand.deployment.journals():
        if entry["event"] == "loaded" and entry.get("returns") == value:
            counts[entry["process"]] = counts.get(entry["process"], 0) + 1
    return counts


@clause("clients.python.load-once")
@planting(_plain)
def test_model_is_loaded_once(stand: Stand) -> None:
    """Further requests do not make load_model run again."""
    for _ in range(3):
        stand.expect_served("model")
    _expect_loaded_once(stand)


@clause("clients.python.load-once")
@planting(_versioned)
def test_each_version_is_loaded_once(stand: Stand) -> None:
    """Requests by latest, by number and again do not make load_model run again."""
    for _ in range(3):
        stand.expect_served("versioned", "2")
        stand.expect_served("versioned", "2", version="2")
        stand.expect_served("versioned", "1", version="1")
    _expect_loaded_once(stand)


def _expect_loaded_once(stand: Stand) -> None:
    counts: dict[tuple[int, str], int] = {}
    for entry in stand.deployment.journals():
        if entry["event"] == "loaded":
            for token in entry.get("files", {}).values():
                if token is not None:
                    counts[entry["process"], token] = counts.get((entry["process"], token), 0) + 1
    ours = {token for tree in stand.models.values() for token in tree.tokens.values()}
    repeated = {key: count for key, count in counts.items() if key[1] in ours and count > 1}
    stand.expect(
        not repeated,
        expected="one call of load_model for each revision and process",
        observed=", ".join(
            f"{count} calls for {stand.forest.owner(token)} in process {pid}"
            for (pid, token), count in repeated.items()
        ),
    )
