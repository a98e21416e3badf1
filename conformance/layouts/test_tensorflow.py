"""Which trees are SavedModels."""

import pytest

from conformance.marks import Grow, Planting, clause, planting
from conformance.stand import Stand
from fixtures.models import saved_model
from fixtures.trees import File, Tree, versions

SHARDS = 3
PARTS = {
    "pb": "saved_model.pb",
    "index": "variables/variables.index",
    "data": "variables/variables.data-00000-of-00001",
}


def _saved_models(grow: Grow) -> Planting:
    further = Tree(
        {"assets/vocabulary.txt": File("cat\ndog\n"), "fingerprint.pb": File(b""), "readme.md": File("# card")}
    )
    lacking = {f"without-{part}": saved_model(random=grow.random).without(key) for part, key in PARTS.items()}
    in_a_version = {
        f"version-without-{part}": versions({"1": grow(), "2": saved_model(random=grow.random).without(key)})
        for part, key in PARTS.items()
    }
    return Planting({"whole": grow(), "further": grow() | further, **lacking, **in_a_version})


@clause("layouts.tensorflow")
@planting(_saved_models)
def test_saved_model_is_served(stand: Stand) -> None:
    """The protobuf, the index and the data make a model, also with assets and other files beside them."""
    stand.expect_served("whole")
    stand.expect_served("further")


@clause("layouts.tensorflow")
@planting(_saved_models)
@pytest.mark.parametrize("part", PARTS)
def test_saved_model_lacking_a_part_is_no_model(stand: Stand, part: str) -> None:
    """Without the protobuf, the index or any data it is no model."""
    stand.expect_refused(f"without-{part}")


@clause("layouts.tensorflow")
@planting(_saved_models)
@pytest.mark.parametrize("part", PARTS)
def test_folder_lacking_a_part_is_no_version(stand: Stand, part: str) -> None:
    """A version folder that lacks a part is no version: the one below it is the latest."""
    stand.expect_served(f"version-without-{part}", "1")
    stand.expect_refused(f"version-without-{part}", version="2")


def _shards(grow: Grow) -> Planting:
    whole = saved_model(shards=SHARDS, random=grow.random)
    last = f"variables/variables.data-{SHARDS - 1:05}-of-{SHARDS:05}"
    return Planting(
        {
            "three": whole,
            "lacking-one": saved_model(shards=SHARDS, random=grow.random).without(last),
            "versions": versions({"1": grow(), "2": saved_model(shards=SHARDS, random=grow.random).without(last)}),
        }
    )


@clause("layouts.tensorflow-shards")
@planting(_shards)
def test_variables_may_be_split_into_shards(stand: Stand) -> None:
    """A model of three shards is served."""
    stand.expect_served("three")


@clause("layouts.tensorflow-shards")
@planting(_shards)
def test_announced_shard_must_be_there(stand: Stand) -> None:
    """Two of three announced shards make neither a model nor a version."""
    stand.expect_refused("lacking-one")
    stand.expect_served("versions", "1")
    stand.expect_refused("versions", version="2")
