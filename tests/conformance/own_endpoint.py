"""HTTP endpoints of the tests, served in this process."""

import contextlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@contextlib.contextmanager
def serve(handler: type[BaseHTTPRequestHandler], **attributes: object) -> Iterator[str]:
    """Answer requests by a handler with these attributes, and with an event `closed`, set at the end; gives the URL."""
    closed = threading.Event()
    with ThreadingHTTPServer(("127.0.0.1", 0), type("Served", (handler,), attributes | {"closed": closed})) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            closed.set()
            server.shutdown()
            thread.join()
