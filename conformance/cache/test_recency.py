"""Which models an eviction run leaves in memory and on disk: those accessed most recently."""

from collections.abc import Callable, Sequence
from random import Random
from typing import NamedTuple

from conformance import timing
from conformance.cache.cached import CachedModels, listed
from conformance.cache.lru import LeastRecentlyUsed
from conformance.marks import SMALL_CACHE, Grow, Planting, clause, planting
from conformance.stand import Stand
from fixtures.trees import versions

NAMES = tuple("abcdef")
ACCESSES_AT_RANDOM = 15
ATTEMPTS = 3


def _several(grow: Grow) -> Planting:
    return Planting({name: grow() for name in NAMES})


@clause("cache.lru-memory")
@planting(_several, configuration=SMALL_CACHE)
def test_access_keeps_a_model_that_was_loaded_first(stand: Stand) -> None:
    """A model that was loaded first and accessed last stays in memory: the order of access counts."""
    cached = CachedModels(stand)
    _expect_in_memory(cached, lambda: _ask(cached, "abcda"))


@clause("cache.lru-memory")
@planting(_several, configuration=SMALL_CACHE)
def test_memory_keeps_what_any_order_of_accesses_says(stand: Stand) -> None:
    """After accesses in a random order, what stays in memory is what a model of the least recently used says."""
    cached = CachedModels(stand)
    _expect_in_memory(cached, lambda: _ask(cached, _at_random(stand)))


def _of_versions(grow: Grow) -> Planting:
    return Planting({name: versions({"3": grow(), "7": grow()}) for name in "abc"})


@clause("cache.lru-memory")
@planting(_of_versions, configuration=SMALL_CACHE)
def test_latest_and_its_number_are_one_entry(stand: Stand) -> None:
    """A model accessed as latest, then by the number of that version, takes one place, and was accessed just now."""
    cached = CachedModels(stand)

    def ask() -> None:
        for name in "abc":
            cached.access(name, "7")
        cached.access("a", "7", version="7")

    _expect_in_memory(cached, ask)


@clause("cache.lru-memory")
@planting(_of_versions, configuration=SMALL_CACHE)
def test_number_and_latest_are_one_entry(stand: Stand) -> None:
    """A version loaded by its number is the one that a request for the latest gets, and takes no second place."""
    cached = CachedModels(stand)

    def ask() -> None:
        cached.access("b", "7", version="7")
        cached.access("a", "7", version="7")
        access = cached.access("a", "7")
        stand.expect(
            access.was_in_memory,
            expected="the latest version already in memory, as it was asked for by its number",
            observed="it was loaded once more",
        )

    _expect_in_memory(cached, ask)


@clause("cache.lru-memory")
@planting(_of_versions, configuration=SMALL_CACHE)
def test_access_keeps_an_old_version(stand: Stand) -> None:
    """Of models of which an old version is asked for, what stays in memory are those accessed last too."""
    cached = CachedModels(stand)

    def ask() -> None:
        for name in "abca":
            cached.access(name, "3", version="3")

    _expect_in_memory(cached, ask)


def _ask(cached: CachedModels, names: Sequence[str]) -> None:
    for name in names:
        cached.access(name)


def _at_random(stand: Stand) -> list[str]:
    """Draw accesses in which each model occurs, the same for the same seed."""
    random = Random(stand.forest.run.seed)
    return [*random.sample(NAMES, k=len(NAMES)), *random.choices(NAMES, k=ACCESSES_AT_RANDOM)]


def _expect_in_memory(cached: CachedModels, ask: Callable[[], None]) -> None:
    def look() -> set[str]:
        cached.await_eviction()
        return cached.in_memory()

    left = _what_a_run_leaves(cached, cached.memory, ask, look)
    cached.stand.expect(
        left.found == left.expected,
        expected=f"{listed(left.expected)} in memory after a run, of {left.accessed}, the one accessed last first",
        observed=f"{listed(left.found)} in memory",
    )


class _Left(NamedTuple):
    """What was found after a run, what ought to be, and all models, the one accessed last first."""

    found: set[str]
    expected: set[str]
    accessed: str


def _what_a_run_leaves(
    cached: CachedModels, layer: LeastRecentlyUsed, ask: Callable[[], None], look: Callable[[], set[str]]
) -> _Left:
    """Ask for models, and look what the next run leaves; again if it is something else, and runs come by themselves.

    A run that is under way during an access may have chosen before it what goes, which is right.
    """
    for _ in range(1 if cached.is_driven else ATTEMPTS):
        ask()
        expected, accessed = set(layer.kept), ", ".join(layer.accessed)
        left = _Left(look(), expected, accessed)
        if left.found == left.expected:
            break
    return left


@clause("cache.lru-disk")
@planting(_several, configuration=SMALL_CACHE)
def test_access_keeps_a_model_on_disk(stand: Stand) -> None:
    """A model that was downloaded first and accessed last stays on disk: the order of access counts."""
    cached = CachedModels(stand)
    _expect_on_disk(cached, lambda: _ask(cached, "abcdefa"))


@clause("cache.lru-disk")
@planting(_several, configuration=SMALL_CACHE)
def test_disk_keeps_what_any_order_of_accesses_says(stand: Stand) -> None:
    """After accesses in a random order, what stays on disk is what a model of the least recently used says."""
    cached = CachedModels(stand)
    _expect_on_disk(cached, lambda: _ask(cached, _at_random(stand)))


def _expect_on_disk(cached: CachedModels, ask: Callable[[], None]) -> None:
    def look() -> set[str]:
        cached.stand.await_eviction()
        return cached.on_disk()

    left = _what_a_run_leaves(cached, cached.disk, ask, look)
    cached.stand.expect(
        left.found == left.expected,
        expected=f"nothing downloaded for {listed(left.expected)}, which a run leaves on disk of {left.accessed},"
        " the one accessed last first",
        observed=f"nothing downloaded for {listed(left.found)}",
    )


@clause("cache.two-layers")
@planting(_several, configuration=SMALL_CACHE)
def test_model_on_disk_is_loaded_without_a_download(stand: Stand) -> None:
    """A model that went from memory and not from disk is loaded again, and nothing is downloaded for it."""
    cached = CachedModels(stand)
    _ask(cached, "abcd")
    cached.await_eviction()
    access = cached.access("a")
    stand.expect(
        not access.was_in_memory and not access.downloads,
        expected="model a, of which memory has no room, loaded from disk",
        observed="it stayed in memory"
        if access.was_in_memory
        else f"downloads of {', '.join(str(request.key) for request in access.downloads)}",
    )


@clause("cache.two-layers")
@planting(_several, configuration=SMALL_CACHE)
def test_model_gone_from_disk_is_downloaded_once(stand: Stand) -> None:
    """A model that went from disk is downloaded when it is asked for, each of its files once, and then is on disk."""
    cached = CachedModels(stand)
    _ask(cached, NAMES)
    stand.await_eviction()
    begun = timing.now()
    cached.access("a")
    stand.await_eviction()
    _ask(cached, "bca")
    fetched = cached.bytes_fetched("a", since=begun)
    stand.expect(
        fetched == {key: file.size for key, file in stand.models["a"].items()},
        expected="each file of model a downloaded once, by the first of two requests",
        observed=f"bytes downloaded of each file: {fetched}",
    )
