"""The smoke stage and bad input: each fault in plugging in is named, once, and leaves nothing behind."""

from pathlib import Path

import psutil
import pytest

from tests.conformance.suite_runs import run_suite, stub, write_implementation


@pytest.fixture(autouse=True)
def nothing_left_behind() -> object:
    """Check that no process of a run outlives it."""
    before = {process.pid for process in psutil.Process().children(recursive=True)}
    yield
    left = [process for process in psutil.Process().children(recursive=True) if process.pid not in before]
    assert not left


def left_running(text: str) -> list[str]:
    """Find processes, of whichever parent, whose command line holds a text."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        line = " ".join(process.info["cmdline"] or [])
        if text in line:
            found.append(line)
    return found


@pytest.mark.parametrize(
    ("mode", "step", "words"),
    [
        ("exits", "ready", "exited with status 7 before it was ready"),
        ("deaf", "ready", "s: GET / gave no answer"),
        ("unready", "ready", "s: GET / gave status 503"),
        ("empty", "predict", "the answer lacks the token of the model that was published"),
        ("crashes", "predict", "exited with status 9 on POST /"),
        ("mute", "predict", "gave no answer in 3 s (ReadTimeoutError) on POST /"),
        ("garbled", "predict", "the server gave no answer (ProtocolError) on POST /"),
        ("stubborn", "stop", "still ran 1.5 s after SIGTERM"),
    ],
)
def test_smoke_stage_names_the_step_that_failed(mode: str, step: str, words: str, tmp_path: Path) -> None:
    """Whatever goes wrong in plugging in is an error that names the step and shows the end of the log."""
    run = run_suite(stub(tmp_path, mode), tmp_path / "report", "--patience", "0.05")
    assert run.status == 3
    assert f"smoke stage, step {step}: " in run.output
    assert words in run.output
    assert f"stub server in mode {mode}" in run.output
    assert "\x1b" not in run.output
    assert "Traceback" not in run.output
    assert run.results is not None
    assert run.results["verdict"] == "error"
    assert not left_running(str(tmp_path))


def test_missing_command_fails_the_spawn_step(tmp_path: Path) -> None:
    """A command that does not exist is named by the spawn step."""
    implementation = write_implementation(tmp_path, ["no-such-server", "{project}", "{port}"])
    run = run_suite(implementation, tmp_path / "report")
    assert run.status == 3
    assert "smoke stage, step spawn: No such file or directory: no-such-server" in run.output
    assert "Traceback" not in run.output


def test_least_server_passes_the_smoke_stage(tmp_path: Path) -> None:
    """A server that serves one model and ends on SIGTERM is judged, and found wanting."""
    run = run_suite(
        stub(tmp_path, "minimal"), tmp_path / "report", "--clause", "layouts.unversioned", "--patience", "0.2"
    )
    assert run.status == 1
    assert "smoke stage" not in run.output


def test_unreachable_endpoint_is_named(tmp_path: Path) -> None:
    """An S3 endpoint that nobody listens on is an error that names it."""
    implementation = write_implementation(tmp_path, ["true", "{project}", "{port}"], sources=["s3"])
    run = run_suite(implementation, tmp_path / "report", "--s3", "http://127.0.0.1:9")
    assert run.status == 3
    assert "S3 endpoint http://127.0.0.1:9 cannot be used" in run.output
    assert "Traceback" not in run.output


def test_malformed_implementation_file_ends_the_run(tmp_path: Path) -> None:
    """An implementation file with a fault is named together with the key, and no test runs."""
    file = tmp_path / "server.toml"
    file.write_text("[implementation]\nname = 1", encoding="utf-8")
    run = run_suite(file, tmp_path / "report")
    assert run.status == 3
    assert f"implementation file {file}" in run.output
    assert "implementation.name: Input should be a valid string" in run.output
    assert "Traceback" not in run.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--clause", "layouts.nothing"], "--clause: 'layouts.nothing' is neither a clause nor a family"),
        (["--s3", "ceph"], "--s3: 'ceph' is neither moto, seaweedfs, minio or localstack, nor the URL of an endpoint"),
    ],
)
def test_bad_option_is_named(arguments: list[str], words: str, tmp_path: Path) -> None:
    """An option that cannot be used is named, and the run is an error."""
    implementation = write_implementation(tmp_path, ["true", "{project}", "{port}"], sources=["s3"])
    run = run_suite(implementation, tmp_path / "report", *arguments)
    assert run.status == 3
    assert words in run.output
    assert "Traceback" not in run.output


def test_missing_implementation_option_is_named() -> None:
    """Without an implementation file the suite says that it needs one."""
    run = run_suite(Path("nowhere.toml"), Path("nowhere"))
    assert run.status == 3
    assert "implementation file nowhere.toml: No such file or directory" in run.output
