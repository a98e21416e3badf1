"""Calls from the serving processes to the keeper over a Unix socket in the run folder.

A serving process attaches with a connection that it holds for as long as it lives, so that its death is noticed at
once. Every other call uses any idle connection, so a long one does not hold up the others.
"""

import os
import threading
from collections import deque
from collections.abc import Callable, Mapping
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path
from typing import Any

from reference import log
from reference.errors import LinkError, UnavailableError

_SOCKET = "keeper.sock"


class LinkServer:
    """Answers calls by name. `left` is told the name of a process whose lifeline broke."""

    def __init__(
        self, folder: Path, key: bytes, calls: Mapping[str, Callable[..., Any]], left: Callable[[str], None]
    ) -> None:
        self._listener = Listener(str(folder / _SOCKET), "AF_UNIX", backlog=128, authkey=key)
        self._calls = calls
        self._left = left
        self._stopped = False

    def start(self) -> None:
        """Accept connections in the background for as long as this process lives."""
        threading.Thread(target=self._accept, name="link", daemon=True).start()

    def stop(self) -> None:
        """Accept no more."""
        self._stopped = True
        self._listener.close()

    def _accept(self) -> None:
        while not self._stopped:
            try:
                connection = self._listener.accept()
            except Exception as error:  # noqa: BLE001 - one caller that fails to sign in must not end the link
                if not self._stopped:
                    log.failure("link_refused", reason=str(error))
                continue
            threading.Thread(target=self._serve, args=(connection,), name="call", daemon=True).start()

    def _serve(self, connection: Connection) -> None:
        process: str | None = None
        try:
            while True:
                name, arguments = connection.recv()
                if name == "attach":
                    (process,) = arguments
                connection.send(self._answer(name, arguments))
        except (EOFError, OSError):
            if process is not None:
                self._left(process)

    def _answer(self, name: str, arguments: tuple[Any, ...]) -> tuple[bool, Any]:
        try:
            return True, self._calls[name](*arguments)
        except Exception as error:  # noqa: BLE001 - whatever it is belongs to the caller
            if type(error).__module__ != "reference.errors":
                log.failure("call_failed", call=name, exc_info=True)
                return False, UnavailableError(f"internal error: {type(error).__name__}")
            return False, type(error)(*error.args)


class Link:
    """The side of a serving process. Thread-safe."""

    def __init__(self, folder: Path, key: bytes) -> None:
        self._address = str(folder / _SOCKET)
        self._key = key
        self._idle: deque[Connection[Any, Any]] = deque()
        self._lifeline: Connection[Any, Any] | None = None
        self.process = str(os.getpid())

    def attach(self) -> None:
        """Become known to the keeper until this process ends."""
        self._lifeline = self._connect()
        self._exchange(self._lifeline, "attach", (self.process,))

    def call(self, name: str, *arguments: Any) -> Any:
        """Return the keeper's answer, or raise its error; LinkError if it does not answer."""
        try:
            try:
                connection = self._idle.pop()
            except IndexError:
                connection = self._connect()
            answer = self._exchange(connection, name, arguments)
        except (EOFError, OSError) as error:
            raise LinkError("the process that keeps the models does not answer") from error
        self._idle.append(connection)
        succeeded, value = answer
        if succeeded:
            return value
        raise value

    def _connect(self) -> "Connection[Any, Any]":
        return Client(self._address, "AF_UNIX", authkey=self._key)

    @staticmethod
    def _exchange(connection: "Connection[Any, Any]", name: str, arguments: tuple[Any, ...]) -> tuple[bool, Any]:
        connection.send((name, arguments))
        answer: tuple[bool, Any] = connection.recv()
        return answer
