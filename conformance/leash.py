"""Run a command so that neither it nor anything that it started outlives the suite.

Run as a script: `python leash.py STATUS_FD COMMAND...`, in a session of its own, with standard input connected to
the process that holds the leash. It reports `started PID`, `missing REASON` or `exited STATUS` (negative: the signal)
on STATUS_FD, passes SIGTERM on to the command, and when standard input ends, because its holder let go or died, it
kills the command and all that came of it, also in sessions of their own, and at last its process group, itself
included. Needs nothing beyond the standard library, so that it starts fast.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans() -> None:
    """Become the parent of every process whose own has ended, and that descends from this one; on Linux only."""
    if (prctl := getattr(ctypes.CDLL(None), "prctl", None)) is not None:
        prctl(_PR_SET_CHILD_SUBREAPER, 1)


def children() -> list[int]:
    """Give the processes whose parent is this one; on Linux only."""
    found: list[int] = []
    for thread in Path("/proc/self/task").glob("*/children"):
        with contextlib.suppress(OSError):  # the thread has ended
            found += map(int, thread.read_text().split())
    return found


def kill_descendants() -> None:
    """Kill the children of this process, then what these leave to it, until there are none."""
    while pids := children():
        for pid in pids:
            with contextlib.suppress(ProcessLookupError, ChildProcessError):  # another thread waits for the command
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)


def main() -> None:
    """Start the command, report what becomes of it and wait for the holder to let go."""
    status_fd = int(sys.argv[1])
    adopt_orphans()

    def report(line: str) -> None:
        with contextlib.suppress(BrokenPipeError):  # the holder has gone
            os.write(status_fd, line.encode(errors="replace") + b"\n")

    try:
        child = subprocess.Popen(sys.argv[2:], stdin=subprocess.DEVNULL)
    except OSError as error:
        report(f"missing {error.strerror}: {sys.argv[2]}")
    else:
        # Only the command is told to end; an orchestrator would not signal its workers either.
        signal.signal(signal.SIGTERM, lambda *_: child.send_signal(signal.SIGTERM))
        report(f"started {child.pid}")
        threading.Thread(target=lambda: report(f"exited {child.wait()}"), daemon=True).start()
    while os.read(sys.stdin.fileno(), 1):
        pass
    kill_descendants()
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main()
