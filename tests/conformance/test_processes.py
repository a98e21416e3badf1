"""Processes on a leash: nothing of them outlives whoever holds it."""

import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from conformance import timing
from conformance.processes import CommandMissingError, LeashedProcess, describe_exit
from tests.conformance.suite_runs import ROOT

PATIENCE = 30.0

# Starts a process of its own, in another group if "leaving", says its pid, and waits for ever; ignores SIGTERM if
# "stubborn".
FAMILY = """
import signal, subprocess, sys, threading
if "stubborn" in sys.argv: signal.signal(signal.SIGTERM, signal.SIG_IGN)
wait = [sys.executable, "-c", "import threading; threading.Event().wait()"]
child = subprocess.Popen(wait, start_new_session="leaving" in sys.argv)
print(child.pid, flush=True)
threading.Event().wait()
"""


def start(folder: Path, *arguments: str) -> tuple[LeashedProcess, int]:
    """Start a family of two processes; gives it, and the pid of the younger one."""
    process = LeashedProcess([sys.executable, "-c", FAMILY, *arguments], log=folder / "log")
    lines = timing.poll(lambda: process.last_log_lines() or None, until=timing.now() + PATIENCE)
    assert lines
    return process, int(lines[0])


def is_gone(pid: int) -> bool:
    """Wait until a process has ended."""

    def gone() -> bool | None:
        try:
            return True if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE else None
        except psutil.NoSuchProcess:
            return True

    return bool(timing.poll(gone, until=timing.now() + PATIENCE))


def test_kill_ends_the_whole_family(tmp_path: Path) -> None:
    """Letting go of the leash ends the command and what it started."""
    process, child = start(tmp_path)
    assert process.status is None
    process.kill()
    assert is_gone(process.pid)
    assert is_gone(child)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a process adopt what descends from it")
@pytest.mark.parametrize("ended", [False, True])
def test_kill_ends_what_has_left_the_group(tmp_path: Path, *, ended: bool) -> None:
    """What the command started in a session of its own ends too, also when the command has ended before."""
    process, child = start(tmp_path, "leaving")
    if ended:
        assert process.terminate(PATIENCE) == -signal.SIGTERM
    assert psutil.pid_exists(child)
    process.kill()
    assert is_gone(child)


def test_terminate_reaches_the_command_alone(tmp_path: Path) -> None:
    """SIGTERM goes to the command, whose exit status is told; its child goes when the leash is let go."""
    process, child = start(tmp_path)
    assert process.terminate(PATIENCE) == -signal.SIGTERM
    assert psutil.pid_exists(child)
    process.kill()
    assert is_gone(child)


def test_command_that_ignores_sigterm_is_reported(tmp_path: Path) -> None:
    """A command that goes on after SIGTERM has no exit status, and kill ends it all the same."""
    process, child = start(tmp_path, "stubborn")
    assert process.terminate(patience=0.5) is None
    process.kill()
    assert is_gone(process.pid)
    assert is_gone(child)


def test_family_does_not_outlive_a_killed_holder(tmp_path: Path) -> None:
    """When the process that holds the leash is killed, the command and what it started end too."""
    holder_source = (
        "import sys, threading; from pathlib import Path; from conformance.processes import LeashedProcess\n"
        f"process = LeashedProcess([sys.executable, '-c', {FAMILY!r}], log=Path({str(tmp_path / 'log')!r}))\n"
        "print(process.pid, flush=True); threading.Event().wait()"
    )
    with subprocess.Popen([sys.executable, "-c", holder_source], stdout=subprocess.PIPE, cwd=ROOT, text=True) as holder:
        assert holder.stdout is not None
        pid = int(holder.stdout.readline())
        log = tmp_path / "log"
        assert timing.poll(lambda: log.read_text() or None, until=timing.now() + PATIENCE)
        holder.kill()
        holder.wait()
    assert is_gone(pid)
    assert is_gone(int(log.read_text()))


def test_missing_command_is_an_error(tmp_path: Path) -> None:
    """A command that cannot be run is named."""
    with pytest.raises(CommandMissingError, match="No such file or directory: no-such-command"):
        LeashedProcess(["no-such-command"], log=tmp_path / "log")


@pytest.mark.parametrize(("status", "words"), [(3, "exited with status 3"), (-9, "was ended by SIGKILL")])
def test_exit_is_described(status: int, words: str) -> None:
    """An exit status is told as such, a signal by its name."""
    assert describe_exit(status) == words


def test_errors_may_have_a_file_of_their_own(tmp_path: Path) -> None:
    """What a command says on stderr can be told from the rest, and the end of both is given together."""
    says = "import sys; print('one'); print('two'); print('three', file=sys.stderr)"
    log, errors = tmp_path / "log", tmp_path / "errors"
    process = LeashedProcess([sys.executable, "-c", says], log=log, errors=errors)
    assert timing.poll(lambda: process.status, until=timing.now() + PATIENCE) == 0
    assert process.last_log_lines(1) == ["two", "three"]
    assert process.last_log_lines(None) == ["one", "two", "three"]
    assert process.error_lines() == ["three"]
    process.kill()


def test_exit_status_is_reported(tmp_path: Path) -> None:
    """The status of a command that ends by itself is told."""
    process = LeashedProcess([sys.executable, "-c", "raise SystemExit(5)"], log=tmp_path / "log")
    assert timing.poll(lambda: process.status, until=timing.now() + PATIENCE) == 5
    process.kill()
