"""Churn: publish, overwrite, remove and outage at random, under steady requests; every answer is judged.

The duration in seconds comes from REFERENCE_CHURN (default 8).
"""

import http.client
import os
import random
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from fixtures.models.python import python_model
from tests.reference import kinds
from tests.reference.conftest import S3
from tests.reference.harness import Server, await_, serving, write_project
from tests.reference.publisher import Publisher
from tests.reference.relay import Relay

SECONDS = float(os.environ.get("REFERENCE_CHURN", "8"))
NAMES = [f"m{number}" for number in range(10)]
INTERVAL = 0.2


@dataclass(slots=True)
class Verdict:
    """What the asking threads saw."""

    answers: int = 0
    wrong: list[str] = field(default_factory=list)


@pytest.fixture
def relay(s3: S3) -> Iterator[Relay]:
    """Put a relay in front of the S3 endpoint."""
    relay = Relay(int(s3.environment["AWS_ENDPOINT_URL"].rpartition(":")[2]))
    yield relay
    relay.close()


@pytest.mark.parametrize("cached", [False, True], ids=["uncached", "cached"])
def test_churn(cached: bool, s3: S3, relay: Relay, tmp_path: Path) -> None:
    """No answer is older than what the same thread saw before, none is anything that never was; memory stays flat."""
    target = s3.target(f"churn-{cached}")
    publisher = Publisher(target, lambda: python_model(files=["model.txt"]), NAMES, seed=7)
    for _ in NAMES * 2:
        publisher.step()
    cache = ", cache_size: 3, disk_cache_size: 6" if cached else ""
    line = f"models: {{dir: '{target.url}'{cache}}}"
    project = write_project(tmp_path, "python", kinds.PYTHON.predictor, line, "threads_per_process: 2")
    environment = {**s3.environment, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{relay.port}"}
    with serving(project, env=environment, intervals=INTERVAL) as server:
        stop = threading.Event()
        verdicts = [Verdict() for _ in range(3)]
        threads = [threading.Thread(target=_ask, args=(server, publisher, stop, verdict)) for verdict in verdicts]
        for thread in threads:
            thread.start()
        memory: list[int] = []
        try:
            _churn(publisher, relay, server, memory)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        for name, expected in publisher.latest().items():

            def settled(name: str = name, expected: list[str] = expected) -> None:
                status, answer = server.predict(model=name)
                assert (status, answer) == (200, expected) if expected else status == 404

            await_(settled, server.deadline)
        wrong = [line for verdict in verdicts for line in verdict.wrong]
        answers = sum(verdict.answers for verdict in verdicts)
        print(f"{answers} answers, {publisher.mutations} mutations, memory in MB {memory[0] >> 20}..{memory[-1] >> 20}")
        assert wrong == []
        assert all(verdict.answers > 0 for verdict in verdicts)
        # Of the second half against the first, so that what is filled once does not count.
        half = len(memory) // 2
        assert min(memory[half:]) <= max(memory[:half]) * 1.1 + (20 << 20)


def _churn(publisher: Publisher, relay: Relay, server: Server, memory: list[int]) -> None:
    chance = random.Random(11)
    clock = threading.Event()
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        if chance.random() < 0.03:
            with relay.outage():
                clock.wait(chance.uniform(0.1, 4 * INTERVAL))
        publisher.step()
        clock.wait(chance.uniform(0, INTERVAL))
        processes = [psutil.Process(server.process.pid)]
        processes += processes[0].children(recursive=True)
        memory.append(sum(process.memory_info().rss for process in processes))


def _ask(server: Server, publisher: Publisher, stop: threading.Event, verdict: Verdict) -> None:
    chance = random.Random(id(verdict))
    newest = dict.fromkeys(NAMES, 0)
    while not stop.is_set():
        name = chance.choice(NAMES)
        try:
            status, answer = server.predict(model=name)
        except (OSError, http.client.HTTPException) as error:
            verdict.wrong.append(f"{name}: {error!r}")
            continue
        verdict.answers += 1
        if status == 503:  # the cache asked the source for something during an outage
            continue
        problem = _judge(publisher, name, status, answer, newest)
        if problem:
            verdict.wrong.append(problem)


def _judge(publisher: Publisher, name: str, status: int, answer: object, newest: dict[str, int]) -> str | None:
    """Return what is wrong with an answer, given the newest state of each model that this thread saw before."""
    with publisher.lock:
        states = list(publisher.states[name])
    seen = [] if status == 404 else answer
    numbers = [number for number, state in states if state == seen]
    if not numbers:
        return f"{name}: {status} {answer} never was"
    if max(numbers) < newest[name]:
        return f"{name}: {answer} is older than what was seen before"
    newest[name] = max(newest[name], min(number for number in numbers if number >= newest[name]))
    return None
