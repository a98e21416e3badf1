"""Makes changed servers start fast: what they import is imported once, in a process that forks each of them.

Most of the time that a server takes to start goes into imports, in its parent and again in each process that serves.
The command that the suite starts is then `client.py`, which hands its environment and its output over to the server,
passes signals on, and ends as the server does. The server is no child of it, so that its memory cannot be seen there: a
change that is judged by memory is started directly.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.faults.configurations import ROOT

_CLIENT = Path(__file__).with_name("client.py")
_SOCKET = "SERVECHECK_PRELOADED"


@contextlib.contextmanager
def preloaded(*, tensorflow: bool) -> Iterator[tuple[tuple[str, ...], dict[str, str]]]:
    """Run such a process; gives the command that takes the place of the server's, and what its environment needs."""
    with tempfile.TemporaryDirectory(prefix="servecheck-preloaded-") as folder:
        address = str(Path(folder) / "socket")
        command = [sys.executable, "-m", "tests.faults.preloaded", address, *(["tensorflow"] if tensorflow else [])]
        # The metrics library asks for its folder when it is imported, and again in each process.
        environment = os.environ | {"PROMETHEUS_MULTIPROC_DIR": folder}
        # It ends when its standard input does, and so with this process, however that ends.
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, cwd=ROOT
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            try:
                if process.stdout.readline() != b"listening\n":
                    raise RuntimeError("the reference cannot be imported")
                yield (sys.executable, "-I", "-S", str(_CLIENT)), {_SOCKET: address}
            finally:
                process.stdin.close()
