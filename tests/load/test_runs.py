"""Load runs against real servers, short ones: nothing in them depends on how fast this machine is."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
import urllib3

from conformance import timing
from conformance.processes import LeashedProcess
from tests.conformance.suite_runs import ROOT
from tests.load.load_runs import changed, processes_of, read_run, run_load, settings

BURST = {"trees.models": "60", "cache.cache_size": "5", "cache.disk_cache_size": "10"}
BURST |= {"traffic.users": "12", "traffic.waves": "3", "server.evict_interval": "3"}
STEADY = {"trees.models": "60", "cache.cache_size": "10", "cache.disk_cache_size": "20", "traffic.exponent": "0.6"}
STEADY |= {"traffic.rate": "30", "traffic.users": "30", "traffic.duration": "9", "traffic.warm_up": "3"}
# How near a mean of four runs comes is up to chance.
STEADY |= {"limits.prediction": "0.5"}
CHURN = {
    "trees.models": "12",
    "cache.cache_size": "6",
    "cache.disk_cache_size": "30",
    "traffic.explicit_versions": "0.3",
}
CHURN |= {"traffic.rate": "40", "traffic.users": "20", "traffic.duration": "12", "traffic.warm_up": "2"}
CHURN |= {"traffic.explicit_versions": "0.3", "publications.rate": "3", "publications.models": "6"}

# Seconds until a run that was started by hand must have got somewhere, or have ended: a bound for what hangs.
PATIENCE = 120.0


def test_burst_reaches_the_limit_and_all_cold_models(tmp_path: Path) -> None:
    """Twelve cold models on a full cache of five are seventeen in memory, until one eviction run restores the limit."""
    run = run_load(tmp_path, "burst", BURST)
    waves = run.told["waves"]
    assert len(waves) == 3, run.output
    assert max(wave["peak"] for wave in waves) == 5 + 12
    assert (17, 1) in {(wave["peak"], wave["restored_in_runs"]) for wave in waves}
    assert run.told["memory"]["over_peak"] == 12
    assert run.told["memory"]["manner"] == "in runs"
    assert (run.told["failed"], run.told["wrong"]) == (0, 0)
    assert run.status == 0, run.output
    assert not processes_of(tmp_path)


def test_two_processes_count_what_one_would(tmp_path: Path) -> None:
    """With two processes that send requests, those who send, Locust and the server count the same total."""
    run = run_load(tmp_path, "steady", STEADY, "--", "--processes", "2")
    totals = run.told["totals"]
    assert run.told["run"]["senders"] == 2
    assert totals["judged"] == totals["locust"] == totals["server"] > 300
    assert run.status == 0, run.output


def test_churn_has_no_failed_and_no_wrong_answer(tmp_path: Path) -> None:
    """Under traffic versions come, change and go, and the reference answers from what is there, each time."""
    run = run_load(tmp_path, "churn", CHURN)
    assert (run.told["failed"], run.told["wrong"]) == (0, 0), run.told["accusations"]
    staleness = run.told["staleness"]
    assert staleness["publications"] > 20
    assert staleness["first_new"]["highest"] < staleness["allowed"]
    assert run.told["outcome"] == "PASS", run.output


@pytest.mark.parametrize(("change", "manner"), [("evicts-on-request", "all the time"), ("never-evicts", "never")])
def test_other_eviction_is_seen(change: str, manner: str, tmp_path: Path) -> None:
    """A server that evicts within requests, or never, is told by the report, and fails for it."""
    run = run_load(tmp_path, "steady", STEADY, "--implementation", str(changed(tmp_path, change)))
    assert run.told["memory"]["manner"] == manner
    assert "eviction, memory" in run.missed()
    assert run.told["outcome"] == "FAIL"
    assert run.status == 1


def test_wrong_answers_are_found(tmp_path: Path) -> None:
    """A server that now and then answers from another model fails, and the clause is named."""
    file = changed(tmp_path, "answers-from-another-model")
    run = run_load(tmp_path, "steady", STEADY, "--implementation", str(file))
    assert run.told["wrong"] > 0
    assert {accusation["clause"] for accusation in run.told["accusations"]} == {"clients.by-name"}
    assert run.status == 1


def test_server_that_dies_fails(tmp_path: Path) -> None:
    """A server that ends during the run fails, with its exit status."""
    run = run_load(tmp_path, "steady", STEADY, "--implementation", str(changed(tmp_path, "dies")))
    assert "server" in run.missed()
    assert run.status == 1
    assert not processes_of(tmp_path)


def test_stampede_by_plain_locust(tmp_path: Path) -> None:
    """The locustfile works without any wrapper; thirty users who want one cold model cause one load."""
    overrides = {"trees.models": "20", "cache.cache_size": "3", "cache.disk_cache_size": "5", "traffic.users": "30"}
    command = ("-m", "locust", "-f", "load/locustfile.py", "--headless", "--profile", "stampede")
    run = run_load(tmp_path, "", overrides | {"traffic.waves": "2", "trees.size": "1MB"}, command=command)
    assert [wave["requests"] for wave in run.told["waves"]] == [30, 30]
    assert [wave["loads"] for wave in run.told["waves"]] == [1, 1]
    assert run.status == 0, run.output


def test_interrupted_run_reports_what_was_done(tmp_path: Path) -> None:
    """Ctrl-C ends the run with a report, which is not valid, and leaves nothing behind."""
    long = STEADY | {"traffic.duration": "600"}
    own = [*settings(long), "--report-dir", str(tmp_path / "report")]
    log = tmp_path / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "load", "steady", *own], cwd=ROOT, stdout=output, stderr=output
        )
        under_way = " in all, 0 errors, "
        said = timing.poll(
            lambda: under_way in log.read_text(encoding="utf-8").rpartition("0 in all")[2] or None,
            until=timing.now() + PATIENCE,
        )
        process.send_signal(signal.SIGINT)
        status = process.wait(PATIENCE)
    run = read_run(status, log.read_text(encoding="utf-8"), tmp_path)
    assert said, run.output
    assert run.status == 2, run.output
    assert run.told["run"]["interrupted"]
    assert "duration" in run.missed()
    assert "equal totals" not in run.missed()
    assert not processes_of(tmp_path)


def test_running_server_is_driven_by_its_url(tmp_path: Path) -> None:
    """A server that was started by hand on a prepared folder is judged and watched like one that was started here."""
    folder = tmp_path / "prepared"
    command = [sys.executable, "-m", "load", "prepare", "steady", str(folder), *settings(STEADY)]
    prepared = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert prepared.returncode == 0, prepared.stderr
    port = 31_999
    serve = ["-m", "reference", "serve", str(folder / "project"), "--port", str(port), "--evict-interval", "2"]
    server = LeashedProcess([sys.executable, *serve], log=tmp_path / "server.log")
    try:
        assert timing.poll(lambda: is_ready(port), until=timing.now() + PATIENCE), server.last_log_lines()
        run = run_load(tmp_path, "steady", STEADY, "--host", f"http://127.0.0.1:{port}", "--prepared", str(folder))
    finally:
        server.kill()
    assert run.told["host"] == f"http://127.0.0.1:{port}"
    assert run.told["memory"]["manner"] == "in runs"
    assert run.status == 0, run.output


def is_ready(port: int) -> bool | None:
    """Ask a server whether it can be used."""
    try:
        return urllib3.request("GET", f"http://127.0.0.1:{port}/", retries=False).status == 200 or None
    except urllib3.exceptions.HTTPError:
        return None


@pytest.mark.parametrize(
    ("profile", "options", "words"),
    [
        ("nothing", [], "there is no profile 'nothing'"),
        ("steady", ["--set", "traffic.rate=fast"], "traffic.rate: Input should be a valid number"),
        ("steady", ["--implementation", "nowhere.toml"], "implementation file nowhere.toml: No such file"),
        ("steady", ["--host", "http://127.0.0.1:9"], "--host needs --prepared FOLDER"),
        ("steady", ["--host", "http://127.0.0.1:9", "--prepared", "nowhere"], "--prepared nowhere: prepared.json"),
        ("steady", ["--s3", "ftp", "--set", "trees.source=s3"], "--s3: 'ftp' is neither"),
    ],
)
def test_bad_input_is_named(profile: str, options: list[str], words: str, tmp_path: Path) -> None:
    """What cannot be used is named, the exit status is that of an error, and no report claims anything."""
    run = run_load(tmp_path, profile, {}, *options)
    assert run.status == 3
    assert words in run.output
    assert "Traceback" not in run.output
    assert run.report is None


def test_server_that_cannot_start_is_an_error(tmp_path: Path) -> None:
    """A server that ends before it is ready ends the run, with what it printed."""
    file = changed(tmp_path, "no-such-change")
    run = run_load(tmp_path, "steady", STEADY, "--implementation", str(file))
    assert run.status == 3
    assert "before it was ready" in run.output
    assert run.report is None
