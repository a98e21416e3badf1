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


def _whole(grow: Grow) -> Planting:
    return Planting({"whole": grow()})


@clause("layouts.tensorflow")
@planting(_whole)
def test_saved_model_is_served(stand: Stand) -> None:
    """The protobuf, the index and the data make a model."""
    stand.expect_served("whole")


def _further_files(grow: Grow) -> Planting:
    further = Tree(
        {"assets/vocabulary.txt": File("cat\ndog\n"), "fingerprint.pb": File(b""), "readme.md": File("# card")}
    )
    return Planting({"further": grow() | further})


@clause("layouts.tensorflow")
@planting(_further_files)
def test_further_files_may_lie_beside_a_saved_model(stand: Stand) -> None:
    """With assets and other files beside its parts it is a model too."""
    stand.expect_served("further")


def _lacking_a_part(grow: Grow) -> Planting:
    return Planting({f"without-{part}": grow().without(key) for part, key in PARTS.items()})


@clause("layouts.tensorflow")
@planting(_lacking_a_part)
@pytest.mark.parametrize("part", PARTS)
def test_saved_model_lacking_a_part_is_no_model(stand: Stand, part: str) -> None:
    """Without the protobuf, the index or any data it is no model."""
    stand.expect_refused(f"without-{part}")


# Each lacks another part.
LACKING = dict(zip(("2", "3", "4"), PARTS, strict=True))


def _versions_lacking_a_part(grow: Grow) -> Planting:
    lacking = {version: grow().without(PARTS[part]) for version, part in LACKING.items()}
    return Planting({"versions": versions({"1": grow(), **lacking})})


@clause("layouts.tensorflow")
@planting(_versions_lacking_a_part)
def test_folder_lacking_a_part_is_no_version(stand: Stand) -> None:
    """Version folders that lack a part are no versions: the one below them is the latest."""
    stand.expect_served("versions", "1")
    for version in LACKING:
        stand.expect_refused("versions", version=version)


def _lacking_a_shard(grow: Grow) -> Tree:
    last = f"variables/variables.data-{SHARDS - 1:05}-of-{SHARDS:05}"
    return saved_model(shards=SHARDS, random=grow.random).without(last)


def _sharded(grow: Grow) -> Planting:
    return Planting({"three": saved_model(shards=SHARDS, random=grow.random)})


@clause("layouts.tensorflow-shards")
@planting(_sharded)
def test_variables_may_be_split_into_shards(stand: Stand) -> None:
    """A model of three shards is served."""
    stand.expect_served("three")


def _lacking_one(grow: Grow) -> Planting:
    return Planting({"lacking-one": _lacking_a_shard(grow), "whole": grow()})


@clause("layouts.tensorflow-shards")
@planting(_lacking_one)
def test_announced_shard_must_be_there(stand: Stand) -> None:
    """Two of three announced shards make no model."""
    stand.expect_refused("lacking-one")
    stand.expect_served("whole")


def _version_lacking_one(grow: Grow) -> Planting:
    return Planting({"versions": versions({"1": grow(), "2": _lacking_a_shard(grow)})})


@clause("layouts.tensorflow-shards")
@planting(_version_lacking_one)
def test_announced_shard_of_a_version_must_be_there(stand: Stand) -> None:
    """Two of three announced shards make no version."""
    stand.expect_served("versions", "1")
    stand.expect_refused("versions", version="2")
