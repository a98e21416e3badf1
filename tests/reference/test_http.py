"""HTTP behaviour of the running server."""

import json
import os
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.reference.harness import ALLOWANCE, Server, await_, serving, write_project

PREDICTOR = """
import threading
import numpy as np

class Answer:
    status_code = 201
    headers = {"x-own": "yes"}
    body = b"own"

class PythonPredictor:
    def __init__(self, config):
        pass

    def predict(self, payload, query_params, headers):
        kind = query_params.get("kind")
        if kind == "echo":
            shown = len(payload) if isinstance(payload, bytes) else payload
            return {"type": type(payload).__name__, "payload": shown}
        if kind == "hold":
            threading.Event().wait(float(query_params["seconds"]))
            return "held"
        results = {
            "bytes": b"raw", "str": "text", "response": Answer(), "headers": headers,
            "array": {"a": np.arange(3), "b": np.float32(0.5), 1: None}, "unserialisable": object(),
        }
        if kind == "raise":
            raise ValueError("secret detail")
        return results[kind]
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Run a python predictor without models."""
    project = write_project(tmp_path_factory.mktemp("http"), "python", PREDICTOR)
    with serving(project, "--body-limit", "1000", "--request-timeout", "0.5") as running:
        yield running


@pytest.mark.parametrize(
    ("content_type", "body", "expected"),
    [
        ("application/json", b'{"a": [1]}', {"type": "dict", "payload": {"a": [1]}}),
        ("application/json; charset=utf-8", b"[1]", {"type": "list", "payload": [1]}),
        ("application/vnd.api+json", b"null", {"type": "NoneType", "payload": None}),
        ("application/x-www-form-urlencoded", b"a=1&b=", {"type": "dict", "payload": {"a": "1", "b": ""}}),
        ("text/plain", "grün".encode(), {"type": "str", "payload": "grün"}),
        ("text/plain; charset=latin-1", "grün".encode("latin-1"), {"type": "str", "payload": "grün"}),
        ("application/octet-stream", b"\x00\xff", {"type": "bytes", "payload": 2}),
        ("", b"abc", {"type": "bytes", "payload": 3}),
        (
            "multipart/form-data; boundary=XX",
            b'--XX\r\nContent-Disposition: form-data; name="a"\r\n\r\nx\r\n--XX--\r\n',
            {"type": "dict", "payload": {"a": "x"}},
        ),
    ],
)
def test_payload_by_content_type(server: Server, content_type: str, body: bytes, expected: object) -> None:
    """JSON becomes an object, a form a dictionary, text a string and anything else bytes."""
    status, answer, _ = server.request(
        "POST", "/?kind=echo", body, {"content-type": content_type} if content_type else {}
    )
    assert (status, json.loads(answer)) == (200, expected)


@pytest.mark.parametrize(
    ("kind", "status", "content_type", "body"),
    [
        ("bytes", 200, "application/octet-stream", b"raw"),
        ("str", 200, "text/plain; charset=utf-8", b"text"),
        ("array", 200, "application/json", b'{"a":[0,1,2],"b":0.5,"1":null}'),
        ("response", 201, None, b"own"),
        ("raise", 500, "application/json", b'{"error":"the predictor failed; the log of the server says why"}'),
        (
            "unserialisable",
            500,
            "application/json",
            b'{"error":"the predictor failed; the log of the server says why"}',
        ),
    ],
)
def test_result(server: Server, kind: str, status: int, content_type: str | None, body: bytes) -> None:
    """bytes, str and responses are sent as they are, all else as JSON; what fails is a 500 without internals."""
    answered, content, headers = server.request("POST", f"/?kind={kind}", b"")
    assert (answered, content) == (status, body)
    assert headers.get("content-type") == content_type
    if kind == "response":
        assert headers["x-own"] == "yes"


