"""An S3 endpoint that takes longer than a server waits for it: not the server's fault."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import urllib3

from conformance.s3.moto import run_moto
from tests.conformance.json_handler import JsonHandler
from tests.conformance.own_endpoint import serve
from tests.conformance.suite_runs import REFERENCE, run_suite

PATIENCE = 60.0
# Seconds; the reference waits for S3 for 5 of them at intervals that are no longer.
TOO_LONG = 6.0


class SlowEndpoint(JsonHandler):
    """Passes each request on, and takes too long when it has to tell a server of a change."""

    upstream: str
    pool: urllib3.PoolManager
    listings: dict[str, bytes]
    closed: threading.Event

    def do_GET(self) -> None:  # noqa: N802 - named by http.server
        """Ask upstream, and answer the same when it is time to."""
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        answer = self.pool.request(
            self.command, self.upstream + self.path, body=body, headers=dict(self.headers), decode_content=False
        )
        is_for_a_server = "list-type=2" in self.path and "servecheck" not in self.headers["User-Agent"]
        if is_for_a_server and self.listings.setdefault(self.path, answer.data) != answer.data:
            self.closed.wait(TOO_LONG)
        with contextlib.suppress(ConnectionError):  # of who waits no longer
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer.data)

    do_HEAD = do_PUT = do_POST = do_DELETE = do_GET  # noqa: N815 - named by http.server


@pytest.fixture
def endpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Open such an endpoint in front of moto; gives its URL."""
    with run_moto(tmp_path / "moto", PATIENCE) as moto, urllib3.PoolManager(maxsize=32, retries=False) as pool:
        for name, value in moto.credentials.items():
            monkeypatch.setenv(name, value)
        with serve(SlowEndpoint, upstream=moto.url, pool=pool, listings={}) as url:
            yield url


def test_server_is_not_accused_of_what_it_waited_for_in_vain(endpoint: str, tmp_path: Path) -> None:
    """A change that a server misses as S3 was slower than it waits is an error, and shows what it waited for."""
    chosen = "conformance/reload/test_events.py::test_higher_version_becomes_the_latest[python-s3]"
    run = run_suite(REFERENCE, tmp_path / "report", "--s3", endpoint, tests=[chosen])
    assert run.failed() == set(), run.output
    assert "not held against the server, as S3 failed by itself" in run.output
    assert "-> no answer" in run.output
