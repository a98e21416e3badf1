"""A process that has imported the reference once, and forks a changed server for each that is asked of it.

Run by `preloading.py`. The servers are forked before any thread runs here, and fork the processes that serve before any
thread runs in them.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import multiprocessing
import os
import selectors
import signal
import socket
import sys
import tempfile
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import boto3
from granian.server import Server

import reference.frameworks.onnx
import reference.s3
import reference.serve
import reference.server  # noqa: F401 - with these all is there that a server imports later
from reference.__main__ import main as serve
from reference.keeper import Keeper
from reference.link import LinkServer
from reference.process import die_with_parent
from tests.faults.registry import changes, find

_MOST_BYTES = 1 << 20


@dataclass(frozen=True)
class _Server:
    pid: int
    client: socket.socket


class _Loop:
    """Forks servers, and passes on to each what its client says and to the client how it ended."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._selector = selectors.DefaultSelector()
        self._selector.register(listener, selectors.EVENT_READ, self._accept)
        self._selector.register(sys.stdin.fileno(), selectors.EVENT_READ, self._end)
        self._servers: dict[int, _Server] = {}
        self._ended = False

    def run(self) -> None:
        """Serve until standard input ends; then no server is left."""
        while not self._ended:
            for key, _ in self._selector.select():
                key.data()
        for server in self._servers.values():
            _kill(server.pid)

    def _end(self) -> None:
        self._ended = not os.read(sys.stdin.fileno(), 1)

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        message, outputs, _, _ = socket.recv_fds(client, _MOST_BYTES, 2)
        while message and message[-1:] != b"\n":
            message += client.recv(_MOST_BYTES)
        if not message:
            return
        request = json.loads(message)
        parent = os.getpid()
        pid = os.fork()
        if not pid:
            # Everything of this loop but the output of the client stays here.
            self._selector.close()
            self._listener.close()
            for server in self._servers.values():
                server.client.close()
            client.close()
            _become_server(parent, request, outputs)
        for output in outputs:
            os.close(output)
        server = _Server(pid, client)
        ending = os.pidfd_open(pid)
        self._servers[pid] = server
        self._selector.register(client, selectors.EVENT_READ, lambda: self._hear(server))
        self._selector.register(ending, selectors.EVENT_READ, lambda: self._bury(server, ending))

    def _hear(self, server: _Server) -> None:
        if server.client.fileno() < 0:  # closed since it was heard
            return
        with contextlib.suppress(ConnectionResetError):
            if server.client.recv(1):
                os.kill(server.pid, signal.SIGTERM)
                return
        self._selector.unregister(server.client)
        server.client.close()
        _kill(server.pid)

    def _bury(self, server: _Server, ending: int) -> None:
        _, status = os.waitpid(server.pid, 0)
        self._selector.unregister(ending)
        os.close(ending)
        del self._servers[server.pid]
        _kill(server.pid)
        with contextlib.suppress(OSError):
            server.client.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
            self._selector.unregister(server.client)
            server.client.close()


def _kill(group: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def _become_server(parent: int, request: dict[str, Any], outputs: list[int]) -> None:
    """Go on as the server that a client asks for; does not return."""
    status = 1
    try:
        os.setsid()
        die_with_parent(parent)
        for descriptor, output in zip((1, 2), outputs, strict=True):
            os.dup2(output, descriptor)
            os.close(output)
        os.environ.clear()
        os.environ.update(request["environment"])
        tempfile.tempdir = None
        os.chdir(request["folder"])
        name, *sys.argv[1:] = request["arguments"]
        status = _serve(name)
    except BaseException:  # noqa: BLE001 - nothing may get back into the loop
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _serve(name: str) -> int:
    _fork_serving_processes()
    find(name).apply()
    try:
        return serve()
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        return end.code if isinstance(end.code, int) else int(bool(end.code))


def _fork_serving_processes() -> None:
    """Let the server fork its serving processes, before any thread of it runs: a fork has none but its own."""
    held_back: list[Callable[[], None]] = []
    fork = Server._spawn_workers

    def hold_back(start: Callable[[Any], None]) -> Callable[[Any], None]:
        return lambda self: held_back.append(lambda: start(self))

    def fork_then_start(self: Server, *arguments: Any) -> None:
        fork(self, *arguments)
        for start in held_back:
            start()

    for kind in (LinkServer, Keeper):
        kind.start = hold_back(kind.start)
    Server._spawn_workers = fork_then_start
    multiprocessing.set_start_method("fork", force=True)
    multiprocessing.set_start_method = lambda *_, **__: None


def main() -> None:
    """Import everything, and listen."""
    address, *frameworks = sys.argv[1:]
    for name in frameworks:
        importlib.import_module(f"reference.frameworks.{name}")
    changes()
    # A client of the session that servers use too: what describes S3 to it is read once. It is never used.
    boto3.client("s3", "us-east-1", aws_access_key_id="none", aws_secret_access_key="none")  # noqa: S106 - no secret
    gc.collect()
    gc.freeze()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address)
    listener.listen(128)
    print("listening", flush=True)
    _Loop(listener).run()


if __name__ == "__main__":
    main()
