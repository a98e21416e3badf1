"""The two-layer cache on the running server, for every predictor type, on S3 where downloads can be counted."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from fixtures.trees import Tree
from tests.reference import kinds
from tests.reference.conftest import S3
from tests.reference.harness import Server, await_, serving, write_project
from tests.reference.kinds import Kind, tokens

MODELS = [f"m{number}" for number in range(6)]
MEMORY, DISK = 2, 3


class Cached:
    """A server with caching, and the models behind it."""

    def __init__(self, kind: Kind, server: Server, s3: S3, prefix: str) -> None:
        self.kind = kind
        self.server = server
        self.target = s3.target(prefix)
        self.trees: dict[str, Tree] = {}

    def publish(self) -> None:
        """Publish all models anew, so that nothing of them is on disk or in memory."""
        for name in MODELS:
            self.target.clear(name)
        self.server.reload()
        for name in MODELS:
            self.trees[name] = self.kind.make()
            self.target.write(self.trees[name].at(f"{name}/1"))
        self.server.reload()

    def predict(self, *names: str) -> None:
        """Ask for these models in this order and check the answers."""
        for name in names:
            assert self.server.predict(model=name) == (200, tokens(self.trees[name]))

    def count(self, event: str, *names: str) -> list[int]:
        """Return how often each of these models was loaded or downloaded."""
        return [len(self.server.events(event, model=name)) for name in names]


@pytest.fixture(scope="module", params=kinds.ALL, ids=lambda kind: kind.name)
def shared(request: pytest.FixtureRequest, s3: S3, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cached]:
    """Run one server per predictor type."""
    kind: Kind = request.param
    prefix = f"cached-{kind.name}"
    cache = f"cache_size: {MEMORY}, disk_cache_size: {DISK}"
    where = f"models: {{dir: 's3://{s3.bucket}/{prefix}/', {cache}}}"
    project = write_project(tmp_path_factory.mktemp(prefix), kind.name, kind.predictor, where, "threads_per_process: 4")
    with serving(project, "--control", env=s3.environment) as server:
        yield Cached(kind, server, s3, prefix)


@pytest.fixture
def cached(shared: Cached) -> Cached:
    """Start each test with fresh models of which none was asked for."""
    shared.publish()
    return shared


def test_lazy(cached: Cached) -> None:
    """A model that nobody asked for is neither downloaded nor loaded."""
    before = cached.count("downloaded", *MODELS)
    cached.server.reload()
    cached.predict("m0")
    assert cached.count("downloaded", *MODELS) == [before[0] + 1, *before[1:]]


def test_least_recently_accessed_goes(cached: Cached) -> None:
    """After a run the most recently accessed stay, in memory and on disk; a load from disk downloads nothing."""
    cached.predict(*MODELS)
    cached.predict("m0")  # loaded first, accessed last
    cached.server.evict()
    loads, downloads = cached.count("loaded", *MODELS), cached.count("downloaded", *MODELS)
    cached.predict("m0", "m5")  # in memory
    assert cached.count("loaded", *MODELS) == loads
    cached.predict("m4")  # on disk
    assert cached.count("loaded", "m4") == [loads[4] + 1]
    assert cached.count("downloaded", *MODELS) == downloads
    cached.predict("m3")  # gone
    assert cached.count("downloaded", "m3") == [downloads[3] + 1]


def test_burst_stays_until_the_run(cached: Cached) -> None:
    """No request evicts: a burst finds all of its models in memory until the next run restores the limits."""
    cached.predict(*MODELS)
    loads = cached.count("loaded", *MODELS)
    cached.predict(*MODELS, *reversed(MODELS))
    assert cached.count("loaded", *MODELS) == loads
    cached.server.evict()
    last = cached.server.events("eviction")[-1]
    assert (last["memory"], last["disk"]) == (len(MODELS) - MEMORY, len(MODELS) - DISK)


def test_at_the_limit_nothing_goes(cached: Cached) -> None:
    """At the limit nothing is evicted, and a version asked for by number is the same entry as latest."""
    cached.predict("m0", "m1")
    assert cached.server.predict(model="m0", version="1") == (200, tokens(cached.trees["m0"]))
    loads, runs = cached.count("loaded", *MODELS), len(cached.server.events("eviction"))
    cached.server.evict()
    cached.predict("m0", "m1")
    assert cached.count("loaded", *MODELS) == loads
    assert len(cached.server.events("eviction")) == runs


def test_reload_of_a_cached_model(cached: Cached) -> None:
    """New content of a model in memory replaces it, new content of one that nobody asked for is not downloaded."""
    cached.predict("m0")
    before = cached.count("downloaded", "m1")
    for name in ("m0", "m1"):
        cached.trees[name] = cached.kind.make()
        cached.target.write(cached.trees[name].at(f"{name}/1"))
    cached.server.reload()
    assert cached.count("downloaded", "m1") == before
    cached.predict("m0", "m1")


def test_overwritten_between_scan_and_request(cached: Cached) -> None:
    """A model that changed after it was listed is listed again and served as it is now."""
    cached.trees["m2"] = cached.kind.make()
    cached.target.write(cached.trees["m2"].at("m2/1"))
    cached.predict("m2")


def test_removed_between_scan_and_request(cached: Cached) -> None:
    """A model that vanished after it was listed is a 404, and the server lives on."""
    cached.target.clear("m3")
    assert cached.server.predict(model="m3")[0] == 404
    cached.predict("m0")


def test_concurrent_first_requests_load_once(cached: Cached) -> None:
    """Concurrent first requests cause one download and one load."""
    loads, downloads = cached.count("loaded", "m4"), cached.count("downloaded", "m4")
    answers: list[object] = []
    threads = [threading.Thread(target=lambda: answers.append(cached.server.predict(model="m4"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [(200, tokens(cached.trees["m4"]))] * 8
    assert cached.count("loaded", "m4") == [loads[0] + 1]
    assert cached.count("downloaded", "m4") == [downloads[0] + 1]


def test_evicted_while_in_use(cached: Cached) -> None:
    """Evicting a model from memory and disk breaks no request that uses it."""
    if cached.kind is not kinds.PYTHON:
        pytest.skip("only a python predictor can hold a model")
    answers: list[object] = []
    request = threading.Thread(target=lambda: answers.append(cached.server.predict(model="m0", hold="1")))
    request.start()
    await_(lambda: _require(cached.count("loaded", "m0")[0] > 0), cached.server.deadline)
    cached.predict("m1", "m2", "m3")
    cached.server.evict()
    request.join()
    assert answers == [(200, tokens(cached.trees["m0"]))]


def _require(condition: bool) -> None:
    assert condition


def test_eviction_runs_by_itself(s3: S3, tmp_path: Path) -> None:
    """Without control, eviction runs periodically and restores both limits."""
    target = s3.target("cached-timed")
    trees = {name: kinds.PYTHON.make() for name in MODELS}
    for name, tree in trees.items():
        target.write(tree.at(name))
    where = f"models: {{dir: '{target.url}', cache_size: {MEMORY}, disk_cache_size: {DISK}}}"
    project = write_project(tmp_path, "python", kinds.PYTHON.predictor, where)
    with serving(project, env=s3.environment) as server:
        for name, tree in trees.items():
            assert server.predict(model=name) == (200, tokens(tree))

        def limits_hold() -> None:
            _, body, _ = server.request("GET", "/metrics")
            values = dict(line.rsplit(" ", 1) for line in body.decode().splitlines() if not line.startswith("#"))
            assert sum(float(value) for key, value in values.items() if "models_in_memory" in key) == MEMORY
            assert float(values["reference_revisions_on_disk"]) == DISK
            assert len(list((server.store).glob("run-*/revisions/*"))) == DISK

        await_(limits_hold, server.deadline)
