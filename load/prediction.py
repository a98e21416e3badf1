"""What to expect between two eviction runs: how many models there will be in memory and on disk, from figures alone.

The survivors of a run are the `limit` models that were used last. Until the next run every model that is touched and
is not among them is added, and none goes, so that just before that run there are

    limit + E[distinct models touched since the last run that are not among its survivors]

Requests are taken as independent of each other, n of them between two runs, each for model i with probability p_i.
What is touched after a run is then independent of who survived it, and

    E[fresh] = sum over i of (1 - s_i) (1 - (1 - p_i)^n)

where s_i is the probability that model i survives. It is computed by Che's approximation: a model is among the `limit`
that were used last if it was used within the last t requests, the same t for all, namely the one at which that many
distinct models are to be expected: s_i = 1 - (1 - p_i)^t with sum over i of s_i = limit. (H. Che, Y. Tung, Z. Wang,
"Hierarchical Web caching systems", IEEE JSAC 20(7), 2002.) The tests compare it with an exact simulation of the runs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from load.popularity import Shares

# Halvings of an interval of at most 2**60 requests: to less than one request.
_HALVINGS = 120
_MOST_REQUESTS = 2.0**60


@dataclass(frozen=True)
class Forecast:
    """What is to be expected just before an eviction run, in models.

    `fresh` are those touched since the last run that did not survive it; `peak` is `survivors` + `fresh`; one run in a
    thousand exceeds `rare_peak`. After `fills` requests the cache has met as many models as it keeps: before that,
    peaks are lower.
    """

    survivors: float
    touched: float
    fresh: float
    peak: float
    rare_peak: float
    fills: float


def forecast(popularity: Shares, requests: float, limit: int) -> Forecast:
    """Predict the peak for a limit of models and so many requests between two runs; pure.

    `popularity` are the shares of all models, which add up to 1.
    """
    # No model is asked for with certainty, not even the only one: log1p(-1) is no number.
    misses = np.log1p(-np.minimum(popularity, 1 - 1e-12))

    def used_within(count: float) -> Shares:
        return np.asarray(-np.expm1(count * misses))

    touched = used_within(requests)
    if limit >= len(popularity):
        everything = float(len(popularity))
        return Forecast(everything, float(touched.sum()), 0.0, everything, everything, _MOST_REQUESTS)
    low, high = 0.0, _MOST_REQUESTS
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if used_within(middle).sum() < limit else (low, middle)
    fresh = (1 - used_within(high)) * touched
    peak = limit + float(fresh.sum())
    # Whether one model is fresh says little about another, and what it says makes the sum vary less, not more.
    spread = float(np.sqrt((fresh * (1 - fresh)).sum()))
    rare = min(peak + 3.09 * spread, float(len(popularity)))
    return Forecast(float(limit), float(touched.sum()), float(fresh.sum()), peak, rare, high)