@pytest.mark.parametrize(
    ("method", "path", "sent", "status"),
    [
        ("POST", "/?kind=echo", ({"content-type": "application/json"}, b"{"), 400),
        ("POST", "/?kind=echo", ({"content-type": "text/plain; charset=nope"}, b"x"), 400),
        ("POST", "/?kind=echo", ({"content-type": "multipart/form-data"}, b"x"), 400),
        ("POST", "/?kind=echo", ({}, b"x" * 1001), 413),
        ("POST", "/?kind=echo", ({"transfer-encoding": "chunked"}, b"3e9\r\n" + b"x" * 1001 + b"\r\n0\r\n\r\n"), 413),
        ("GET", "/nowhere", ({}, None), 404),
        ("PUT", "/", ({}, b""), 405),
        ("POST", "/-/reload", ({}, b""), 404),
        ("POST", "/-/evict", ({}, b""), 404),
    ],
)
def test_refused_requests(
    server: Server, method: str, path: str, sent: tuple[dict[str, str], bytes | None], status: int
) -> None:
    """What cannot be answered is refused as JSON with an error; control is off unless it is asked for."""
    headers, body = sent
    answered, answer, _ = server.request(method, path, body, headers)
    assert answered == status
    assert list(json.loads(answer)) == ["error"]


def test_headers_are_those_of_the_request(server: Server) -> None:
    """The predictor sees the headers by lower-case name, and nothing of the server's environment."""
    _, answer, _ = server.request("POST", "/?kind=headers", b"", {"X-Thing": "1"})
    headers = json.loads(answer)
    assert headers["x-thing"] == "1"
    assert "path" not in headers


def test_probes_while_predicting(server: Server) -> None:
    """A long prediction keeps neither GET /healthz from being answered nor makes the next wait for ever."""
    holder = threading.Thread(target=lambda: server.request("POST", "/?kind=hold&seconds=2", b""))
    holder.start()

    def busy() -> None:
        status, answer, headers = server.request("POST", "/?kind=str", b"")
        assert status == 503
        assert headers["retry-after"]
        assert b"busy" in answer

    await_(busy, server.deadline)
    assert server.request("GET", "/healthz")[:2] == (200, b'{"status":"alive"}')
    holder.join()
    assert server.request("POST", "/?kind=str", b"")[0] == 200


def test_metrics(server: Server) -> None:
    """GET /metrics is in the Prometheus text format and counts predictions by status."""
    server.request("POST", "/?kind=str", b"")
    status, body, headers = server.request("GET", "/metrics")
    assert status == 200
    assert headers["content-type"].startswith("text/plain")
    assert b'reference_requests_total{status="200"}' in body


def test_sigterm_drains(tmp_path: Path) -> None:
    """SIGTERM lets requests in progress end, leaves no process and no folder behind, and exits with 0."""
    project = write_project(tmp_path, "python", PREDICTOR)
    with serving(project) as server:
        answers: list[bytes] = []
        request = threading.Thread(
            target=lambda: answers.append(server.request("POST", "/?kind=hold&seconds=1", b"")[1])
        )
        request.start()
        await_(lambda: _require(_connections(server) > 0), server.deadline)
        family = psutil.Process(server.process.pid).children(recursive=True)
        server.process.terminate()
        request.join()
        assert answers == [b"held"]
        assert server.process.wait(ALLOWANCE) == 0
        assert not psutil.wait_procs(family, ALLOWANCE)[1]
        assert list(server.store.glob("run-*")) == []


def test_killed_parent_takes_all_with_it(tmp_path: Path) -> None:
    """When the main process is killed, no process that it started lives on."""
    project = write_project(tmp_path, "python", PREDICTOR, "processes_per_replica: 2")
    with serving(project) as server:
        family = psutil.Process(server.process.pid).children(recursive=True)
        assert len(family) >= 2
        os.kill(server.process.pid, signal.SIGKILL)
        assert not psutil.wait_procs(family, ALLOWANCE)[1]


def test_slow_body_holds_up_nobody(server: Server) -> None:
    """A request whose body does not come leaves the server answering others."""
    with socket.create_connection(("127.0.0.1", server.port)) as slow:
        slow.sendall(b"POST /?kind=str HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc")
        assert server.request("POST", "/?kind=str", b"")[0] == 200


def _connections(server: Server) -> int:
    processes = [psutil.Process(server.process.pid), *psutil.Process(server.process.pid).children(recursive=True)]
    return sum(
        connection.status == psutil.CONN_ESTABLISHED and connection.laddr.port == server.port
        for process in processes
        for connection in process.net_connections("tcp")
    )


def _require(condition: bool) -> None:
    assert condition
