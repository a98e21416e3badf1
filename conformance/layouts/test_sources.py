"""Where a model may lie, and that one of any shape is found there."""

from conformance.marks import Grow, Planting, clause, planting
from conformance.stand import Stand
from fixtures.models import python_model
from fixtures.trees import File, Tree, versions


def _one_model(grow: Grow) -> Planting:
    return Planting({"only": grow()})


@clause("layouts.source-s3")
@planting(_one_model, naming="model_path")
def test_model_path_is_an_s3_prefix(stand: Stand) -> None:
    """A model below an S3 prefix is served."""
    stand.expect_served("only")


@clause("layouts.source-local")
@planting(_one_model, naming="model_path")
def test_model_path_is_a_local_directory(stand: Stand) -> None:
    """A model in a local directory is served."""
    stand.expect_served("only")


@clause("layouts.unversioned")
@planting(_one_model)
def test_single_model_is_served(stand: Stand) -> None:
    """A directory that holds one model, without versions, is served with all of its files."""
    stand.expect_served("only")


def _several_files(grow: Grow) -> Planting:
    label = File("cat\ndog\n")
    several = (
        python_model(files=("a.bin", "b.bin", "c.bin"), random=grow.random) if grow.predictor == "python" else grow()
    )
    return Planting({"several-files": several | Tree({"labels.txt": label, "readme.md": label})})


@clause("layouts.unversioned")
@planting(_several_files)
def test_several_files_are_one_model(stand: Stand) -> None:
    """Several files in one directory are one model."""
    stand.expect_served("several-files")


def _any_structure(grow: Grow) -> Planting:
    names = ("weights/layer 1/w.bin", "weights/layer 2/w.bin", "vocab/ü/ñ.txt", ".hidden/state", "model.pkl")
    return Planting({"anything": python_model(files=names, random=grow.random)})


@clause("layouts.python-any")
@planting(_any_structure)
def test_python_model_has_any_structure(stand: Stand) -> None:
    """Folders at any depth, spaces, Unicode and dotfiles inside a python model are part of the model."""
    stand.expect_served("anything")


def _nested_numbers(grow: Grow) -> Planting:
    return Planting({"nested-numbers": python_model(files=("shards/1/part", "shards/2/part"), random=grow.random)})


@clause("layouts.python-any")
@planting(_nested_numbers)
def test_integers_deeper_down_are_no_versions(stand: Stand) -> None:
    """Integer folders below another folder of a python model are part of the model."""
    stand.expect_served("nested-numbers")


def _unlike_versions(grow: Grow) -> Planting:
    several = python_model(files=("weights/layer 1/w.bin", ".hidden/state", "model.pkl"), random=grow.random)
    return Planting(
        {"versioned": versions({"3": several, "12": python_model(files=("x/y/z/deep.bin",), random=grow.random)})}
    )


@clause("layouts.python-any")
@planting(_unlike_versions)
def test_versions_of_a_python_model_have_any_structure(stand: Stand) -> None:
    """Each version of a python model may be built differently."""
    stand.expect_served("versioned", "12", version="12")
    stand.expect_served("versioned", "3", version="3")


def _neighbours_in_dir(grow: Grow) -> Planting:
    return Planting({name: versions({"1": grow()}) for name in ("bert", "bert-large", "bert2", "ber")})


@clause("layouts.prefix-neighbours")
@planting(_neighbours_in_dir)
def test_names_that_begin_the_same_are_different_models(stand: Stand) -> None:
    """In models.dir, bert, bert-large, bert2 and ber are four models."""
    for name in stand.models:
        stand.expect_served(name, "1")


def _neighbours_of_a_path(grow: Grow) -> Planting:
    # Were they taken in, foobar/ and foo7/ would give foo further versions or files, and solo-2 would spoil solo.
    return Planting(
        {"foo": versions({"1": grow()}), "solo": grow()},
        strays=versions({"2": grow()}).at("foobar") | grow().at("foo7") | grow().at("solo-2"),
    )


@clause("layouts.prefix-neighbours")
@planting(_neighbours_of_a_path, naming="paths")
def test_path_does_not_take_in_its_neighbours(stand: Stand) -> None:
    """A path .../foo/ serves foo alone, though foobar/ and foo7/ lie beside it."""
    stand.expect_served("foo", "1")
    stand.expect_served("solo")
    for version in ("2", "7"):
        stand.expect_refused("foo", version=version)


def _neighbours_of_a_model_path(grow: Grow) -> Planting:
    return Planting({"foo": versions({"1": grow()})}, strays=grow().at("foo7") | grow().at("foobar/2"))


@clause("layouts.prefix-neighbours")
@planting(_neighbours_of_a_model_path, naming="model_path", alone=True, one_predictor=True)
def test_model_path_does_not_take_in_its_neighbours(stand: Stand) -> None:
    """A model_path .../foo/ serves foo alone, though foobar/ and foo7/ lie beside it."""
    stand.expect_served("foo", "1")
