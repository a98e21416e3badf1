"""How many models an eviction run leaves in memory and on disk: no more than configured, and no fewer."""

from itertools import pairwise

from conformance import timing
from conformance.cache.cached import CachedModels, expect_within, listed
from conformance.marks import IN_REAL_TIME, SMALL_CACHE, Grow, Planting, clause, planting
from conformance.stand import Stand
from conformance.timing import RUN_ALLOWANCE
from fixtures.trees import versions

NAMES = tuple("abcdefghi")

EXCESS = 3
"""Models too many, of which it is seen whether they go in one run."""


def _many(grow: Grow) -> Planting:
    return Planting({name: grow() for name in NAMES})


@clause("cache.serves-all")
@planting(_many, configuration=SMALL_CACHE)
def test_every_model_of_a_directory_is_served(stand: Stand) -> None:
    """With room for two models every one of six is served, again and again, before and after an eviction run."""
    _serve_all(stand)


@clause("cache.serves-all")
@planting(_many, naming="paths", configuration=SMALL_CACHE)
def test_every_model_of_a_list_is_served(stand: Stand) -> None:
    """With models.paths too, every model is served from a cache that has no room for all."""
    _serve_all(stand)


def _serve_all(stand: Stand) -> None:
    cached = CachedModels(stand)
    names = NAMES[:6]
    for order in (names, reversed(names), names):
        cached.access_all(order)
        cached.await_eviction()


@clause("cache.memory-limit")
@planting(_many, configuration=SMALL_CACHE)
def test_memory_is_within_its_limit_after_a_run(stand: Stand) -> None:
    """Of nine models asked for, an eviction run leaves no more in memory than cache_size."""
    _expect_memory_limit(stand)


@clause("cache.memory-limit")
@planting(_many, naming="paths", configuration=SMALL_CACHE)
def test_memory_is_within_its_limit_with_paths(stand: Stand) -> None:
    """With models.paths too, an eviction run leaves no more models in memory than cache_size."""
    _expect_memory_limit(stand)


def _expect_memory_limit(stand: Stand) -> None:
    cached = CachedModels(stand)
    cached.access_all(NAMES)
    cached.await_eviction()
    expect_within(cached, cached.in_memory(), cached.memory.limit, "in memory")


def _of_versions(grow: Grow) -> Planting:
    return Planting({name: versions({"3": grow(), "7": grow()}) for name in NAMES[:5]})


@clause("cache.memory-limit")
@planting(_of_versions, configuration=SMALL_CACHE)
def test_memory_is_within_its_limit_with_old_versions(stand: Stand) -> None:
    """Of five models of which an old version was asked for, a run leaves no more in memory than cache_size."""
    cached = _asked_for_old_versions(stand)
    cached.await_eviction()
    expect_within(cached, cached.in_memory(), cached.memory.limit, "in memory")


def _asked_for_old_versions(stand: Stand) -> CachedModels:
    cached = CachedModels(stand)
    for name in stand.models:
        cached.access(name, "3", version="3")
    return cached


# A server that is told to evict shows it by its limits alone; at short intervals nothing tells one run from the next.
@clause("cache.memory-limit")
@planting(_many, predictors=("python", "onnx"), configuration=SMALL_CACHE, clocks=IN_REAL_TIME)
def test_all_of_the_excess_in_memory_goes_at_once(stand: Stand) -> None:
    """The models that are too many in memory go in one run, not in one run each."""
    interval = stand.deployment.pace.intervals.evict
    cached = CachedModels(stand)
    window = cached.ask_within_one_window(NAMES[: cached.memory.limit + EXCESS])
    if not window.is_quiet:
        return  # what else than a run may let go of a model is the matter of another clause
    cached.await_eviction()
    expect_within(cached, cached.in_memory(), cached.memory.limit, "in memory")
    drops = cached.drops_since(window.ended)
    longest = max((after - before for before, after in pairwise(drops)), default=0.0)
    stand.expect(
        longest < 0.75 * interval or not _tells_runs_apart(cached),
        expected=f"the {len(drops)} models too many let go of in one run, which happens every {interval:g} s",
        observed=f"pauses of up to {longest:.2f} s between two of them",
    )


@clause("cache.disk-limit")
@planting(_many, configuration=SMALL_CACHE)
def test_disk_is_within_its_limit_after_a_run(stand: Stand) -> None:
    """Of nine models asked for, an eviction run leaves no more on disk than disk_cache_size."""
    cached = CachedModels(stand)
    cached.access_all(NAMES)
    stand.await_eviction()
    if stand.predictor == "python":
        expect_within(cached, cached.on_disk_by_path(), cached.disk.limit, "on disk under the path of load_model")
    expect_within(cached, cached.loaded_from_disk(), cached.disk.limit, "loaded again without a download")


