"""Searches by random programs, of which the first that fails is reduced by Hypothesis to the least that still does."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from random import Random

from hypothesis import HealthCheck, Phase, settings
from hypothesis import seed as with_seed
from hypothesis.errors import Flaky
from hypothesis.stateful import run_state_machine_as_test

from conformance.catalogue import PredictorType, Source
from conformance.clock import Driven
from conformance.implementation import ClockName, Declares
from conformance.reload.program import FaultFoundError, Program, ServerGone
from conformance.reload.search import Search
from conformance.stand import Stand

STEPS = 24

# On each server. One that works by itself takes an interval for each step after which it is to have looked, and S3
# takes longer for all that is published than a directory.
PROGRAMS: Mapping[tuple[ClockName, Source], int] = {
    (ClockName.DRIVEN, "local"): 40,
    (ClockName.DRIVEN, "s3"): 10,
    (ClockName.TIMED, "local"): 2,
    (ClockName.TIMED, "s3"): 1,
}

# Hypothesis makes the first two at a time as simple as they can be, always the same, so that they do not count. Once it
# has seen ten, it makes five of six from others that it made.
_SIMPLEST = 2
_ROUND = 8

# On all servers that are told when to look, together: whoever declares little has more of them on each.
LEAST_DRIVEN = 200
PREDICTORS: tuple[PredictorType, ...] = ("python", "onnx")


def programs_on(clock: ClockName, source: Source, declares: Declares) -> int:
    """Give the number of programs on each server that reads from this source, by what the implementation declares."""
    usual = PROGRAMS[clock, source]
    if clock is not ClockName.DRIVEN:
        return usual
    predictors = len(set(PREDICTORS) & set(declares.predictors))
    settings = predictors * (2 if "cache" in declares.features else 1)
    together = settings * sum(PROGRAMS[clock, each] for each in declares.sources)
    return max(usual, math.ceil(usual * LEAST_DRIVEN / together))


def search(stand: Stand, programs: int, seed: int) -> Search:
    """Run so many random programs of `STEPS` steps, all on the server of the stand, up to the first that fails.

    Before some of them the simplest program runs, which does not count.
    The models that the stand has are removed, so that the directory is empty whenever a program has emptied it.
    """
    found = Search(stand)
    numbers = itertools.count(1)
    for name in list(stand.models):
        stand.remove(name)

    last: Program | None = None

    def program() -> Program:
        nonlocal last
        last = Program(found, next(numbers))
        return last

    seeds = Random(seed)
    driven = isinstance(stand.deployment.clock, Driven)
    usual = settings(
        stateful_step_count=STEPS,
        database=None,
        deadline=None,
        print_blob=False,
        report_multiple_bugs=False,
        # In real time a program takes minutes, and does not fail the same way twice.
        phases=[Phase.generate, Phase.shrink] if driven else [Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    try:
        for done in range(0, programs, _ROUND):
            # The seed is read from whatever makes the programs.
            with_seed(seeds.getrandbits(64))(program)
            run_state_machine_as_test(
                program,  # type: ignore[arg-type] # "a class or a function"
                settings=settings(usual, max_examples=_SIMPLEST + min(programs - done, _ROUND)),
            )
    except (FaultFoundError, Flaky):
        # A program that does not fail again has failed all the same, if an answer was the reason.
        if found.violation is None:
            raise
    except ServerGone as gone:
        assert last is not None
        found.bury(gone.__cause__, last.script, last.last_event)
    return found
