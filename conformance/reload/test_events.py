"""The events of the document: each changes in time what is served."""

from random import Random

from conformance import timing
from conformance.deployment import Answer
from conformance.marks import ALSO_IN_REAL_TIME, IN_REAL_TIME, Grow, Planting, clause, planting
from conformance.stand import Stand
from fixtures.models import saved_model
from fixtures.trees import Tree, versions


def _one_model(grow: Grow) -> Planting:
    return Planting({"there": grow()})


@clause("reload.model-added")
@planting(_one_model, clocks=ALSO_IN_REAL_TIME, adds_models=True)
def test_new_model_is_served(stand: Stand) -> None:
    """A model that appears in models.dir is served in time."""
    stand.expect_served("there")
    stand.put("arriving", stand.grow())
    stand.expect_served("arriving")


def _about_to_change(grow: Grow) -> Planting:
    return Planting({"changing": versions({"1": grow()})})


@clause("reload.automatic")
@planting(_about_to_change, clocks=IN_REAL_TIME)
def test_models_are_reloaded_without_any_setting(stand: Stand) -> None:
    """A server that is configured as by default sees, by its own next scans, that something has changed."""
    stand.expect_served("changing", "1")
    update, version = stand.grow(), stand.grow()
    stand.put("changing", versions({"1": update, "2": version}))
    new = [frozenset(tree.tokens.values()) for tree in (update, version)]

    def ask() -> Answer:
        answers = [stand.ask("changing"), stand.ask("changing", "1")]
        return next((answer for answer in answers if answer.tokens in new), answers[0])

    # Either will do: that the one or the other is missed is a matter of its own clause.
    answer = stand.await_answer(ask, lambda answer: answer.tokens in new)
    stand.expect(
        answer.tokens in new,
        expected="the update or the new version in time, without any setting",
        observed=stand.describe(answer),
    )


def _only_model(grow: Grow) -> Planting:
    return Planting({"only": grow()})


@clause("reload.model-removed")
@planting(_only_model)
def test_model_without_files_is_served_no_more(stand: Stand) -> None:
    """A model of which all files are removed errs in time."""
    stand.expect_served("only")
    stand.remove("only")
    stand.expect_gone("only")


def _two_models(grow: Grow) -> Planting:
    return Planting({"staying": grow(), "leaving": grow()})


@clause("reload.model-removed")
@planting(_two_models, clocks=ALSO_IN_REAL_TIME)
def test_removed_model_is_served_no_more(stand: Stand) -> None:
    """A model that is removed from models.dir errs in time, and the others stay."""
    stand.expect_served("leaving")
    stand.remove("leaving")
    stand.expect_gone("leaving")
    stand.expect_served("staying")


# The tests on one server run side by side, so that each changes models of its own.
def _one_version(grow: Grow) -> Planting:
    return Planting({"model": versions({"9": grow()})})


@clause("reload.version-added")
@planting(_one_version, clocks=ALSO_IN_REAL_TIME)
def test_higher_version_becomes_the_latest(stand: Stand) -> None:
    """Version 10, added to 9, becomes the latest in time, and 9 can still be asked for."""
    stand.expect_served("model", "9")
    stand.put("model", versions({"10": stand.grow()}))
    stand.expect_served("model", "10")
    stand.expect_served("model", "9", version="9")


def _two_versions(grow: Grow) -> Planting:
    return Planting({"two": versions({"9": grow(), "10": grow()})})


@clause("reload.version-removed")
@planting(_two_versions, clocks=ALSO_IN_REAL_TIME)
def test_latest_falls_back_when_it_is_removed(stand: Stand) -> None:
    """When 10 is removed, 9 is the latest in time, and 10 errs."""
    stand.expect_served("two", "10")
    stand.remove("two", "10")
    stand.expect_served("two", "9")
    stand.expect_gone("two", version="10")


def _growing(grow: Grow) -> Planting:
    return Planting({"growing": grow()})


@clause("reload.structure-changed")
@planting(_growing, predictors=("python",), clocks=ALSO_IN_REAL_TIME)
def test_added_file_reloads_the_model(stand: Stand) -> None:
    """A file that is added to a model belongs to what is served in time."""
    stand.expect_served("growing")
    stand.put("growing", stand.grow().at("further"))
    stand.expect_served("growing")


def _shrinking(grow: Grow) -> Planting:
    return Planting({"shrinking": grow()})


@clause("reload.structure-changed")
@planting(_shrinking, predictors=("python",), clocks=ALSO_IN_REAL_TIME)
def test_deleted_file_reloads_the_model(stand: Stand) -> None:
    """A file that is deleted, and was not the newest, is in time no part of what is served."""
    stand.expect_served("shrinking")
    stand.remove_file("shrinking", next(iter(stand.models["shrinking"])))
    stand.expect_served("shrinking")


def _renamed(grow: Grow) -> Planting:
    return Planting({"renamed": grow()})


