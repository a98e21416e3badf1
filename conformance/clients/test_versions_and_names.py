"""How predictor code names the model and the version that it wants."""

import pytest

from conformance.marks import Grow, Planting, clause, planting
from conformance.stand import Calling, Stand
from fixtures.trees import versions


def _versioned(grow: Grow) -> Planting:
    return Planting({"model": versions({"1": grow(), "2": grow(), "3": grow()})})


@clause("clients.default-latest")
@planting(_versioned)
def test_version_left_out_is_the_latest(stand: Stand) -> None:
    """Without a version the highest is served."""
    stand.expect_served("model", "3")


@clause("clients.default-latest")
@planting(_versioned)
def test_version_latest_is_the_latest(stand: Stand) -> None:
    """The version "latest" is the highest."""
    stand.expect_served("model", "3", version="latest")


@clause("clients.none-is-latest")
@planting(_versioned)
@pytest.mark.parametrize("call", ["positional", "keyword"])
def test_version_none_is_the_latest(stand: Stand, call: Calling) -> None:
    """The version None, as query_params.get("version") gives it, is the highest."""
    stand.expect_served("model", "3", version=None, call=call)


@clause("clients.explicit-version")
@planting(_versioned)
def test_version_string_selects_that_version(stand: Stand) -> None:
    """Each version can be asked for, the oldest too, and in any order."""
    for version in ("2", "1", "3", "1"):
        stand.expect_served("model", version, version=version)


@clause("clients.explicit-version")
@planting(_versioned, naming="model_path", one_source=True)
def test_version_is_selected_without_a_name(stand: Stand) -> None:
    """With model_path the version can be given alone."""
    stand.expect_served("model", "1", version="1")


@clause("clients.signature")
@planting(_versioned)
@pytest.mark.parametrize("call", ["positional", "keyword"])
def test_arguments_by_position_and_by_keyword(stand: Stand, call: Calling) -> None:
    """Name and version mean the same by position as by the keywords model_name and model_version."""
    stand.expect_served("model", "1", version="1", call=call)
    stand.expect_served("model", "3", call=call)


def _several(grow: Grow) -> Planting:
    return Planting({"first": grow(), "second": versions({"1": grow()}), "third": grow()})


@clause("clients.by-name")
@planting(_several)
def test_name_is_the_folder_in_models_dir(stand: Stand) -> None:
    """With models.dir a model goes by the name of its top-level folder."""
    for name in stand.models:
        stand.expect_served(name, "1" if name == "second" else "")


@clause("clients.by-name")
@planting(_several, naming="paths")
def test_name_is_the_configured_one_in_models_paths(stand: Stand) -> None:
    """With models.paths a model goes by its configured name."""
    for name in stand.models:
        stand.expect_served(name, "1" if name == "second" else "")


def _one(grow: Grow) -> Planting:
    return Planting({"only": grow()})


@clause("clients.single-name-optional")
@planting(_one, naming="model_path", one_source=True)
def test_name_can_be_left_out_with_model_path(stand: Stand) -> None:
    """With model_path no name is needed."""
    stand.expect_served("only", named=False)


@clause("clients.sole-name-optional")
@planting(_one, alone=True, one_source=True)
def test_name_can_be_left_out_in_a_dir_of_one(stand: Stand) -> None:
    """With models.dir that holds one model no name is needed."""
    stand.expect_served("only", named=False)


@clause("clients.sole-name-optional")
@planting(_one, naming="paths", alone=True, one_source=True)
def test_name_can_be_left_out_with_one_path(stand: Stand) -> None:
    """With models.paths of one entry no name is needed."""
    stand.expect_served("only", named=False)


@clause("clients.unknown-model")
@planting(_several)
def test_unknown_model_is_an_error_in_models_dir(stand: Stand) -> None:
    """With models.dir an unknown name never serves another model."""
    _expect_unknown(stand, "nobody", "fir", "firsts", "..")


@clause("clients.unknown-model")
@planting(_several, naming="paths")
def test_unknown_model_is_an_error_in_models_paths(stand: Stand) -> None:
    """With models.paths an unknown name never serves another model."""
    _expect_unknown(stand, "nobody", "fir", "firsts", "..")


def _expect_unknown(stand: Stand, *names: str) -> None:
    stand.settle()
    for name in names:
        answer = stand.ask_by_name(stand.published_name(name) if name.isalpha() else name)
        stand.expect(not answer.is_served, expected=f"a request for {name!r} errs", observed=stand.describe(answer))


@clause("clients.unknown-version")
@planting(_versioned)
def test_unknown_version_is_an_error(stand: Stand) -> None:
    """A version that is not there never serves another one."""
    for version in ("4", "0", "-1", "33", "newest"):
        stand.expect_refused("model", version=version)


@clause("clients.unknown-is-404")
@planting(_several)
def test_unknown_model_is_not_found(stand: Stand) -> None:
    """The error of an unknown model has status 404 and names the models that there are."""
    stand.settle()
    answer = stand.ask_by_name(stand.published_name("nobody"))
    stand.expect(answer.status == 404, expected="status 404", observed=stand.describe(answer))
    # Of the many models of this server a message need not list all.
    known = stand.forest.published_names
    stand.expect(
        any(name in answer.text for name in known),
        expected=f"a message that names models that there are, such as {known[0]}",
        observed=stand.describe(answer),
    )


def _long_numbers(grow: Grow) -> Planting:
    # Numbers that appear in no tag, address or status by chance.
    return Planting({"model": versions({"1523423423": grow(), "2434389194": grow()})})


@clause("clients.unknown-is-404")
@planting(_long_numbers)
def test_unknown_version_is_not_found(stand: Stand) -> None:
    """The error of an unknown version has status 404 and names the versions that there are."""
    answer = stand.expect_refused("model", version="77")
    stand.expect(answer.status == 404, expected="status 404", observed=stand.describe(answer))
    for version in stand.models["model"]:
        number = version.partition("/")[0]
        stand.expect(number in answer.text, expected=f"a message that names {number}", observed=stand.describe(answer))
