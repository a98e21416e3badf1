"""The oracle of layouts, against trees written out by hand."""

from types import SimpleNamespace
from typing import cast

import pytest

from conformance import timing
from conformance.layouts.generated import judge_trees
from conformance.layouts.oracle import read_level
from conformance.stand import Stand
from fixtures.trees import File, Tree


@pytest.mark.parametrize("predictor", ["python", "onnx"])
@pytest.mark.parametrize(
    ("folders", "latest"),
    [
        (["9", "10", "1523423423"], "1523423423"),
        (["0", "-1"], "0"),
        (["-10", "-9"], "-9"),
        (["007", "6"], "007"),
        ([str(2**64), "18446744073709551615"], str(2**64)),
    ],
)
def test_latest_is_the_highest_number(predictor: str, folders: list[str], latest: str) -> None:
    """The latest version is the highest integer, whatever its notation."""
    level = read_level([f"{folder}/model.onnx" for folder in folders], predictor)  # type: ignore[arg-type]
    assert sorted(level.versions.values()) == sorted(folders)
    assert level.latest == latest


@pytest.mark.parametrize("name", ["v2", "1.0", "+1", "1e3", "½", "\N{ARABIC-INDIC DIGIT ONE}", "2 ", "--1"])
def test_only_ascii_integers_are_versions(name: str) -> None:
    """Whatever else Python may take for a number is left aside."""
    level = read_level(["5/model.onnx", f"{name}/model.onnx"], "onnx")
    assert level.versions == {5: "5"}
    assert level.aside == {name: "layouts.not-an-integer"}


def test_onnx_version_has_exactly_one_onnx_file() -> None:
    """Versions with two *.onnx files or none are no versions; other files beside one do no harm."""
    keys = ["1/m.onnx", "1/labels.txt", "2/m.onnx", "2/n.onnx", "3/labels.txt", "4/deep/m.onnx", "5/"]
    level = read_level(keys, "onnx")
    assert level.versions == {1: "1"}
    assert level.aside == {
        "2": "layouts.bad-version-isolated",
        "3": "layouts.bad-version-isolated",
        "4": "layouts.bad-version-isolated",
        "5": "layouts.markers-ignored",
    }


@pytest.mark.parametrize(
    ("keys", "is_model"),
    [(["m.onnx", "labels.txt"], True), (["m.onnx", "n.onnx"], False), (["labels.txt"], False), ([".onnx.swp"], False)],
)
def test_unversioned_onnx_model_has_exactly_one_onnx_file(keys: list[str], is_model: bool) -> None:
    """Without versions the directory itself is the model, or there is none."""
    level = read_level(keys, "onnx")
    assert level.versions == {}
    assert level.is_model is is_model


def test_python_model_without_integers_is_unversioned() -> None:
    """Any structure is a python model; a directory of markers alone is none."""
    assert read_level(["v1/a", "b/1/c", ".d"], "python").is_model
    assert not read_level(["empty/"], "python").is_model


@pytest.mark.parametrize(
    ("keys", "predictor"),
    [
        (["1/a", "notes.txt"], "python"),
        (["1/a", "v2/a"], "python"),
        (["7/a", "007/a"], "python"),
        (["1/a.txt", "model.onnx"], "onnx"),
    ],
)
def test_what_the_contract_leaves_open_is_not_judged(keys: list[str], predictor: str) -> None:
    """Mixtures that the contract does not speak about have no right answer."""
    assert read_level(keys, predictor).unspecified  # type: ignore[arg-type]


def test_dotfiles_beside_python_versions_are_ignored() -> None:
    """A dotfile or a marker beside versions does not make a python level a mixture."""
    level = read_level(["1/a", ".DS_Store", "2/"], "python")
    assert level.versions == {1: "1"}
    assert not level.unspecified


def test_tree_without_versions_is_not_judged() -> None:
    """Of a tree that lost its last version when it was reduced the judge of random trees says nothing."""
    stand = SimpleNamespace(predictor="python", models={"left": Tree({".DS_Store": File("")})}, catch_up=timing.now)
    assert list(judge_trees(cast(Stand, stand))) == []
