"""How often eviction runs: every ten seconds, as the document says, in real time on a server as it is by default."""

import itertools

from conformance import timing
from conformance.cache.cached import CachedModels
from conformance.implementation import ClockName
from conformance.marks import SMALL_CACHE, Grow, Planting, clause, planting
from conformance.stand import Stand

PERIOD = 10.0
RUNS = 4
BETWEEN_REQUESTS = 0.1

# Seconds by which a run may be early or late.
PUNCTUALITY = 1.0


def _rotating(grow: Grow) -> Planting:
    return Planting({name: grow() for name in "abc"})


@clause("cache.period")
@planting(_rotating, configuration=SMALL_CACHE, clocks=(ClockName.DEFAULT,))
def test_runs_follow_each_other_every_ten_seconds(stand: Stand) -> None:
    """Of models asked for in turn, one more than memory has room for, one has gone every ten seconds."""
    begun = timing.now()
    asked: dict[str, float] = {}
    # Each run took place after its model was asked for and was in memory, and before it had to be loaded anew.
    runs: list[tuple[float, float]] = []
    longest = 0.0
    cached = CachedModels(stand)
    for name in itertools.cycle(stand.models):
        before = timing.now()
        if len(runs) == RUNS or before > begun + (RUNS + 1) * PERIOD:
            break
        access = cached.access(name)
        is_seen = bool(runs) and asked.get(name, 0.0) < runs[-1][1]
        if name in asked and not access.was_in_memory and not is_seen:
            runs.append((asked[name], timing.now()))
            longest = max(longest, timing.now() - before)
        asked[name] = before
        timing.wait_until(before + BETWEEN_REQUESTS)
    # A run may take its own time, which is seen by the request that meets it, and then the next period begins; one that
    # was late does not shorten all others.
    tolerance = max(PUNCTUALITY, longest) * stand.deployment.pace.patience
    stand.expect(
        len(runs) == RUNS
        and all(
            last[0] - first[1] <= number * (PERIOD + tolerance) and last[1] - first[0] >= number * PERIOD - tolerance
            for number in range(1, RUNS)
            for first, last in zip(runs, runs[number:], strict=False)
        ),
        expected=f"{RUNS} runs, each {PERIOD:g} s after the one before, within {tolerance:.3g} s",
        observed=f"runs between {' s, '.join(f'{first - begun:.1f} and {last - begun:.1f}' for first, last in runs)} s"
        if runs
        else f"no run in {timing.now() - begun:.0f} s",
    )
