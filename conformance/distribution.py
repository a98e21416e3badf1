"""Runs on several processes, `-n 2`: pytest-xdist gives whole grounds to workers, and the controller sums up.

A worker has an endpoint and servers of its own. The controller runs no test: it looks whether the server can be plugged
in, collects the reports, and writes the results.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from enum import Enum, auto
from typing import Any, NamedTuple

import pytest

from conformance import selection
from conformance.outcomes import Outcome, TestResult

_KEY = "servecheck"


class Role(Enum):
    """What a process does in a run."""

    ALONE = auto()
    CONTROLLER = auto()
    WORKER = auto()


def role_of(config: pytest.Config) -> Role:
    """Give the role of the process that has this configuration."""
    if hasattr(config, "workeroutput"):
        return Role.WORKER
    return Role.CONTROLLER if config.getoption("numprocesses", None) else Role.ALONE


def prepare_distribution(config: pytest.Config, seed: int) -> None:
    """Let workers have whole grounds, and the seed of the controller; before any of them is started."""
    config.option.seed = seed
    if role_of(config) is Role.CONTROLLER:
        config.option.dist = "loadgroup"


def group_by_ground(items: Iterable[pytest.Item]) -> None:
    """Mark tests so that those of one ground go to one worker."""
    for item in items:
        if (ground := selection.ground_of(item)) is not None:
            item.add_marker(pytest.mark.xdist_group(f"{ground} {ground.alone}".replace("@", " ")))


class Handed(NamedTuple):
    """What no report tells: results of tests that were not run, errors and notes of no test, folders that are kept."""

    results: Sequence[TestResult] = ()
    errors: Sequence[str] = ()
    notes: Sequence[str] = ()
    kept: Sequence[str] = ()


def hand_over(config: pytest.Config, handed: Handed) -> None:
    """Give it to the controller."""
    results = [asdict(result) | {"outcome": str(result.outcome)} for result in handed.results]
    output: dict[str, Any] = vars(config)["workeroutput"]
    output[_KEY] = handed._asdict() | {"results": results}


def take_over(output: dict[str, Any]) -> Handed:
    """Read what a worker handed over; nothing, if it did not get so far."""
    if (handed := output.get(_KEY)) is None:
        return Handed()
    results = [TestResult(**fields | {"outcome": Outcome(fields["outcome"])}) for fields in handed["results"]]
    return Handed(**handed | {"results": results})
