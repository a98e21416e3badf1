"""Models that change while a cache holds them, or holds them no more."""

from concurrent.futures import ThreadPoolExecutor, wait

from conformance.broken_content import BROKEN
from conformance.cache.cached import CachedModels
from conformance.held_request import braked, held_load
from conformance.marks import SMALL_CACHE, THREADED_CACHE, Grow, Planting, clause, planting
from conformance.stand import Stand
from fixtures.trees import versions


def _to_be_evicted(grow: Grow) -> Planting:
    return Planting(
        {
            # After a run: neither in memory nor on disk...
            "gone": grow(),
            "leaving": grow(),
            # ... on disk only...
            "stored": grow(),
            "extended": versions({"1": grow()}),
            # ... and in both.
            "one": grow(),
            "another": grow(),
        }
    )


@clause("cache.reload")
@planting(_to_be_evicted, configuration=SMALL_CACHE)
def test_change_of_an_evicted_model_is_served(stand: Stand) -> None:
    """Evicted from memory, or from disk too, a model follows its update, its next version and its removal in time."""
    cached = CachedModels(stand)
    for name in stand.models:
        cached.access(name, "1" if name == "extended" else "")
    cached.await_eviction()
    stand.put("gone", stand.grow())
    stand.put("stored", stand.grow())
    stand.put("extended", versions({"2": stand.grow()}))
    stand.remove("leaving")
    stand.expect_served("gone")
    stand.expect_served("stored")
    stand.expect_served("extended", "2")
    stand.expect_served("extended", "1", version="1")
    stand.expect_gone("leaving")


def _to_be_overtaken(grow: Grow) -> Planting:
    return Planting({"overtaken": braked(grow()), "one": grow(), "another": grow()})


# One server takes content from both sources in the same way once it is there.
@clause("cache.reload")
@planting(_to_be_overtaken, predictors=("python",), configuration=THREADED_CACHE, one_source=True)
def test_update_of_a_model_that_is_being_loaded_is_served(stand: Stand) -> None:
    """Overwritten while a request loads what it was before, a model is served as it is now from then on."""
    cached = CachedModels(stand)
    cached.access_all(stand.models)
    cached.await_eviction()
    with ThreadPoolExecutor(1) as pool:
        with held_load(stand, "overtaken"):
            stand.put("overtaken", braked(stand.grow()))
            # The call that makes a driven server look may wait for the load.
            looking = pool.submit(stand.settle)
            wait([looking], timeout=stand.deployment.pace.settle)
        looking.result()
    # The deadline counts from here, and not from before the load could end.
    stand.put("one", stand.grow())
    stand.expect_served("one")
    stand.expect_served("overtaken")


def _to_be_broken(grow: Grow) -> Planting:
    return Planting({"beside": grow(), "updated": grow()})


@clause("reload.broken-keeps-last-good")
@planting(_to_be_broken, configuration=SMALL_CACHE)
def test_broken_update_of_a_cached_model_leaves_the_last_good_one(stand: Stand) -> None:
    """With a cache too, before and after a run, an update that cannot be loaded leaves what was served."""
    cached = CachedModels(stand)
    cached.access_all(stand.models)
    good = frozenset(stand.models["updated"].tokens.values())
    stand.put("updated", BROKEN[stand.predictor])
    stand.settle()
    for _ in range(2):
        answer = stand.ask("updated")
        stand.expect(
            answer.tokens == good,
            expected="the last good revision while the update cannot be loaded",
            observed=stand.describe(answer),
        )
        cached.access("beside")
        cached.await_eviction()


def _filling_memory(grow: Grow) -> Planting:
    return Planting({"beside": grow(), "updated": grow()})


@clause("reload.broken-keeps-last-good")
@planting(_filling_memory, configuration=SMALL_CACHE)
def test_failed_load_evicts_nothing(stand: Stand) -> None:
    """With a full cache, an update of one model that cannot be loaded leaves the other one in memory."""
    cached = CachedModels(stand)
    cached.access_all(stand.models)
    stand.put("updated", BROKEN[stand.predictor])
    stand.settle()
    stand.ask("updated")
    stand.expect(
        cached.access("beside").was_in_memory,
        expected="the other model still in memory, which has room for both",
        observed="it was loaded once more",
    )
