"""Popularity: which share of the requests each model gets, and draws from it."""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from random import Random

import numpy as np
import numpy.typing as npt

Shares = npt.NDArray[np.float64]


def shares(models: int, exponent: float) -> Shares:
    """Give each model's share of the requests, the most popular first: Zipf's law, rank to the power of -exponent.

    An exponent of 0 makes all models equally popular.
    """
    weights = np.arange(1, models + 1, dtype=np.float64) ** -exponent
    return np.asarray(weights / weights.sum())


class Draws:
    """Draws models by their popularity, each independent of the last; the same for the same generator."""

    def __init__(self, popularity: Shares, random: Random) -> None:
        self._bounds: Sequence[float] = np.cumsum(popularity)[:-1].tolist()
        self._random = random

    def next(self) -> int:
        """Give the number of a model, counted from 0."""
        return bisect.bisect_right(self._bounds, self._random.random())