@clause("reload.structure-changed")
@planting(_renamed, predictors=("onnx",), clocks=ALSO_IN_REAL_TIME)
def test_model_file_of_another_name_is_served(stand: Stand) -> None:
    """An ONNX model whose one file is replaced by one of another name is served from that in time."""
    stand.expect_served("renamed")
    _replace(stand, "renamed", _under_another_name(stand.grow()))
    stand.expect_served("renamed")


def _doubled(grow: Grow) -> Planting:
    return Planting({"doubled": grow()})


@clause("reload.structure-changed")
@planting(_doubled, predictors=("onnx",), clocks=ALSO_IN_REAL_TIME)
def test_deleted_file_that_was_one_too_many_leaves_a_model(stand: Stand) -> None:
    """Of two *.onnx files, which are no model, the older one is deleted: the other is served in time."""
    stand.expect_served("doubled")
    before = list(stand.models["doubled"])
    stand.put("doubled", _under_another_name(stand.grow()))
    # That the server has seen both leaves it the deletion of a file that is not the newest to see.
    stand.settle()
    for key in before:
        stand.remove_file("doubled", key)
    stand.expect_served("doubled")


def _under_another_name(model: Tree) -> Tree:
    return Tree({f"other-{key}": file for key, file in model.items()})


SHARDS = (3, 2)


def _resharded(grow: Grow) -> Planting:
    return Planting({"resharded": grow()})


@clause("reload.structure-changed")
@planting(_resharded, predictors=("tensorflow",), clocks=ALSO_IN_REAL_TIME)
def test_saved_model_of_other_shards_is_served(stand: Stand) -> None:
    """A SavedModel whose variables are spread over more files, and then over fewer, is served from those in time."""
    stand.expect_served("resharded")
    random = Random(f"{stand.forest.run.seed} shards")
    for shards in SHARDS:
        _replace(stand, "resharded", saved_model(shards=shards, random=random))
        stand.expect_served("resharded")


ROUNDS = 2


def _overwritten(grow: Grow) -> Planting:
    return Planting({"plain": grow()})


@clause("reload.updated-in-place")
@planting(_overwritten, clocks=ALSO_IN_REAL_TIME)
def test_overwritten_files_are_served(stand: Stand) -> None:
    """Files overwritten by others of the same size are served in time, also if they were a moment before."""
    stand.expect_served("plain")
    for _ in range(ROUNDS):
        # At short intervals both updates come within one second, and the first is served between them.
        timing.await_second()
        for _ in range(2):
            stand.put("plain", stand.grow())
            stand.expect_served("plain")


def _overwritten_versions(grow: Grow) -> Planting:
    return Planting({"versioned": versions({"1": grow(), "2": grow()})})


@clause("reload.updated-in-place")
@planting(_overwritten_versions, clocks=ALSO_IN_REAL_TIME)
def test_overwritten_version_is_served(stand: Stand) -> None:
    """An old version and the latest, overwritten in place, are served in time."""
    stand.expect_served("versioned", "2")
    stand.put("versioned", versions({"1": stand.grow(), "2": stand.grow()}))
    stand.expect_served("versioned", "2")
    stand.expect_served("versioned", "1", version="1")


def _to_be_restored(grow: Grow) -> Planting:
    return Planting({"model": versions({"9": grow()})})


@clause("reload.removed-then-restored")
@planting(_to_be_restored, clocks=ALSO_IN_REAL_TIME)
def test_model_returns_after_its_last_version_was_removed(stand: Stand) -> None:
    """A model without its last version errs, and is served again when a version returns."""
    stand.expect_served("model", "9")
    stand.remove("model")
    stand.expect_gone("model")
    stand.put("model", versions({"3": stand.grow()}))
    stand.expect_served("model", "3")


@clause("reload.removed-then-restored")
@planting(_one_model, alone=True, adds_models=True)
def test_server_survives_an_emptied_directory(stand: Stand) -> None:
    """A server whose models.dir is emptied lives on, and serves what appears there later."""
    stand.expect_served("there")
    stand.remove("there")
    stand.expect_gone("there")
    stand.put("another", stand.grow())
    stand.expect_served("another")


def _turning(grow: Grow) -> Planting:
    return Planting({"model": versions({"1": grow(), "2": grow()})})


@clause("reload.versioned-to-unversioned")
@planting(_turning)
def test_model_turns_unversioned_and_back(stand: Stand) -> None:
    """A model may lose its version folders for one model, and get them again."""
    stand.expect_served("model", "2")
    for files, folder in ((stand.grow(), ""), (versions({"5": stand.grow()}), "5")):
        _replace(stand, "model", files)
        stand.expect_served("model", folder)


def _replace(stand: Stand, name: str, files: Tree) -> None:
    """Put other files in the place of a model's, and then delete the rest: one gone for a moment is another event."""
    before = stand.models[name]
    stand.put(name, files)
    for key in before:
        if key not in files:
            stand.remove_file(name, key)
