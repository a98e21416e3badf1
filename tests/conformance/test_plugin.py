"""The plugin: what it asks of tests, and what it writes about a run."""

import shutil
import textwrap
from pathlib import Path

import jsonschema
import pytest
import yaml

from conformance.results import results_schema
from tests.conformance.suite_runs import REFERENCE, run_suite, stub


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("def test_nothing(): pass", "the test judges no clause; mark it with @clause(...)"),
        (
            "from conformance.marks import clause\n\n@clause('layouts.unheard-of')\ndef test_nothing(): pass",
            "'layouts.unheard-of' is no clause of the catalogue",
        ),
    ],
)
def test_every_test_judges_a_clause_of_the_catalogue(source: str, words: str, tmp_path: Path) -> None:
    """A test without a clause, or with one that does not exist, fails the collection by its name."""
    file = tmp_path / "test_of_nothing.py"
    file.write_text(source, encoding="utf-8")
    run = run_suite(stub(tmp_path, "minimal"), tmp_path / "report", tests=[str(file)])
    assert run.status == 3
    assert "test_of_nothing.py::test_nothing: " in run.output
    assert words in run.output
    assert "Traceback" not in run.output


def test_results_satisfy_their_schema(tmp_path: Path) -> None:
    """Whatever became of a run, its results.json is valid, and names the failed clause with its evidence."""
    names = ("layouts.source-local", "layouts.source-s3", "layouts.unversioned")
    chosen = [word for name in names for word in ("--clause", name)] + ["--patience", "0.2"]
    run = run_suite(stub(tmp_path, "minimal"), tmp_path / "report", *chosen)
    jsonschema.validate(run.results, results_schema(), format_checker=jsonschema.FormatChecker())
    outcomes = run.outcomes()
    assert outcomes["layouts.source-local"] == "pass"
    assert outcomes["layouts.unversioned"] == "fail"
    assert outcomes["layouts.source-s3"] == "not-supported"
    assert outcomes["layouts.versioned"] == "deselected"
    assert run.results is not None
    assert run.results["verdict"] == "not conformant"


def test_trees_in_s3_are_kept(tmp_path: Path) -> None:
    """With --keep, what was published in an S3 endpoint that ends with the run lies in the folder that is kept."""
    run = run_suite(REFERENCE, tmp_path / "report", "--clause", "layouts.source-s3", "--keep")
    (line,) = [line for line in run.output.splitlines() if line.startswith("kept: ")]
    kept = Path(line.removeprefix("kept: "))
    try:
        configured = [yaml.safe_load(file.read_text(encoding="utf-8")) for file in kept.rglob("cortex.yaml")]
        paths = [api["predictor"]["model_path"] for (api,) in configured if "model_path" in api["predictor"]]
        trees = [kept / "trees" / path.removeprefix("s3://").split("/", 1)[1] for path in paths if "s3://" in path]
        assert trees
        assert all(any(file.is_file() for file in tree.rglob("*")) for tree in trees)
    finally:
        shutil.rmtree(kept)


def test_run_on_two_processes(tmp_path: Path) -> None:
    """With -n 2 each worker has its servers, the verdict is that of one process, and both folders are kept."""
    chosen = ["--clause", "layouts.versioned", "--clause", "config.model-path", "--keep"]
    run = run_suite(REFERENCE, tmp_path / "report", *chosen, "-n", "2")
    kept = [Path(line.removeprefix("kept: ")) for line in run.output.splitlines() if line.startswith("kept: ")]
    try:
        assert run.failed() == set()
        outcomes = run.outcomes()
        assert [outcomes[clause] for clause in ("layouts.versioned", "config.model-path")] == ["pass", "pass"]
        assert len(kept) == 3  # that of the controller has only what the smoke stage left
        assert all(any((folder / "trees").rglob("*")) for folder in kept)
    finally:
        for folder in kept:
            shutil.rmtree(folder)


def test_failure_explains_itself(tmp_path: Path) -> None:
    """A failure says what the contract asks, what was expected and observed, when, and how to see it again."""
    chosen = ["--clause", "layouts.unversioned", "--patience", "0.2", "--seed", "7"]
    output = run_suite(stub(tmp_path, "minimal"), tmp_path / "report", *chosen).output
    assert "layouts.unversioned (MUST, spec/models.md: Model directory format)" in output
    for heading in (
        "contract  ",
        "expected  ",
        "observed  ",
        "published:",
        "timeline",
        "deadline  ",
        "log:",
        "reproduce:",
    ):
        assert heading in output
    assert "KeyError: 'model_path'" in output
    assert "--seed 7" in output
    assert "test_single_model_is_served[python-local]'" in output


def test_what_follows_from_a_failure_of_s3_is_no_failure_of_the_server(tmp_path: Path) -> None:
    """A violation with a request among its evidence that S3 failed by itself is an error, and shows that request."""
    file = tmp_path / "test_beside_a_failing_endpoint.py"
    file.write_text(
        textwrap.dedent("""
            from conformance.marks import clause
            from conformance.violations import Evidence, ViolationError

            @clause("layouts.unversioned")
            def test_violation():
                shown = Evidence("any", [], [], [], "", [], failures_of_s3=["LIST place/ -> 500, 265 bytes"])
                raise ViolationError("a model", "none", shown)
        """),
        encoding="utf-8",
    )
    run = run_suite(stub(tmp_path, "minimal"), tmp_path / "report", tests=[str(file)])
    assert run.outcomes()["layouts.unversioned"] == "error"
    assert "not held against the server, as S3 failed by itself" in run.output
    assert "LIST place/ -> 500, 265 bytes" in run.output
