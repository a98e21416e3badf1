"""The S3 endpoint of a run and the recording proxy in front of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import pytest
from botocore.config import Config

from conformance.problems import HarnessError, InvalidInputError
from conformance.s3.containers import engine_missing
from conformance.s3.endpoint import S3, open_s3

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PATIENCE = 60.0
ODD_KEYS = ["a//b", "m/1/", "with space/é½", "d/./e", "p/../q", "100%/+&=?#"]


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    """Open the endpoint that the suite starts itself."""
    with open_s3("moto", tmp_path_factory.mktemp("s3"), PATIENCE) as opened:
        yield opened


def connect_as_server(s3: S3) -> S3Client:
    """Connect to S3 as a server does, through the proxy, without repeating what fails."""
    env = s3.server_env
    return boto3.client(
        "s3",
        endpoint_url=env["AWS_ENDPOINT_URL"],
        region_name=env["AWS_REGION"],
        aws_access_key_id=env["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=env["AWS_SECRET_ACCESS_KEY"],
        config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
    )


@pytest.fixture(scope="module")
def server_client(s3: S3) -> Iterator[S3Client]:
    """Give the client of a server."""
    client = connect_as_server(s3)
    yield client
    client.close()


@pytest.mark.parametrize("key", ODD_KEYS)
def test_odd_keys_pass_the_proxy_unchanged(s3: S3, server_client: S3Client, key: str) -> None:
    """A key with slashes, dots, spaces or escapes in it is read through the proxy as it was written past it."""
    s3.client.put_object(Bucket=s3.bucket, Key=key, Body=key.encode())
    answer = server_client.get_object(Bucket=s3.bucket, Key=key)
    assert answer["Body"].read() == key.encode()
    entry = s3.ledger.entries()[-1]
    assert (entry.method, entry.bucket, entry.key, entry.status) == ("GET", s3.bucket, key, 200)
    assert (entry.size, entry.fault) == (len(key.encode()), None)


def test_ledger_tells_listings_by_their_prefix(s3: S3, server_client: S3Client) -> None:
    """A listing is in the ledger with its prefix, and any other request without one."""
    server_client.list_objects_v2(Bucket=s3.bucket, Prefix="some where/")
    listing = s3.ledger.entries()[-1]
    assert (listing.prefix, listing.key) == ("some where/", "")
    assert listing.begun <= listing.ended
    s3.client.put_object(Bucket=s3.bucket, Key="headed", Body=b"12345")
    server_client.head_object(Bucket=s3.bucket, Key="headed")
    assert (s3.ledger.entries()[-1].method, s3.ledger.entries()[-1].prefix) == ("HEAD", None)


def test_what_the_suite_publishes_is_not_in_the_ledger(s3: S3) -> None:
    """The ledger holds what servers did: the suite writes past the proxy."""
    before = len(s3.ledger.entries())
    s3.client.put_object(Bucket=s3.bucket, Key="published", Body=b"1")
    assert len(s3.ledger.entries()) == before


def test_errors_pass_the_proxy(s3: S3, server_client: S3Client) -> None:
    """What S3 refuses is refused through the proxy in the same way, and noted."""
    with pytest.raises(server_client.exceptions.NoSuchKey):
        server_client.get_object(Bucket=s3.bucket, Key="nowhere")
    assert s3.ledger.entries()[-1].status == 404


def test_endpoint_that_nobody_listens_on_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An endpoint that cannot be reached is named."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "any")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "any")
    with (
        pytest.raises(HarnessError, match=r"S3 endpoint http://127\.0\.0\.1:9 cannot be used"),
        open_s3("http://127.0.0.1:9", tmp_path, PATIENCE),
    ):
        pass


def test_unknown_endpoint_is_an_error(tmp_path: Path) -> None:
    """An endpoint that is neither known by its name nor a URL is refused with the names that there are."""
    with (
        pytest.raises(InvalidInputError, match="'ceph' is neither moto, seaweedfs"),
        open_s3("ceph", tmp_path, PATIENCE),
    ):
        pass


def test_seaweedfs_is_an_endpoint(tmp_path: Path) -> None:
    """SeaweedFS is started, serves through the proxy, refuses wrong keys, and leaves nothing behind."""
    with open_s3("seaweedfs", tmp_path, PATIENCE) as s3:
        s3.client.put_object(Bucket=s3.bucket, Key="m/1/model", Body=b"content")
        client = connect_as_server(s3)
        assert client.get_object(Bucket=s3.bucket, Key="m/1/model")["Body"].read() == b"content"
        env = dict(s3.server_env) | {"AWS_SECRET_ACCESS_KEY": "wrong"}
        stranger = boto3.client(
            "s3", endpoint_url=env["AWS_ENDPOINT_URL"], region_name=env["AWS_REGION"],
            aws_access_key_id=env["AWS_ACCESS_KEY_ID"], aws_secret_access_key=env["AWS_SECRET_ACCESS_KEY"],
        )  # fmt: skip
        with pytest.raises(stranger.exceptions.ClientError, match="SignatureDoesNotMatch"):
            stranger.list_objects_v2(Bucket=s3.bucket)
    assert not list(Path("/tmp").glob("seaweedfs-*.sock"))  # noqa: S108 - where it puts its sockets


@pytest.mark.parametrize("name", ["minio", "localstack"])
def test_container_is_an_endpoint(tmp_path: Path, name: str) -> None:
    """Where a container engine runs, its S3 is an endpoint; where none runs, the error says so."""
    if missing := engine_missing():
        with (
            pytest.raises(HarnessError, match="cannot be run: no container engine answers"),
            open_s3(name, tmp_path, 1),
        ):
            pass
        assert "SERVECHECK_REQUIRE_CONTAINERS" not in os.environ, missing
        pytest.skip(f"{missing}; the start of {name} needs one")
    with open_s3(name, tmp_path, 4 * PATIENCE) as s3:
        s3.client.put_object(Bucket=s3.bucket, Key="m/1/model", Body=b"content")
        assert connect_as_server(s3).get_object(Bucket=s3.bucket, Key="m/1/model")["Body"].read() == b"content"
