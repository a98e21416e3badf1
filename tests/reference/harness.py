"""The running server and what it needs, for black-box tests."""

import contextlib
import ctypes
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from threading import Event
from typing import Any
from urllib.parse import urlencode

ROOT = Path(__file__).parents[2]

_LIBC = ctypes.CDLL(None)  # looked up here, because little is allowed between fork and exec
_PR_SET_PDEATHSIG = 1

ALLOWANCE = 30.0
"""Seconds that starting, loading and downloading may take on a busy machine, beside the intervals of the server."""


def leash() -> None:
    """Let a child process end with this one, however that ends; for Popen's `preexec_fn`."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def await_(check: Callable[[], Any], within: float) -> Any:
    """Return what `check` returns as soon as it raises no AssertionError; raise its last one after `within` seconds."""
    until = time.monotonic() + within
    while True:
        try:
            return check()
        except AssertionError:
            if time.monotonic() > until:
                raise
        Event().wait(0.02)


class Server:
    """One `python -m reference serve`; its stderr is kept in a file and read as events."""

    def __init__(
        self, project: Path, *options: str, env: Mapping[str, str] | None = None, intervals: float = 0.2
    ) -> None:
        self.port = free_port()
        self.store = project / "store"
        self.log = project / f"stderr-{self.port}.txt"
        self.deadline = 2 * intervals + ALLOWANCE
        command = [sys.executable, "-m", "reference", "serve", str(project), "--port", str(self.port)]
        command += ["--reload-interval", str(intervals), "--evict-interval", str(intervals)]
        command += ["--store", str(self.store), *options]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**os.environ, **(env or {})},
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=leash,  # noqa: PLW1509 - one system call, safe beside threads
            )

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes, dict[str, str]]:
        """Send one request on a connection of its own; return status, body and headers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=ALLOWANCE)
        try:
            connection.request(method, path, body, dict(headers or {}))
            answer = connection.getresponse()
            return answer.status, answer.read(), {name.lower(): value for name, value in answer.getheaders()}
        finally:
            connection.close()

    def predict(self, payload: Any = None, **query: str) -> tuple[int, Any]:
        """POST a JSON payload; return the status and the decoded answer."""
        body = json.dumps(payload).encode()
        status, answer, _ = self.request("POST", f"/?{urlencode(query)}", body, {"content-type": "application/json"})
        return status, json.loads(answer)

    def summary(self) -> dict[str, Any]:
        """Return what GET / says; asserts that the server is ready."""
        try:
            status, body, _ = self.request("GET", "/")
        except OSError as error:
            raise AssertionError(self.stderr()) from error
        assert status == 200, body
        answer: dict[str, Any] = json.loads(body)
        return answer

    def versions(self, model: str) -> list[str] | None:
        """Return the versions of a model in GET /, None if it is not there."""
        found = self.summary()["model_metadata"].get(model)
        return None if found is None else found["versions"]

    def ready(self) -> "Server":
        """Return when the server is ready; raises AssertionError at once if it ended."""

        def check() -> None:
            if self.process.poll() is not None:
                raise RuntimeError(f"ended with status {self.process.returncode}: {self.stderr()}")
            self.summary()

        await_(check, self.deadline)
        return self

    def reload(self) -> dict[str, Any]:
        """Make the server look again (with --control)."""
        status, body, _ = self.request("POST", "/-/reload")
        assert status == 200, body
        answer: dict[str, Any] = json.loads(body)
        return answer

    def evict(self) -> None:
        """Make an eviction run (with --control)."""
        status, body, _ = self.request("POST", "/-/evict")
        assert status == 200, body

    def stderr(self) -> str:
        """Return all that the server printed."""
        return self.log.read_text()

    def events(self, name: str, **fields: Any) -> list[dict[str, Any]]:
        """Return the logged events of this name with these fields, in order."""
        lines = [json.loads(line) for line in self.stderr().splitlines() if line.startswith("{")]
        return [line for line in lines if line["event"] == name and fields.items() <= line.items()]

    def stop(self) -> int:
        """Stop in the orderly way; return the exit status."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(ALLOWANCE)
        finally:
            self.kill()

    def kill(self) -> None:
        """Kill whatever is left of it."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@contextlib.contextmanager
def serving(project: Path, *options: str, **more: Any) -> Iterator[Server]:
    """Run a server on a project and wait until it is ready."""
    server = Server(project, *options, **more)
    try:
        yield server.ready()
    finally:
        server.stop()


def refused(project: Path, *options: str) -> tuple[int, str]:
    """Start a server that must refuse; return exit status and what it printed."""
    server = Server(project, *options)
    try:
        return server.process.wait(ALLOWANCE), server.stderr()
    finally:
        server.kill()


def write_project(folder: Path, kind: str, predictor: str, *lines: str) -> Path:
    """Write a project whose predictor section has these further lines of YAML."""
    folder.mkdir(parents=True, exist_ok=True)
    head = ["- name: test", "  kind: RealtimeAPI", "  predictor:", f"    type: {kind}", "    path: predictor.py"]
    (folder / "cortex.yaml").write_text("\n".join([*head, *(f"    {line}" for line in lines), ""]))
    (folder / "predictor.py").write_text(predictor)
    return folder
