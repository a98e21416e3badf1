"""What the cache means for requests: none evicts, none is broken by an eviction, and none loads what another loads."""

from concurrent.futures import ThreadPoolExecutor
from math import ceil
from threading import Barrier

from conformance import timing
from conformance.cache.cached import CachedModels, expect_within, listed
from conformance.deployment import Answer
from conformance.held_request import expect_held_during
from conformance.marks import SMALL_CACHE, THREADED_CACHE, Grow, Planting, clause, planting
from conformance.problems import UnobservableError
from conformance.stand import Stand
from fixtures.trees import versions

AT_ONCE = 4
ATTEMPTS = 4


def _burst(grow: Grow) -> Planting:
    return Planting({name: grow() for name in "abcde"})


@clause("cache.off-the-critical-path")
@planting(_burst, predictors=("python", "onnx"), configuration=SMALL_CACHE)
def test_burst_stays_in_memory_until_the_next_run(stand: Stand) -> None:
    """All models asked for between two runs are in memory at the end, and the next run restores the limit."""
    names = tuple(stand.models)
    cached = CachedModels(stand)
    window = cached.ask_within_one_window(names)
    stand.expect(
        window.is_quiet,
        expected=f"nothing let go of while {len(names)} models are asked for between two runs",
        observed=f"{window.drops} objects let go of meanwhile",
    )
    _expect_all(stand, cached.in_memory())
    cached.await_eviction()
    expect_within(cached, cached.in_memory(), cached.memory.limit, "in memory")


def _small_burst(grow: Grow) -> Planting:
    return Planting({name: grow() for name in "abc"})


# A SavedModel takes its time to load, and all have to be asked for between two runs.
@clause("cache.off-the-critical-path")
@planting(_small_burst, predictors=("tensorflow",), configuration=SMALL_CACHE)
def test_burst_of_saved_models_stays_in_memory(stand: Stand) -> None:
    """All SavedModels asked for between two runs go on counting when each is asked for once more."""
    interval = stand.deployment.pace.intervals.evict
    cached = CachedModels(stand)
    longest = 0.0
    start = timing.now()
    for attempt in range(ATTEMPTS):
        stand.await_eviction()
        if not cached.is_driven:
            # Nothing shows when a run takes place: begin each time at another moment between two of them.
            phase = start + interval * attempt / ATTEMPTS
            timing.wait_until(phase + interval * ceil((timing.now() - phase) / interval))
        begun = timing.now()
        cached.access_all(stand.models)
        found = cached.in_memory()
        longest = max(longest, timing.now() - begun)
        if found == set(stand.models):
            break
    if found != set(stand.models) and not cached.is_driven and longest > interval / 2:
        raise UnobservableError(
            f"it takes {longest:.2f} s to ask for {len(stand.models)} models twice, and runs are {interval:g} s apart"
        )
    _expect_all(stand, found)


def _expect_all(stand: Stand, found: set[str]) -> None:
    stand.expect(
        found == set(stand.models),
        expected=f"all of {', '.join(stand.models)} in memory until the next run",
        observed=f"{listed(found)} in memory",
    )


def _for_many(grow: Grow) -> Planting:
    return Planting({name: grow() for name in "abc"})


@clause("cache.single-flight")
@planting(_for_many, configuration=THREADED_CACHE)
def test_first_requests_at_once_load_and_download_once(stand: Stand) -> None:
    """Of the first requests for a model, sent at the same time, one loads and downloads it and all are answered."""
    stand.settle()  # that every model is servable from the start is another clause
    cached = CachedModels(stand)
    alone, *together = stand.models
    first = stand.expect_served(alone)
    for name in together:
        tree = stand.models[name]
        begun = timing.now()
        answers = _ask_at_once(stand, name)
        tokens = frozenset(tree.tokens.values())
        for answer in answers:
            stand.expect(
                answer.tokens == tokens, expected=f"model {name} for each of them", observed=stand.describe(answer)
            )
        stand.expect(
            _is_from_one_load(cached, name, answers, first),
            expected=f"model {name} loaded once for {AT_ONCE} first requests",
            observed=f"several objects: {', '.join(answer.text[:200] for answer in answers)}",
        )
        twice = {key: count for key, count in cached.bytes_fetched(name, since=begun).items() if count > tree[key].size}
        stand.expect(
            not twice,
            expected=f"each file of model {name} downloaded once for {AT_ONCE} first requests",
            observed=f"bytes downloaded of each file: {twice}",
        )


