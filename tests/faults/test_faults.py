"""Each fault turns its own clauses red, and no other."""

import sys
from pathlib import Path

import pytest

from tests.conformance.suite_runs import ROOT, run_suite
from tests.faults.changes import FAULTS

REFERENCE = ROOT / "conformance" / "implementations" / "reference.toml"


def faulty(folder: Path, name: str) -> Path:
    """Write the implementation file of the reference with a fault."""
    text = REFERENCE.read_text(encoding="utf-8")
    command = '"python", "-m", "reference", "serve"'
    assert command in text
    file = folder / f"{name}.toml"
    file.write_text(
        text.replace(command, f'"{sys.executable}", "-m", "tests.faults.server", "{name}", "serve"'), encoding="utf-8"
    )
    return file


@pytest.mark.parametrize("name", FAULTS)
def test_fault_turns_exactly_its_clauses_red(name: str, tmp_path: Path) -> None:
    """The suite accuses a faulty server of what is wrong with it and of nothing else."""
    run = run_suite(faulty(tmp_path, name), tmp_path / "report")
    assert run.failed() == FAULTS[name].clauses, run.output
    assert run.status == 1
    assert run.results is not None
    assert run.results["verdict"] == "not conformant"
