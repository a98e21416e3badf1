"""What is a model, what is none, and that what is none does no harm."""

from conformance import timing
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


@clause("layouts.mixed-level")
@planting(_mixed_level)
def test_what_is_left_aside_is_reported(stand: Stand) -> None:
    """GET / or the log names what lies beside the versions of a level."""
    stand.expect_served("model", "3")

    def untold() -> list[str]:
        told = "\n".join([stand.deployment.summary().text, *stand.deployment.last_log_lines(None)])
        return [entry for entry in ("backup", "4.tmp", "notes.txt") if entry not in told]

    # A log may come late.
    timing.poll(lambda: not untold() or None, until=timing.now() + stand.deployment.pace.load)
    stand.expect(
        not (missing := untold()),
        expected="all entries that are left aside named in GET / or in what the server prints",
        observed=f"no word of {', '.join(missing)}; GET / gives {stand.deployment.summary().text[:300]}",
    )


def _any_name(grow: Grow) -> Planting:
    return Planting({"any-name": onnx_model(name="Net v2 (final).onnx", random=grow.random)})


@clause("layouts.onnx")
@planting(_any_name)
def test_one_onnx_file_is_a_model_whatever_its_name(stand: Stand) -> None:
    """The one *.onnx file may have any name."""
    stand.expect_served("any-name")


def _labelled(grow: Grow) -> Planting:
    return Planting({"labels": grow() | Tree({"labels.txt": File("cat\ndog\n"), "docs/card.md": File("# card")})})


@clause("layouts.onnx")
@planting(_labelled)
def test_other_files_may_lie_beside_the_onnx_file(stand: Stand) -> None:
    """Labels and documents may lie beside the model."""
    stand.expect_served("labels")


def _external(grow: Grow) -> Planting:
    return Planting({"external": onnx_model(external=True, random=grow.random)})


@clause("layouts.onnx")
@planting(_external)
def test_tensors_may_lie_beside_the_onnx_file(stand: Stand) -> None:
    """The file of external tensors belongs to the model."""
    stand.expect_served("external")


def _two_onnx_files(grow: Grow) -> Tree:
    return grow() | onnx_model(name="other.onnx", random=grow.random)


def _not_one_onnx_file(grow: Grow) -> Planting:
    return Planting({"none": Tree({"labels.txt": File("cat\ndog\n")}), "two": _two_onnx_files(grow)})


@clause("layouts.onnx")
@planting(_not_one_onnx_file)
def test_no_onnx_file_is_no_model(stand: Stand) -> None:
    """A directory without a *.onnx file is never served."""
    stand.expect_refused("none")


@clause("layouts.onnx")
@planting(_not_one_onnx_file)
def test_two_onnx_files_are_no_model(stand: Stand) -> None:
    """A directory with two *.onnx files is never served."""
    stand.expect_refused("two")


def _versions_with_onnx_files(grow: Grow) -> Planting:
    none = Tree({"labels.txt": File("cat\n")})
    return Planting({"versions": versions({"1": grow(), "2": _two_onnx_files(grow), "3": none})})


@clause("layouts.onnx")
@planting(_versions_with_onnx_files)
def test_folder_without_exactly_one_onnx_file_is_no_version(stand: Stand) -> None:
    """Of versions 1 (whole), 2 (two *.onnx) and 3 (none) only 1 exists, and is the latest."""
    stand.expect_served("versions", "1")
    stand.expect_refused("versions", version="2")
    stand.expect_refused("versions", version="3")


def _broken(grow: Grow) -> Tree:
    """Make a version that no server can serve."""
    whole, broken = grow(), BROKEN[grow.predictor]
    if grow.predictor == "tensorflow":
        return whole.without("variables/variables.index")
    return whole.without(*(key for key in broken if key in whole)) | broken


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


DOTFILE = File("left by a desktop")


def _marked(grow: Grow) -> Planting:
    return Planting({"marked": Tree({"1/": MARKER, ".DS_Store": DOTFILE}) | versions({"1": grow()})})


@clause("layouts.markers-ignored")
@planting(_marked)
def test_markers_and_dotfiles_change_nothing(stand: Stand) -> None:
    """A version is served as if neither the marker of its folder nor a dotfile lay beside it."""
    stand.expect_served("marked", "1")


def _beside_dotfiles(grow: Grow) -> Planting:
    return Planting({"dotfiles": versions({"1": grow()}) | Tree({".gitkeep": DOTFILE, "._1": DOTFILE})})


@clause("layouts.markers-ignored")
@planting(_beside_dotfiles)
def test_dotfiles_beside_versions_change_nothing(stand: Stand) -> None:
    """A version is served as if no dotfile lay beside it, whatever the name of that begins with."""
    stand.expect_served("dotfiles", "1")


def _beside_a_marker(grow: Grow) -> Planting:
    return Planting({"marker-only-version": versions({"1": grow()}) | Tree({"2/": MARKER})})


@clause("layouts.markers-ignored")
@planting(_beside_a_marker)
def test_folder_with_a_marker_only_is_no_version(stand: Stand) -> None:
    """Folder 2, which holds nothing, is neither the latest nor can it be asked for."""
    stand.expect_served("marker-only-version", "1")
    stand.expect_refused("marker-only-version", version="2")


def _beside_a_folder_of_dotfiles(grow: Grow) -> Planting:
    return Planting({"dotfile-only-version": versions({"1": grow()}) | Tree({"2/.gitkeep": DOTFILE})})


# Inside a python model a dotfile is a file like any other.
@clause("layouts.bad-version-isolated")
@planting(_beside_a_folder_of_dotfiles, predictors=("onnx", "tensorflow"))
def test_folder_with_a_dotfile_only_is_no_version(stand: Stand) -> None:
    """Folder 2, which holds a dotfile only, is neither the latest nor does it take version 1 down."""
    stand.expect_served("dotfile-only-version", "1")
    stand.expect_served("dotfile-only-version", "1", version="1")


def _beside_a_model_of_dotfiles(grow: Grow) -> Planting:
    return Planting({"dotfiles-only": Tree({".DS_Store": DOTFILE, ".git/HEAD": DOTFILE}), "good": grow()})


@clause("layouts.markers-ignored")
@planting(_beside_a_model_of_dotfiles)
def test_folder_of_dotfiles_leaves_the_models_alone(stand: Stand) -> None:
    """Beside an entry of models.dir that holds dotfiles only, also when it was asked for, a model is served."""
    stand.expect_served("good")
    stand.ask("dotfiles-only")  # whatever is answered: to the python predictor these are files like all others
    stand.expect_served("good")


def _beside_strays(grow: Grow) -> Planting:
    return Planting(
        {"good": grow()},
        strays=Tree({"README.md": File("about these models"), ".DS_Store": DOTFILE, "empty/": MARKER}),
    )


@clause("layouts.markers-ignored")
@planting(_beside_strays)
def test_what_is_no_folder_of_models_dir_is_no_model(stand: Stand) -> None:
    """Stray files and empty folders of models.dir are not served, and the server lives on."""
    stand.expect_served("good")
    stand.settle()
    for stray in ("README.md", ".DS_Store", "empty"):
        answer = stand.ask_by_name(stray)
        stand.expect(not answer.is_served, expected=f"a request for {stray!r} errs", observed=stand.describe(answer))