def _ask_at_once(stand: Stand, name: str) -> list[Answer]:
    together = Barrier(AT_ONCE)

    def ask() -> Answer:
        together.wait()
        return stand.ask(name, more={"watch": True})

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return [future.result() for future in [pool.submit(ask) for _ in range(AT_ONCE)]]


def _is_from_one_load(cached: CachedModels, name: str, answers: list[Answer], alone: Answer) -> bool:
    """Tell whether these first answers come from one load; `alone` is the first answer of another model."""
    if cached.stand.predictor == "python":
        return cached.loads(name) == 1
    bodies = [answer.body for answer in answers]
    if cached.stand.predictor == "onnx":
        return len({body["serial"] for body in bodies}) == 1
    # A SavedModel counts its calls, from wherever a server that warms it up has begun, and the last of several calls at
    # the same time sees all of them.
    (begun,) = alone.body["outputs"]["counter"]
    counts = [count for body in bodies for count in body["outputs"]["counter"]]
    return bool(max(counts) == begun - 1 + len(answers))


def _in_use(grow: Grow) -> Planting:
    return Planting({name: grow() for name in "abcdefg"})


@clause("cache.in-use")
@planting(_in_use, predictors=("python", "onnx"), configuration=THREADED_CACHE)
def test_request_outlives_the_eviction_of_its_model(stand: Stand) -> None:
    """A request that holds a model goes on with it, and with its files, when it is evicted from memory and disk."""
    held, *others = stand.models
    pace = stand.deployment.pace
    cached = CachedModels(stand)
    cached.access(held)

    def displace() -> None:
        cached.access_all(others)
        stand.await_eviction()

    expect_held_during(stand, held, displace, seconds=pace.load + pace.evict)


def _never_asked(grow: Grow) -> Planting:
    return Planting({"asked": grow(), "plain": grow(), "versioned": versions({"1": grow(), "2": grow()})})


# Beside models of other tests, a server that loads some before anybody asks might happen to choose those.
@clause("cache.lazy")
@planting(_never_asked, predictors=("python",), configuration=SMALL_CACHE, alone="lazy")
def test_model_never_asked_for_is_not_loaded(stand: Stand) -> None:
    """A model that nobody asks for is not loaded, neither when it is found nor when it changes."""
    cached = CachedModels(stand)
    _change_without_asking(cached)
    loaded = [name for name in ("plain", "versioned") if cached.loads(name)]
    stand.expect(not loaded, expected="no load of a model never asked for", observed=f"loads of {loaded}")


@clause("cache.lazy")
@planting(_never_asked, predictors=("python", "onnx"), configuration=SMALL_CACHE, sources=("s3",), alone="lazy")
def test_model_never_asked_for_is_not_downloaded(stand: Stand) -> None:
    """A model that nobody asks for is not downloaded, neither when it is found nor when it changes."""
    _expect_no_download(stand)


@clause("cache.lazy")
@planting(_never_asked, predictors=("tensorflow",), configuration=SMALL_CACHE, sources=("s3",))
def test_saved_model_never_asked_for_is_not_downloaded(stand: Stand) -> None:
    """A SavedModel that nobody asks for is not downloaded, neither when it is found nor when it changes."""
    _expect_no_download(stand)


def _expect_no_download(stand: Stand) -> None:
    _change_without_asking(CachedModels(stand))
    downloads = [
        f"{request.key} of {name}"
        for request in stand.requests_since(0.0)
        for name in request.models
        if name != "asked" and request.is_download
    ]
    stand.expect(
        not downloads,
        expected="no download of a model never asked for",
        observed=f"downloads of {', '.join(downloads)}",
    )


def _change_without_asking(cached: CachedModels) -> None:
    stand = cached.stand
    cached.access("asked")
    stand.put("plain", stand.grow())
    stand.put("versioned", versions({"3": stand.grow()}))
    stand.settle()
    stand.await_eviction()
