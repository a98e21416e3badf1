"""kill -9 at random moments of download, swap and eviction: every restart serves correctly and leaves no debris.

The number of kills comes from REFERENCE_KILLS (default 6; the acceptance run uses 200).
"""

import contextlib
import os
import random
import signal
import threading
from pathlib import Path

import psutil
import pytest

from fixtures.models.python import python_model
from fixtures.targets.directory import DirectoryTarget
from fixtures.targets.target import Target
from fixtures.trees import Tree
from tests.reference import kinds
from tests.reference.conftest import S3
from tests.reference.harness import ALLOWANCE, Server, await_, write_project
from tests.reference.publisher import Publisher

KILLS = int(os.environ.get("REFERENCE_KILLS", "6"))
NAMES = [f"m{number}" for number in range(8)]
MEMORY, DISK = 2, 4
INTERVAL = 0.05


def _model() -> Tree:
    # Several files, so that a kill can fall between two of them, and large enough that it falls into one.
    return python_model(files=[f"part-{number}.bin" for number in range(4)], size=1 << 20)


_PREDICTOR = (  # the files are binary after their first line
    kinds.PYTHON.predictor.replace("open(os.path.join(folder, name))", 'open(os.path.join(folder, name), "rb")')
    .replace('word == "token:"', 'word == b"token:"')
    .replace("append(token)", "append(token.decode())")
)


@pytest.mark.parametrize("source", ["local", "s3"])
def test_killed_at_random(source: str, s3: S3, tmp_path: Path) -> None:
    """After a kill at a random moment no process survives; the next start serves what is published and cleans up."""
    chance = random.Random(KILLS)
    target: Target = DirectoryTarget(tmp_path / "models") if source == "local" else s3.target(f"killed-{KILLS}")
    publisher = Publisher(target, _model, NAMES, seed=KILLS)
    for _ in NAMES * 2:
        publisher.step()
    line = f"models: {{dir: '{target.url}', cache_size: {MEMORY}, disk_cache_size: {DISK}}}"
    project = write_project(tmp_path / "project", "python", _PREDICTOR, line, "threads_per_process: 2")
    for round_ in range((KILLS + 1) // 2 if source == "local" else KILLS // 2):
        # Every fifth is killed while it starts.
        _run_and_kill(project, s3, publisher, chance.uniform(0, 1.5), start_only=round_ % 5 == 4)
    _serves_and_is_clean(project, s3, publisher)


def _run_and_kill(project: Path, s3: S3, publisher: Publisher, after: float, *, start_only: bool) -> None:
    server = Server(project, env=s3.environment, intervals=INTERVAL)
    stop = threading.Event()
    threads: list[threading.Thread] = []
    family: list[psutil.Process] = []
    try:
        if not start_only:
            server.ready()
            _check(server, publisher)
            threads = [
                threading.Thread(target=_ask, args=(server, stop)),
                threading.Thread(target=_publish, args=(publisher, stop)),
            ]
            for thread in threads:
                thread.start()
        stop.wait(after)
        family = psutil.Process(server.process.pid).children(recursive=True)
        os.kill(server.process.pid, signal.SIGKILL)
        assert not psutil.wait_procs(family, ALLOWANCE)[1]
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        server.kill()


def _serves_and_is_clean(project: Path, s3: S3, publisher: Publisher) -> None:
    server = Server(project, env=s3.environment, intervals=INTERVAL).ready()
    try:
        _check(server, publisher)

        def clean() -> None:
            runs = list(server.store.glob("run-*"))
            assert len(runs) == 1
            assert len(list((runs[0] / "revisions").iterdir())) <= DISK
            assert list((runs[0] / "staging").iterdir()) == []

        await_(clean, server.deadline)
    finally:
        assert server.stop() == 0
    assert list(server.store.glob("run-*")) == []


def _check(server: Server, publisher: Publisher) -> None:
    """Every model answers what was published last, and only the folder of this run is there."""
    assert len(list(server.store.glob("run-*"))) == 1
    for name, expected in publisher.latest().items():

        def right(name: str = name, expected: list[str] = expected) -> None:
            status, answer = server.predict(model=name)
            assert (status, answer) == (200, expected) if expected else status == 404

        await_(right, server.deadline)


def _ask(server: Server, stop: threading.Event) -> None:
    while not stop.is_set():
        for name in NAMES:
            with contextlib.suppress(OSError, ValueError):
                server.predict(model=name)


def _publish(publisher: Publisher, stop: threading.Event) -> None:
    while not stop.is_set():
        publisher.step()
        stop.wait(INTERVAL)
