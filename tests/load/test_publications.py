"""Publications under traffic: what is said to have been published is what lies there, key by key."""

import json
import secrets
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from fixtures.targets import DirectoryTarget, S3Target, Target
from fixtures.trees import Tree
from load.profile import Profile, Publications, load_profile
from load.publications import Publisher, initial_models
from load.stage import change_from_json, change_to_json

COUNT = 60


def profile() -> Profile:
    """Describe five small models, of which three change."""
    return load_profile("churn", ["trees.models=5", "trees.size=64", "publications.models=3"])


def tokens_there(target: Target, model: str) -> dict[str, frozenset[str]]:
    """Read the tokens that lie in each version folder of a model."""
    found: dict[str, set[str]] = {}
    for key, _ in target.listing(model):
        line = target.read(f"{model}/{key}", limit=64).partition(b"\n")[0]
        found.setdefault(key.partition("/")[0], set()).add(line.removeprefix(b"token: ").decode())
    return {version: frozenset(tokens) for version, tokens in found.items()}


def published(target: Target) -> Publisher:
    """Publish the trees that are there from the start."""
    plan = profile()
    models: dict[str, Tree] = dict(initial_models(plan))
    for name, tree in models.items():
        target.write(tree, at=name)
    assert isinstance(plan.publications, Publications)
    return Publisher(plan, plan.publications, target, dict(list(models.items())[: plan.publications.models]))


@pytest.fixture(params=["directory", "s3"])
def target(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Give an empty place of each kind."""
    if request.param == "directory":
        yield DirectoryTarget(tmp_path / "models")
        return
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1")
        # Of its own: what one test published was once found by the next.
        bucket = f"bucket-{secrets.token_hex(6)}"
        client.create_bucket(Bucket=bucket)
        yield S3Target(client, bucket, "models")


def test_what_is_told_is_what_lies_there(target: Target) -> None:
    """After each publication the source holds exactly the versions and tokens that its last change names."""
    publisher = published(target)
    for _ in range(COUNT):
        publication = publisher.publish()
        assert publication.changes[-1].versions == tokens_there(target, publication.model)


def test_every_kind_of_publication_comes(target: Target) -> None:
    """Versions are added, overwritten and removed, and the lowest one of a model always stays."""
    publisher = published(target)
    publications = [publisher.publish() for _ in range(COUNT)]
    events = {change.event for publication in publications for change in publication.changes}
    assert events == {"reload.version-added", "reload.updated-in-place", "reload.version-removed"}
    assert all("1" in change.versions for publication in publications for change in publication.changes)
    assert len({publication.model for publication in publications}) == 3


def test_keys_that_change_one_by_one_are_changes_of_their_own(target: Target) -> None:
    """Each state that a request could meet is told; no change alters more than one key, unless a folder is renamed."""
    publisher = published(target)
    before = {name: tokens_there(target, name) for name in ("m00000", "m00001", "m00002")}
    for _ in range(COUNT):
        publication = publisher.publish()
        for change in publication.changes:
            past = {token for tokens in before[change.model].values() for token in tokens}
            now = {token for tokens in change.versions.values() for token in tokens}
            renamed = isinstance(target, DirectoryTarget) and change.event != "reload.updated-in-place"
            assert len(now - past) <= (2 if renamed else 1)
            assert len(past - now) <= (2 if renamed else 1)
            assert change.begun <= change.ended
            before[change.model] = dict(change.versions)


def test_equal_seeds_publish_the_same(tmp_path: Path) -> None:
    """The same profile makes the same publications, apart from the moments."""
    told = []
    for place in ("one", "two"):
        publisher = published(DirectoryTarget(tmp_path / place))
        told.append(
            [(one.event, one.model, one.changes[-1].versions) for one in (publisher.publish() for _ in range(9))]
        )
    assert told[0] == told[1]


def test_change_survives_its_line(tmp_path: Path) -> None:
    """A change that was written down is read as it was."""
    change = published(DirectoryTarget(tmp_path / "models")).publish().changes[0]
    assert change_from_json(json.loads(change_to_json(change, 3))) == change
