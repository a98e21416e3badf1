"""A correct server that follows changes by replacing its processes is not accused."""

import sys
from pathlib import Path

from tests.conformance.suite_runs import run_suite, write_implementation


def test_server_may_replace_its_processes(tmp_path: Path) -> None:
    """New processes have other numbers, and objects that end with the old ones leave no line in a journal."""
    command = [sys.executable, "-m", "tests.conformance.replacing_server", "{project}", "{port}"]
    implementation = write_implementation(tmp_path, command, features=("multi-model", "reload", "processes"))
    files = ("conformance/reload/test_processes.py", "conformance/clients/test_release.py")
    run = run_suite(implementation, tmp_path / "report", tests=files)
    outcomes = run.outcomes()
    assert (outcomes["reload.processes"], outcomes["clients.python.released"]) == ("pass", "pass"), run.output
