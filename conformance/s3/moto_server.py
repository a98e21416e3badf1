"""moto's S3 server as a process of its own: `python -m conformance.s3.moto_server ANNOUNCEMENT`."""

import logging
import sys
from pathlib import Path

from moto.moto_server.werkzeug_app import MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

from conformance.processes import announce


class _KeepAlive(MotoRequestHandler):
    # Without it, each request costs a connection and a thread.
    protocol_version = "HTTP/1.1"


def main() -> None:
    """Serve on a free port of this machine until killed."""
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    # S3 and nothing else: to find the service that each request is for takes as long as to answer it.
    server = make_server("127.0.0.1", 0, create_backend_app("s3"), threaded=True, request_handler=_KeepAlive)
    announce(Path(sys.argv[1]), f"http://{server.host}:{server.port}")
    server.serve_forever()


if __name__ == "__main__":
    main()
