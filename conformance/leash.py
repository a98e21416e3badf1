"""Run a command so that neither it nor anything that it started outlives the suite.

Run as a script: `python leash.py STATUS_FD COMMAND...`, in a session of its own, with standard input connected to
the process that holds the leash. It reports `started PID`, `missing REASON` or `exited STATUS` (negative: the signal)
on STATUS_FD, passes SIGTERM on to the command, and when standard input ends, because its holder let go or died, it
kills the whole process group, itself included. Needs nothing beyond the standard library, so that it starts fast.
"""

import os
import signal
import subprocess
import sys
import threading


def main() -> None:
    """Start the command, report what becomes of it and wait for the holder to let go."""
    status_fd = int(sys.argv[1])

    def report(line: str) -> None:
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
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main()
