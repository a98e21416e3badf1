"""The prediction, compared with an exact simulation of eviction runs, and the command that prints it."""

import subprocess
import sys
from collections import OrderedDict
from random import Random

import numpy as np
import pytest

from load.popularity import Draws, shares
from load.prediction import forecast
from tests.conformance.suite_runs import ROOT

MODELS = 400
REQUESTS = 600


def simulated_peak(exponent: float, limit: int, *, runs: int = 150) -> float:
    """Play requests and runs that keep the models used last; gives the mean count just before a run."""
    draws = Draws(shares(MODELS, exponent), Random(7))
    used: OrderedDict[int, None] = OrderedDict()
    peaks = []
    for _ in range(runs):
        for _ in range(REQUESTS):
            model = draws.next()
            used[model] = None
            used.move_to_end(model)
        peaks.append(len(used))
        while len(used) > limit:
            used.popitem(last=False)
    # The first runs find a cache that has not been full yet.
    return float(np.mean(peaks[10:]))


@pytest.mark.parametrize("limit", [20, 60, 200])
@pytest.mark.parametrize("exponent", [0.0, 0.6, 1.0, 1.4])
def test_formula_agrees_with_the_simulated_runs(exponent: float, limit: int) -> None:
    """The predicted peak is within 2 % of that of simulated runs, however popularity and limit are."""
    predicted = forecast(shares(MODELS, exponent), REQUESTS, limit).peak
    assert predicted == pytest.approx(simulated_peak(exponent, limit), rel=0.02)


@pytest.mark.parametrize(("exponent", "limit"), [(0.6, 200), (1.0, 200), (1.4, 100)])
def test_survivors_count(exponent: float, limit: int) -> None:
    """Without the survivors of the last run, what is touched until the next falls short of the peak."""
    found = forecast(shares(MODELS, exponent), REQUESTS, limit)
    assert max(limit, found.touched) < 0.9 * simulated_peak(exponent, limit)


def test_rare_peak_is_rare() -> None:
    """Hardly one simulated run in a hundred exceeds the count that one in a thousand is predicted to exceed."""
    popularity, limit = shares(MODELS, 1.0), 60
    draws = Draws(popularity, Random(11))
    rare = forecast(popularity, REQUESTS, limit).rare_peak
    used: OrderedDict[int, None] = OrderedDict()
    exceeded = 0
    for _ in range(300):
        for _ in range(REQUESTS):
            model = draws.next()
            used[model] = None
            used.move_to_end(model)
        exceeded += len(used) > rare
        while len(used) > limit:
            used.popitem(last=False)
    assert exceeded <= 3


def test_nothing_is_over_where_everything_fits() -> None:
    """With a limit of all models or more, the peak is all models."""
    for limit in (10, 50):
        found = forecast(shares(10, 1.0), 1000, limit)
        assert found.peak == found.rare_peak == 10
        assert found.fresh == 0


def test_only_model_is_no_special_case() -> None:
    """A single model is predicted without a division by nothing."""
    assert forecast(shares(1, 1.0), 5, 1).peak == 1


def test_no_requests_leave_the_limit() -> None:
    """Without requests the survivors are all there is."""
    assert forecast(shares(100, 1.0), 0, 10).peak == pytest.approx(10)


def predict(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command."""
    command = [sys.executable, "-m", "load", "predict", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_command_prints_peak_and_memory() -> None:
    """`predict` gives the peaks in memory and on disk, with bytes, and starts nothing."""
    ended = predict(
        *("--models", "1000", "--rate", "50", "--cache-size", "50", "--disk-cache-size", "200"),
        *("--exponent", "0.9", "--interval", "10", "--model-size", "100MB", "--base", "1GB"),
    )
    assert ended.returncode == 0, ended.stderr
    peaks = [line for line in ended.stdout.splitlines() if "peak before the next run" in line]
    found = forecast(shares(1000, 0.9), 500, 50).peak
    assert f"{found:,.1f}  {(1e9 + found * 100e6) / 1e9:,.1f} GB" in peaks[0]
    assert f"{forecast(shares(1000, 0.9), 500, 200).peak:,.1f}" in peaks[1]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--rate", "5", "--cache-size", "5"], "--models"),
        (["--models", "0", "--rate", "5", "--cache-size", "5"], "--models: 0 is less than 1"),
        (["--models", "9", "--rate", "-1", "--cache-size", "5"], "--rate: -1 is not more than 0"),
        (["--models", "9", "--rate", "1", "--cache-size", "5", "--model-size", "big"], "'big' is no size"),
    ],
)
def test_bad_number_is_named(arguments: list[str], words: str) -> None:
    """An option that cannot be used is named, and the exit status is that of an error."""
    ended = predict(*arguments)
    assert ended.returncode == 3
    assert words in ended.stderr