@clause("cache.disk-limit")
@planting(_of_versions, configuration=SMALL_CACHE)
def test_disk_is_within_its_limit_with_old_versions(stand: Stand) -> None:
    """Of five models of which an old version was asked for, a run leaves no more on disk than disk_cache_size."""
    cached = _asked_for_old_versions(stand)
    stand.await_eviction()
    expect_within(cached, cached.loaded_from_disk(), cached.disk.limit, "loaded again without a download")


@clause("cache.disk-limit")
@planting(_many, predictors=("python",), configuration=SMALL_CACHE, clocks=IN_REAL_TIME)
def test_all_of_the_excess_on_disk_goes_at_once(stand: Stand) -> None:
    """The models that are too many on disk go in one run, not in one run each."""
    interval = stand.deployment.pace.intervals.evict
    cached = CachedModels(stand)
    if not cached.ask_within_one_window(NAMES[: cached.disk.limit + EXCESS]).is_quiet:
        return  # what else than a run may let go of a model is the matter of another clause
    before = len(cached.on_disk_by_path())
    seen: list[tuple[float, int]] = []

    def is_within() -> bool:
        seen.append((timing.now(), len(cached.on_disk_by_path())))
        return seen[-1][1] <= cached.disk.limit

    stand.await_eviction(is_within)
    expect_within(cached, cached.on_disk_by_path(), cached.disk.limit, "on disk under the path of load_model")
    between = [moment for moment, count in seen if cached.disk.limit < count < before]
    longest = between[-1] - between[0] if between else 0.0
    stand.expect(
        longest < 0.75 * interval or not _tells_runs_apart(cached),
        expected=f"all models too many gone from disk in one run, which happens every {interval:g} s",
        observed=f"some gone and some not for {longest:.2f} s",
    )


@clause("cache.keeps")
@planting(_many, configuration=SMALL_CACHE)
def test_run_leaves_as_many_in_memory_as_it_may(stand: Stand) -> None:
    """Of nine models asked for, as many as cache_size stay in memory, run after run."""
    cached = CachedModels(stand)
    cached.access_all(NAMES)
    for _ in range(2):
        stand.await_eviction()
    _expect_kept(cached, cached.in_memory(), cached.memory.limit, "in memory")


@clause("cache.keeps")
@planting(_many, configuration=SMALL_CACHE, sources=("s3",))
def test_run_leaves_as_many_on_disk_as_it_may(stand: Stand) -> None:
    """Of nine models asked for, as many as disk_cache_size stay on disk, run after run."""
    cached = CachedModels(stand)
    cached.access_all(NAMES)
    for _ in range(2):
        stand.await_eviction()
    _expect_kept(cached, cached.on_disk(), cached.disk.limit, "on disk, as nothing is downloaded for them")


@clause("cache.keeps")
@planting(_many, alone=True, predictors=("python", "onnx"), configuration=SMALL_CACHE)
def test_nothing_is_evicted_at_the_limit(stand: Stand) -> None:
    """As many models as memory and disk have room for stay there, from the first moment on."""
    cached = CachedModels(stand)
    in_memory, on_disk = NAMES[: cached.memory.limit], NAMES[: cached.disk.limit]
    first = cached.access_all(in_memory)
    stand.await_eviction()
    again = cached.access_all(in_memory)
    stand.expect(
        all(access.was_in_memory for access in again.values()),
        expected=f"{', '.join(first)} still in memory, which has room for them",
        observed=f"{', '.join(name for name, access in again.items() if not access.was_in_memory)} loaded again",
    )
    cached.access_all(on_disk)
    stand.await_eviction()
    _expect_kept(cached, cached.on_disk(), len(on_disk), "on disk, as nothing is downloaded for them")


def _tells_runs_apart(cached: CachedModels) -> bool:
    """Tell whether a pause shows that there were two runs, as each may take its own time; patience changes nothing."""
    return cached.stand.deployment.pace.intervals.evict > RUN_ALLOWANCE


def _expect_kept(cached: CachedModels, found: set[str], at_least: int, where: str) -> None:
    """Expect a run to have left no less than the limit."""
    cached.stand.expect(
        len(found) >= at_least,
        expected=f"{at_least} of {len(cached.memory.accessed)} models {where} after an eviction run, and no fewer",
        observed=f"{len(found)}: {listed(found)}",
    )
