"""An S3 endpoint that fails by itself, for a moment or for good."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import urllib3

from conformance import timing
from conformance.s3.endpoint import S3, open_s3
from tests.conformance.json_handler import JsonHandler
from tests.conformance.own_endpoint import serve

FAILURES = {"/well": 0, "/for-a-moment": 2, "/for-good": 1000, "/never": 0}
PATIENCE = 60.0


class FailingEndpoint(JsonHandler):
    """Answers a read of each object only after as many failures as it is meant to have, or never.

    Writes nothing but a bucket.
    """

    asked: Counter[str]
    closed: threading.Event

    def do_GET(self) -> None:  # noqa: N802 - named by http.server
        """Fail, or give the object."""
        key = "/" + urlsplit(self.path).path.rpartition("/")[2]
        if key == "/never":
            self.closed.wait()
            return
        self.asked[key] += 1
        self.send(500 if self.asked[key] <= FAILURES[key] else 200, b"content")

    def do_PUT(self) -> None:  # noqa: N802 - named by http.server
        """Take a bucket for made, and fail to write an object."""
        _, _, key = self.path.removeprefix("/").partition("/")
        self.asked[f"/{key}"] += 1
        self.send(500 if key else 200, b"")


@pytest.fixture
def asked() -> Counter[str]:
    """Count the requests that reach the endpoint."""
    return Counter()


@pytest.fixture
def s3(asked: Counter[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3]:
    """Open such an endpoint, with the proxy in front of it."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "any")
    with serve(FailingEndpoint, asked=asked) as url, open_s3(url, tmp_path, PATIENCE) as opened:
        yield opened


def ask(s3: S3, method: str, key: str) -> int:
    """Ask for something as a server does; gives the status, which is also in the ledger."""
    with urllib3.PoolManager(retries=False) as http:
        status = http.request(method, f"{s3.server_env['AWS_ENDPOINT_URL']}/{s3.bucket}{key}").status
    (entry,) = s3.ledger.entries()
    assert (entry.status, entry.fault) == (status, None)
    return status


@pytest.mark.parametrize(
    ("key", "status", "times"), [("/well", 200, 1), ("/for-a-moment", 200, 3), ("/for-good", 500, 4)]
)
def test_read_that_fails_is_tried_again(s3: S3, asked: Counter[str], key: str, status: int, times: int) -> None:
    """A server does not see that S3 fails to read for a moment, and is told when it fails for good."""
    assert ask(s3, "GET", key) == status
    assert asked[key] == times


def test_write_that_fails_is_not_tried_again(s3: S3, asked: Counter[str]) -> None:
    """What changes S3 reaches it once."""
    assert ask(s3, "PUT", "/written") == 500
    assert asked["/written"] == 1


def test_request_that_is_given_up_ends_there_and_then(s3: S3) -> None:
    """What a server no longer waits for is in the ledger at once as without an answer, whatever the endpoint does."""
    with urllib3.PoolManager(retries=False) as http, pytest.raises(urllib3.exceptions.ReadTimeoutError):
        http.request("GET", f"{s3.server_env['AWS_ENDPOINT_URL']}/{s3.bucket}/never", timeout=0.2)
    (entry,) = timing.poll(lambda: s3.ledger.entries() or None, until=timing.now() + PATIENCE) or ()
    assert (entry.key, entry.status, entry.fault) == ("never", 0, None)
