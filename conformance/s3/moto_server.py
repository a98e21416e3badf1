"""moto's S3 server as a process of its own: `python -m conformance.s3.moto_server ANNOUNCEMENT`."""

import logging
import sys
from pathlib import Path

from moto.moto_server.werkzeug_app import MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

from conformance.processes import announce


def main() -> None:
    """Serve on a free port of this machine until killed."""
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    # S3 and nothing else: to find the service that a request is for takes as long as to answer it.
    app = create_backend_app("s3")
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=MotoRequestHandler)
    announce(Path(sys.argv[1]), f"http://{server.host}:{server.port}")
    server.serve_forever()


if __name__ == "__main__":
    main()
