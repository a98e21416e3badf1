"""Each fault turns its own clauses red, and no other."""

import os
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from conformance.catalogue import Level, load_catalogue
from tests.conformance.suite_runs import ROOT, SuiteRun, run_suite
from tests.faults.changes import FAULTS

# Runs of the suite at a time: each mostly waits for its deadlines.
_SIDE_BY_SIDE = 3

# A run of the suite takes one to three minutes; those of every fault are for `nox -s faults`.
FEW = ("latest-by-string", "several-onnx-files", "prefix-without-slash", "dies-on-stray-file")
CHOSEN = tuple(FAULTS) if "SERVECHECK_ALL_FAULTS" in os.environ else FEW

CATALOGUE = load_catalogue()
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


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Future[SuiteRun]]:
    """Run the suite against all faulty servers side by side, as it mostly waits."""

    def judge(name: str) -> SuiteRun:
        folder = tmp_path_factory.mktemp(name)
        return run_suite(faulty(folder, name), folder / "report", "-k", FAULTS[name].chosen)

    with ThreadPoolExecutor(max_workers=_SIDE_BY_SIDE) as pool:
        return {name: pool.submit(judge, name) for name in CHOSEN}


@pytest.mark.parametrize("name", CHOSEN)
def test_fault_turns_exactly_its_clauses_red(runs: dict[str, Future[SuiteRun]], name: str) -> None:
    """The suite accuses a faulty server of what is wrong with it and of nothing else."""
    run = runs[name].result()
    assert run.failed() == FAULTS[name].clauses, run.output
    assert run.results is not None
    assert not run.results["run"]["errors"], run.output
    assert "error" not in run.outcomes().values(), run.output
    # Only some of the tests are run, so that a fault in nothing but SHOULD clauses leaves the verdict partial.
    binding = any(CATALOGUE[clause].level is Level.MUST for clause in FAULTS[name].clauses)
    assert run.results["verdict"] == ("not conformant" if binding else "partial")
