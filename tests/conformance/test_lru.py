"""The pure model of the cache, against the contract's words and against a cache that really runs."""

from hypothesis import given
from hypothesis import strategies as st

from conformance.cache.lru import LeastRecentlyUsed

ACCESSES = st.lists(st.sampled_from("abcdefg"), max_size=40)


def test_most_recently_accessed_stay() -> None:
    """What stays are the models accessed last, the excess goes."""
    layer = LeastRecentlyUsed(2, "abc")
    assert (list(layer.kept), list(layer.evicted)) == (["c", "b"], ["a"])


def test_access_order_beats_load_order() -> None:
    """A model that was accessed first and again last stays."""
    layer = LeastRecentlyUsed(2, "abca")
    assert (list(layer.kept), list(layer.evicted)) == (["a", "c"], ["b"])


def test_nothing_goes_at_the_limit() -> None:
    """As many models as there is room for stay, and fewer too."""
    assert list(LeastRecentlyUsed(3, "abca").evicted) == []
    assert list(LeastRecentlyUsed(3).kept) == []


@given(ACCESSES, st.integers(1, 5), st.sets(st.integers(0, 40)))
def test_runs_in_between_make_no_difference(accesses: list[str], limit: int, runs: set[int]) -> None:
    """A cache whose eviction runs come at any moments, and once at the end, holds in the end what the model says."""
    held: dict[str, int] = {}
    for moment, name in enumerate(accesses):
        held[name] = moment
        if moment in runs:
            held = dict(sorted(held.items(), key=lambda item: item[1])[-limit:])
    held = dict(sorted(held.items(), key=lambda item: item[1])[-limit:])
    assert set(LeastRecentlyUsed(limit, accesses).kept) == set(held)
