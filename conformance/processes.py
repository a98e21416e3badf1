"""Processes on a leash: started in a group of their own, ended as a whole, never left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from conformance import timing
from conformance.problems import HarnessError

_LEASH = Path(__file__).with_name("leash.py")


class CommandMissingError(HarnessError):
    """The command cannot be run at all."""


class LeashedProcess:
    """A command with its standard output and error in one log file, or the latter in a file of its own.

    Ends with its whole process group when `kill` is called and also when this process dies, however it dies.
    Raises `CommandMissingError` when the command cannot be run.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        log: Path,
        errors: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.command = list(command)
        self._errors = errors or log
        # Each file once.
        self._files = list(dict.fromkeys([log, self._errors]))
        self._status: int | None = None
        reports, status_fd = os.pipe()
        with log.open("ab") as output, self._errors.open("ab") as error_output:
            self._leash = subprocess.Popen(
                [sys.executable, "-I", str(_LEASH), str(status_fd), *command],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=error_output,
                env=None if env is None else dict(env),
                pass_fds=[status_fd],
                start_new_session=True,
            )
        os.close(status_fd)
        self._reports = os.fdopen(reports, "rb", buffering=0)
        verb, _, detail = self._reports.readline().decode().strip().partition(" ")
        if verb != "started":
            self.kill()
            raise CommandMissingError(detail or f"the command did not start: {command[0]}")
        self.pid = int(detail)
        os.set_blocking(self._reports.fileno(), False)

    @property
    def status(self) -> int | None:
        """The exit status of the command, negative for the signal that ended it; None while it runs."""
        if self._status is None and not self._reports.closed:
            try:
                # A report is one short write to a pipe, so it arrives whole or not at all.
                report = os.read(self._reports.fileno(), 64)
            except BlockingIOError:
                return None
            self._status = int(report.decode().partition(" ")[2] or -signal.SIGKILL)
        return self._status

    def terminate(self, patience: float) -> int | None:
        """Send SIGTERM and wait up to `patience` seconds; gives the exit status, or None if the command still runs."""
        if self.status is None:
            self._leash.send_signal(signal.SIGTERM)
        return timing.poll(lambda: self.status, until=timing.now() + patience)

    def kill(self) -> None:
        """End the command and everything in its group at once; harmless when it has ended."""
        assert self._leash.stdin is not None
        self._leash.stdin.close()
        self._leash.wait()
        self._reports.close()

    def last_log_lines(self, count: int | None = 15) -> list[str]:
        """Give the end of what the command printed, of each file so many lines, or with None all of it."""
        return [line for file in self._files for line in _lines(file)[-count if count is not None else None :]]

    def error_lines(self) -> list[str]:
        """Give what the command printed as errors, or all that it printed if these have no file of their own."""
        return _lines(self._errors)


def _lines(file: Path) -> list[str]:
    """Read lines that may be shown on a terminal, whatever was printed."""
    return [
        "".join(letter if letter.isprintable() or letter == "\t" else ascii(letter)[1:-1] for letter in line)
        for line in file.read_text(encoding="utf-8", errors="replace").splitlines()
    ]


def describe_exit(status: int) -> str:
    """Say in words how a command ended."""
    if status < 0:
        return f"was ended by {signal.Signals(-status).name}"
    return f"exited with status {status}"


def start_announced(module: str, *arguments: str, folder: Path, patience: float) -> tuple[LeashedProcess, str]:
    """Start a server module of the suite and wait until it announces where it listens; gives the process and its URL.

    Raises `HarnessError` with the last lines of its log when it ends or says nothing within `patience` seconds.
    """
    announcement = folder / "url"
    process = LeashedProcess(
        [sys.executable, "-m", module, str(announcement), *arguments],
        log=folder / "log",
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent)},
    )

    def announced() -> str | None:
        if process.status is not None:
            return ""
        return announcement.read_text(encoding="utf-8") if announcement.exists() else None

    url = timing.poll(announced, until=timing.now() + patience)
    if not url:
        tail = "\n".join(process.last_log_lines())
        process.kill()
        raise HarnessError(f"{module} did not come up within {patience:g} s:\n{tail}")
    return process, url


def announce(file: Path, url: str) -> None:
    """Tell the process that called `start_announced` where this one listens."""
    whole = file.with_suffix(".part")
    whole.write_text(url, encoding="utf-8")
    whole.replace(file)
