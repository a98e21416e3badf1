"""The faults that the proxy commits for the suite: each does what it says, to what it was told, and no longer."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError, IncompleteReadError, ResponseStreamingError

from conformance import timing
from conformance.problems import HarnessError
from conformance.s3.endpoint import S3, open_s3
from conformance.s3.faults import LATE, FaultKind, Faults
from tests.conformance.test_s3 import PATIENCE, connect_as_server

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

BODY = b"0123456789" * 1000


@pytest.fixture(scope="module", params=["moto", "seaweedfs"])
def s3(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    """Open each endpoint that can be started here, with an object in it."""
    with open_s3(request.param, tmp_path_factory.mktemp("s3"), PATIENCE) as opened:
        yield opened


@pytest.fixture
def server(s3: S3) -> Iterator[S3Client]:
    """Give the client of a server, and objects to read."""
    for key in ("in/model", "in/other", "out/model"):
        s3.client.put_object(Bucket=s3.bucket, Key=key, Body=BODY)
    client = connect_as_server(s3)
    yield client
    client.close()


def read(s3: S3, server: S3Client, key: str) -> bytes:
    """Read an object as a server does."""
    return server.get_object(Bucket=s3.bucket, Key=key)["Body"].read()


def test_outage_breaks_connections(s3: S3, server: S3Client) -> None:
    """In an outage listings and downloads get no answer, those of other prefixes do, and afterwards all do."""
    with s3.faults.hold("outage", "in/") as outage:
        with pytest.raises(ConnectionClosedError):
            server.list_objects_v2(Bucket=s3.bucket, Prefix="in/")
        with pytest.raises(ConnectionClosedError):
            read(s3, server, "in/model")
        entry = s3.ledger.entries()[-1]
        assert (entry.key, entry.status, entry.fault) == ("in/model", 0, "outage")
        assert read(s3, server, "out/model") == BODY
        assert outage.hits == 2
    assert read(s3, server, "in/model") == BODY
    assert s3.ledger.entries()[-1].fault is None
    assert outage.hits == 2


def test_refusal_asks_to_slow_down(s3: S3, server: S3Client) -> None:
    """S3 that refuses answers 503 with the code SlowDown."""
    with s3.faults.hold("refusal", "in/"):
        with pytest.raises(ClientError) as refused:
            server.list_objects_v2(Bucket=s3.bucket, Prefix="in/")
        assert refused.value.response["Error"]["Code"] == "SlowDown"
        assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
        assert (s3.ledger.entries()[-1].status, s3.ledger.entries()[-1].fault) == (503, "refusal")
    assert server.list_objects_v2(Bucket=s3.bucket, Prefix="in/")["KeyCount"] == 2


def test_slow_answers_are_late_and_right(s3: S3, server: S3Client) -> None:
    """An answer of a slow S3 is right, and comes as late as is said."""
    with s3.faults.hold("slowness", "in/"):
        assert read(s3, server, "in/model") == BODY
        entry = s3.ledger.entries()[-1]
        assert entry.ended - entry.begun >= LATE
        assert (entry.status, entry.fault) == (200, "slowness")


def test_truncated_body_is_shorter_than_announced(s3: S3, server: S3Client) -> None:
    """The headers announce the whole body, and the connection ends after half of it; listings are whole."""
    with s3.faults.hold("truncation", "in/"):
        answer = server.get_object(Bucket=s3.bucket, Key="in/model")
        assert answer["ContentLength"] == len(BODY)
        with pytest.raises((IncompleteReadError, ResponseStreamingError)):
            answer["Body"].read()
        entry = s3.ledger.entries()[-1]
        assert (entry.status, entry.size, entry.fault) == (200, len(BODY) // 2, "truncation")
        assert server.list_objects_v2(Bucket=s3.bucket, Prefix="in/")["KeyCount"] == 2
    assert read(s3, server, "in/model") == BODY


def test_object_disappears_when_it_is_asked_for(s3: S3, server: S3Client) -> None:
    """An object is listed until a server asks for it; then it is gone from S3, and so it stays."""
    with s3.faults.hold("disappearance", "in/model") as disappearance:
        assert server.list_objects_v2(Bucket=s3.bucket, Prefix="in/")["KeyCount"] == 2
        assert disappearance.hits == 0
        with pytest.raises(server.exceptions.NoSuchKey):
            read(s3, server, "in/model")
        assert (s3.ledger.entries()[-1].status, s3.ledger.entries()[-1].fault) == (404, "disappearance")
        assert disappearance.hits == 1
        assert read(s3, server, "in/other") == BODY
    listed = s3.client.list_objects_v2(Bucket=s3.bucket, Prefix="in/")["Contents"]
    assert [item["Key"] for item in listed] == ["in/other"]


def test_fault_waits_for_what_is_under_way(s3: S3, server: S3Client) -> None:
    """When a fault is in force the earlier requests that it is for have ended, and it was not for them."""
    with s3.faults.hold("slowness", "in/") as slowness, ThreadPoolExecutor(1) as pool:
        earlier = pool.submit(read, s3, server, "in/model")
        assert timing.poll(lambda: slowness.hits or None, until=timing.now() + PATIENCE)
        with s3.faults.hold("outage", "in/") as outage:
            entry = s3.ledger.entries()[-1]
            assert (entry.key, entry.status, entry.fault) == ("in/model", 200, "slowness")
            assert outage.hits == 0
        assert earlier.result() == BODY


def test_fault_does_not_wait_for_others(s3: S3, server: S3Client) -> None:
    """A request that is under way, and that a fault is not for, holds it up no more than it ends it."""
    url = urlsplit(server.generate_presigned_url("put_object", Params={"Bucket": s3.bucket, "Key": "out/put"}))
    with closing(HTTPConnection(url.netloc, timeout=PATIENCE)) as connection, s3.faults.hold("slowness", "out/") as met:
        connection.putrequest("PUT", f"{url.path}?{url.query}")
        connection.putheader("Content-Length", str(len(BODY)))
        connection.endheaders()
        connection.send(BODY[:1])
        assert timing.poll(lambda: met.hits or None, until=timing.now() + PATIENCE)
        with s3.faults.hold("outage", "in/"):
            connection.send(BODY[1:])
            assert connection.getresponse().status == 200
    assert read(s3, server, "out/put") == BODY


@pytest.mark.parametrize("kind", ["outage", "refusal"])
def test_fault_ends_with_an_error_in_its_block(s3: S3, server: S3Client, kind: FaultKind) -> None:
    """A test that fails while it holds a fault lets go of it."""
    with pytest.raises(ValueError, match="a failed test"), s3.faults.hold(kind, "in/"):
        raise ValueError("a failed test")
    assert read(s3, server, "in/model") == BODY


def test_proxy_that_is_gone_cannot_be_told(s3: S3, tmp_path: Path) -> None:
    """Without a proxy there is an error, not a test without a fault."""
    with (
        pytest.raises(HarnessError, match="cannot be told"),
        Faults(tmp_path / "no", s3.client, s3.bucket).hold("outage", ""),
    ):
        pass
