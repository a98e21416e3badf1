"""Load runs against real servers, short ones: nothing in them depends on how fast this machine is."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
import urllib3

from conformance import timing
from conformance.processes import LeashedProcess
from tests.conformance.suite_runs import ROOT
from tests.load.load_runs import LoadRun, changed, processes_of, read_run, run_load, settings

BURST = {"trees.models": "60", "cache.cache_size": "5", "cache.disk_cache_size": "10"}
BURST |= {"traffic.users": "12", "traffic.waves": "3", "server.evict_interval": "3"}
STEADY = {"trees.models": "60", "cache.cache_size": "10", "cache.disk_cache_size": "20", "traffic.exponent": "0.6"}
STEADY |= {"traffic.rate": "30", "traffic.users": "30", "traffic.duration": "7", "traffic.warm_up": "2"}
# How near a mean of three runs comes is up to chance, and a wave may meet an eviction run on a machine that is slow.
STEADY |= {"limits.prediction": "0.5"}
BURST |= {"limits.prediction": "0.5"}
CHURN = {
    "trees.models": "12",
    "cache.cache_size": "6",
    "cache.disk_cache_size": "30",
    "traffic.explicit_versions": "0.3",
}
CHURN |= {"traffic.rate": "40", "traffic.users": "20", "traffic.duration": "12", "traffic.warm_up": "2"}
CHURN |= {"traffic.explicit_versions": "0.3", "publications.rate": "3", "publications.models": "6"}

STAMPEDE = {"trees.models": "20", "cache.cache_size": "3", "cache.disk_cache_size": "5", "trees.size": "1MB"}
STAMPEDE |= {"traffic.users": "30", "traffic.waves": "2"}
LOCUST = ("-m", "locust", "-f", "load/locustfile.py", "--headless")
PLAIN_LOCUST = (*LOCUST, "--profile", "stampede")
MASTER = (*LOCUST, "--profile", "steady", "--master", "--expect-workers", "1", "--master-bind-host", "127.0.0.1")

SIDE_BY_SIDE = 3

# Seconds until a run that was started by hand must have got somewhere, or have ended: a bound for what hangs.
PATIENCE = 120.0


def _with_change(name: str) -> Callable[[Path], LoadRun]:
    return lambda folder: run_load(folder, "steady", STEADY, "--implementation", str(changed(folder, name)))


def _with_another_machine(folder: Path) -> LoadRun:
    """Run a master here, and its only worker as if elsewhere."""
    port = str(free_port())
    elsewhere = ["-m", "tests.load.other_machine", "-f", "load/locustfile.py", "--worker", "--master-port", port]
    worker = LeashedProcess([sys.executable, *elsewhere], log=folder / "worker.log", env={**os.environ})
    try:
        return run_load(folder, "", STEADY, command=(*MASTER, "--master-bind-port", port))
    finally:
        worker.kill()


RUNS: Mapping[str, Callable[[Path], LoadRun]] = {
    "burst": lambda folder: run_load(folder, "burst", BURST),
    "two processes": lambda folder: run_load(folder, "steady", STEADY, "--", "--processes", "2"),
    "churn": lambda folder: run_load(folder, "churn", CHURN),
    "another machine": _with_another_machine,
    "plain locust": lambda folder: run_load(folder, "", STAMPEDE, command=PLAIN_LOCUST),
    **{
        name: _with_change(name)
        for name in ("evicts-on-request", "never-evicts", "answers-from-another-model", "dies", "no-such-change")
    },
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Future[LoadRun]]]:
    """Make runs side by side, as they mostly wait; nothing of them is left at the end."""
    folders = {name: tmp_path_factory.mktemp(name.replace(" ", "-")) for name in RUNS}
    with ThreadPoolExecutor(max_workers=SIDE_BY_SIDE) as pool:
        yield {name: pool.submit(make, folders[name]) for name, make in RUNS.items()}
    assert not [line for folder in folders.values() for line in processes_of(folder)]


def test_burst_reaches_the_limit_and_all_cold_models(runs: Mapping[str, Future[LoadRun]]) -> None:
    """Twelve cold models on a full cache of five are seventeen in memory, until one eviction run restores the limit."""
    run = runs["burst"].result()
    waves = run.told["waves"]
    assert len(waves) == 3, run.output
    assert max(wave["peak"] for wave in waves) == 5 + 12
    assert (17, 1) in {(wave["peak"], wave["restored_in_runs"]) for wave in waves}
    assert run.told["memory"]["over_peak"] == 12
    assert run.told["memory"]["manner"] == "in runs"
    assert (run.told["failed"], run.told["wrong"]) == (0, 0)
    assert run.status == 0, run.output


def test_two_processes_count_what_one_would(runs: Mapping[str, Future[LoadRun]]) -> None:
    """With two processes that send requests, those who send, Locust and the server count the same total."""
    run = runs["two processes"].result()
    totals = run.told["totals"]
    assert run.told["run"]["senders"] == 2
    assert totals["judged"] == totals["locust"] == totals["server"] > 200
    assert run.status == 0, run.output


def test_clock_of_another_machine_is_no_ones_fault(runs: Mapping[str, Future[LoadRun]]) -> None:
    """A worker whose clock shows a thousand seconds more sends what is judged on the clock of the master."""
    run = runs["another machine"].result()
    assert min(latency["p50"] for latency in run.told["latencies"]) >= 0
    assert max(latency["highest"] for latency in run.told["latencies"]) < PATIENCE
    assert run.told["totals"]["judged"] == run.told["totals"]["server"] > 200
    assert run.told["wrong"] == run.told["failed"] == 0
    assert run.status == 0, run.output


def test_churn_has_no_failed_and_no_wrong_answer(runs: Mapping[str, Future[LoadRun]]) -> None:
    """Under traffic versions come, change and go, and the reference answers from what is there, each time."""
    run = runs["churn"].result()
    assert (run.told["failed"], run.told["wrong"]) == (0, 0), run.told["accusations"]
    staleness = run.told["staleness"]
    assert staleness["publications"] > 15
    assert staleness["first_new"]["highest"] < staleness["allowed"]
    assert run.told["outcome"] == "PASS", run.output


@pytest.mark.parametrize(("change", "manner"), [("evicts-on-request", "all the time"), ("never-evicts", "never")])
def test_other_eviction_is_seen(change: str, manner: str, runs: Mapping[str, Future[LoadRun]]) -> None:
    """A server that evicts within requests, or never, is told by the report, and fails for it."""
    run = runs[change].result()
    assert run.told["memory"]["manner"] == manner
    assert "eviction, memory" in run.missed()
    assert run.told["outcome"] == "FAIL"
    assert run.status == 1


def test_wrong_answers_are_found(runs: Mapping[str, Future[LoadRun]]) -> None:
    """A server that now and then answers from another model fails, and the clause is named."""
    run = runs["answers-from-another-model"].result()
    assert run.told["wrong"] > 0
    assert {accusation["clause"] for accusation in run.told["accusations"]} == {"clients.by-name"}
    assert run.status == 1


def test_server_that_dies_fails(runs: Mapping[str, Future[LoadRun]]) -> None:
    """A server that ends during the run fails, with its exit status."""
    run = runs["dies"].result()
    assert "server" in run.missed()
    assert run.status == 1


def test_server_that_cannot_start_is_an_error(runs: Mapping[str, Future[LoadRun]]) -> None:
    """A server that ends before it is ready ends the run, with what it printed, and no report claims anything."""
    run = runs["no-such-change"].result()
    assert run.status == 3
    assert "before it was ready" in run.output
    assert run.report is None


def test_stampede_by_plain_locust(runs: Mapping[str, Future[LoadRun]]) -> None:
    """The locustfile works without any wrapper; thirty users who want one cold model cause one load."""
    run = runs["plain locust"].result()
    assert [wave["requests"] for wave in run.told["waves"]] == [30, 30]
    assert [wave["loads"] for wave in run.told["waves"]] == [1, 1]
    assert run.status == 0, run.output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_run_reports_what_was_done(number: signal.Signals, tmp_path: Path) -> None:
    """Ctrl-C, or a request to end, ends the run with a report, which is not valid, and leaves nothing behind."""
    long = STEADY | {"traffic.duration": "600"}
    own = [*settings(long), "--report-dir", str(tmp_path / "report")]
    log = tmp_path / "log"
    with log.open("wb") as output:
        with heeding(number):
            process = subprocess.Popen(
                [sys.executable, "-m", "load", "steady", *own], cwd=ROOT, stdout=output, stderr=output
            )
        under_way = re.compile(r" [1-9][\d,]* in all, 0 errors, ")
        said = timing.poll(
            lambda: under_way.search(log.read_text(encoding="utf-8")),
            until=timing.now() + PATIENCE,
        )
        process.send_signal(number)
        status = process.wait(PATIENCE)
    run = read_run(status, log.read_text(encoding="utf-8"), tmp_path)
    assert said, run.output
    assert run.status == 2, run.output
    assert run.told["run"]["interrupted"]
    assert "duration" in run.missed()
    assert "equal totals" not in run.missed()
    assert not processes_of(tmp_path)


@contextmanager
def heeding(number: signal.Signals) -> Iterator[None]:
    """Let processes that start in the block heed a signal, which those of a background job inherit as ignored."""
    before = signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(number, before)


def test_running_server_is_driven_by_its_url(tmp_path: Path) -> None:
    """A server that was started by hand on a prepared folder is judged and watched like one that was started here."""
    folder = tmp_path / "prepared"
    command = [sys.executable, "-m", "load", "prepare", "steady", str(folder), *settings(STEADY)]
    prepared = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert prepared.returncode == 0, prepared.stderr
    port = free_port()
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


def free_port() -> int:
    """Find a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


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
