"""moto's S3 server as a process of its own: `python -m conformance.s3.moto_server ANNOUNCEMENT`."""

import logging
import sys
import threading
from pathlib import Path

from moto.server import ThreadedMotoServer

from conformance.processes import announce


def main() -> None:
    """Serve on a free port of this machine until killed."""
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    announce(Path(sys.argv[1]), f"http://{host}:{port}")
    threading.Event().wait()


if __name__ == "__main__":
    main()
