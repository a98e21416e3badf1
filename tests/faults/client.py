"""What the suite starts instead of a changed server: `client.py CHANGE serve PROJECT ...`; see preloaded.py.

Needs nothing beyond the standard library, so that it starts fast.
"""

import json
import os
import signal
import socket
import sys


def main() -> None:
    """Ask for the server, pass SIGTERM on, and end as it ends."""
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(os.environ.pop("SERVECHECK_PRELOADED"))
    request = {"arguments": sys.argv[1:], "environment": dict(os.environ), "folder": os.getcwd()}  # noqa: PTH109
    message = json.dumps(request).encode() + b"\n"
    sent = socket.send_fds(connection, [message], [1, 2])
    connection.sendall(message[sent:])
    signal.signal(signal.SIGTERM, lambda *_: connection.send(b"T"))
    status = int(connection.makefile().readline() or -signal.SIGKILL)
    if status < 0:
        signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    sys.exit(status)


if __name__ == "__main__":
    main()
