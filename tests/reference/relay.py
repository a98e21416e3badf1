"""A relay in front of an endpoint that can be cut: what an outage looks like to the server."""

import contextlib
import socket
import threading
from collections.abc import Iterator


class Relay:
    """Forwards connections to a port of this machine, unless it is cut."""

    def __init__(self, port: int) -> None:
        self._upstream = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._cut = threading.Event()
        self._open: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    @contextlib.contextmanager
    def outage(self) -> Iterator[None]:
        """Close every connection, and each new one at once, until the block ends."""
        self._cut.set()
        for connection in list(self._open):
            self._close(connection)
        try:
            yield
        finally:
            self._cut.clear()

    def close(self) -> None:
        """Stop for good."""
        self._cut.set()
        self._listener.close()
        for connection in list(self._open):
            self._close(connection)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if self._cut.is_set():
                    client.close()
                    continue
                server = socket.create_connection(("127.0.0.1", self._upstream))
                self._open |= {client, server}
                for source, target in ((client, server), (server, client)):
                    threading.Thread(target=self._pump, args=(source, target), daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                target.sendall(data)
        for connection in (source, target):
            self._close(connection)

    def _close(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
        connection.close()
        self._open.discard(connection)
