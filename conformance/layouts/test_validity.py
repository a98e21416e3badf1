"""What is a model, what is none, and that what is none does no harm."""

from conformance.broken_content import BROKEN
from conformance.marks import Grow, Planting, clause, planting
from conformance.stand import Stand
from fixtures.models import onnx_model
from fixtures.trees import MARKER, File, Tree, versions


def _mixed_level(grow: Grow) -> Planting:
    level = (
        versions({"3": grow(), "backup": grow(), "4.tmp": grow()}) | grow() | Tree({"notes.txt": File("not a model")})
    )
    return Planting({"model": level})


@clause("layouts.mixed-level")
@planting(_mixed_level)
def test_versions_win_over_what_lies_beside_them(stand: Stand) -> None:
    """A level with version 3 is versioned, whatever other folders, models and files lie beside it."""
    stand.expect_served("model", "3")
    stand.expect_served("model", "3", version="3")


@clause("layouts.mixed-level")
@planting(_mixed_level)
def test_what_lies_beside_versions_is_left_aside(stand: Stand) -> None:
    """Neither a folder that is no integer nor a file of a versioned level can be asked for."""
    for version in ("backup", "4.tmp", "4"):
        stand.expect_refused("model", version=version)


def _onnx(grow: Grow) -> Planting:
    return Planting(
        {
            "none": Tree({"labels.txt": File("cat\ndog\n")}),
            "two": grow() | onnx_model(name="other.onnx", random=grow.random),
            "any-name": onnx_model(name="Net v2 (final).onnx", random=grow.random),
            "labels": grow() | Tree({"labels.txt": File("cat\ndog\n"), "docs/card.md": File("# card")}),
            "external": onnx_model(external=True, random=grow.random),
            "versions": versions(
                {
                    "1": grow(),
                    "2": grow() | onnx_model(name="other.onnx", random=grow.random),
                    "3": Tree({"labels.txt": File("cat\n")}),
                }
            ),
        }
    )


@clause("layouts.onnx")
@planting(_onnx)
def test_one_onnx_file_is_a_model_whatever_its_name(stand: Stand) -> None:
    """The one *.onnx file may have any name."""
    stand.expect_served("any-name")


@clause("layouts.onnx")
@planting(_onnx)
def test_other_files_may_lie_beside_the_onnx_file(stand: Stand) -> None:
    """Labels, documents and the file of external tensors belong to the model."""
    stand.expect_served("labels")
    stand.expect_served("external")


@clause("layouts.onnx")
@planting(_onnx)
def test_no_onnx_file_is_no_model(stand: Stand) -> None:
    """A directory without a *.onnx file is never served."""
    stand.expect_refused("none")


@clause("layouts.onnx")
@planting(_onnx)
def test_two_onnx_files_are_no_model(stand: Stand) -> None:
    """A directory with two *.onnx files is never served."""
    stand.expect_refused("two")


@clause("layouts.onnx")
@planting(_onnx)
def test_folder_without_exactly_one_onnx_file_is_no_version(stand: Stand) -> None:
    """Of versions 1 (whole), 2 (two *.onnx) and 3 (none) only 1 exists, and is the latest."""
    stand.expect_served("versions", "1")
    stand.expect_refused("versions", version="2")
    stand.expect_refused("versions", version="3")


def _broken(grow: Grow) -> Tree:
    """Make a version that no server can serve."""
    whole = grow()
    return (
        whole.without("variables/variables.index") if grow.predictor == "tensorflow" else whole | BROKEN[grow.predictor]
    )


def _bad_versions(grow: Grow) -> Planting:
    return Planting({"model": versions({"1": grow(), "2": grow(), "3": _broken(grow)})})


@clause("layouts.bad-version-isolated")
@planting(_bad_versions)
def test_bad_version_leaves_the_valid_ones_alone(stand: Stand) -> None:
    """With an unusable version 3, versions 1 and 2 can still be asked for."""
    stand.expect_served("model", "1", version="1")
    stand.expect_served("model", "2", version="2")


@clause("layouts.bad-version-isolated")
@planting(_bad_versions)
def test_valid_versions_stand_a_request_for_the_bad_one(stand: Stand) -> None:
    """After a request for the unusable version, which errs, the valid ones are still served."""
    stand.expect_refused("model", version="3")
    stand.expect_served("model", "2", version="2")


def _bad_models(grow: Grow) -> Planting:
    return Planting(
        {"good": grow(), "bad": _broken(grow), "worse": versions({"1": _broken(grow)}), "fine": versions({"1": grow()})}
    )


@clause("layouts.bad-model-isolated")
@planting(_bad_models)
def test_bad_model_leaves_the_others_alone(stand: Stand) -> None:
    """Unusable entries of models.dir do not keep the valid ones from being served."""
    stand.expect_served("good")
    stand.expect_served("fine", "1")


@clause("layouts.bad-model-isolated")
@planting(_bad_models)
def test_valid_models_stand_a_request_for_a_bad_one(stand: Stand) -> None:
    """After requests for the unusable entries, which err, the valid ones are still served."""
    stand.expect_refused("bad")
    stand.expect_refused("worse")
    stand.expect_served("good")


def _markers(grow: Grow) -> Planting:
    dotfile = File("left by a desktop")
    marked = Tree({"1/": MARKER, ".DS_Store": dotfile}) | versions({"1": grow()})
    return Planting(
        {
            "marked": marked,
            "marker-only-version": versions({"1": grow()}) | Tree({"2/": MARKER}),
            "dotfiles": versions({"1": grow()}) | Tree({".gitkeep": dotfile, "._1": dotfile}),
        },
        strays=Tree({"README.md": File("about these models"), ".DS_Store": dotfile, "empty/": MARKER}),
    )


@clause("layouts.markers-ignored")
@planting(_markers)
def test_markers_and_dotfiles_change_nothing(stand: Stand) -> None:
    """A version is served as if no folder marker and no dotfile lay beside it."""
    stand.expect_served("marked", "1")
    stand.expect_served("dotfiles", "1")


@clause("layouts.markers-ignored")
@planting(_markers)
def test_folder_with_a_marker_only_is_no_version(stand: Stand) -> None:
    """Folder 2, which holds nothing, is neither the latest nor can it be asked for."""
    stand.expect_served("marker-only-version", "1")
    stand.expect_refused("marker-only-version", version="2")


@clause("layouts.markers-ignored")
@planting(_markers)
def test_what_is_no_folder_of_models_dir_is_no_model(stand: Stand) -> None:
    """Stray files and empty folders of models.dir are not served, and the server lives on."""
    stand.settle()
    for stray in ("README.md", ".DS_Store", "empty"):
        answer = stand.ask_by_name(stray)
        stand.expect(not answer.is_served, expected=f"a request for {stray!r} errs", observed=stand.describe(answer))


MANY = 1_050


def _many_keys(grow: Grow) -> Planting:
    # Files without a token of their own, as every one of them would be echoed.
    filler = Tree({f"part-{number:05}.txt": File(f"part {number}") for number in range(MANY)})
    return Planting({"a-big": versions({"1": grow() | filler, "2": grow()}), "b-next": versions({"1": grow()})})


# A thousand uploads take their time.
@clause("layouts.many-keys")
@planting(_many_keys, alone=True, one_predictor=True)
def test_versions_and_models_beyond_the_first_page_are_served(stand: Stand) -> None:
    """Behind a version of 1,050 files, the next version and the next model are served too."""
    stand.expect_served("a-big", "2")
    stand.expect_served("a-big", "1", version="1")
    stand.expect_served("b-next", "1")
