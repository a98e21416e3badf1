"""What the models of frameworks take of memory goes back to the system when they are evicted."""

from __future__ import annotations

import os
from random import Random

import psutil
import pytest

from conformance.clients.frameworks import KINDS, Kind, numpy_model, skip_unless_there
from conformance.marks import Configuration, Grow, Planting, clause, planting
from conformance.stand import Stand

SIZE = 64 << 20
"""Bytes that a model takes of memory."""

RUNS, SETTLED = 15, 2
"""Eviction runs, each of which ends two cycles of load and eviction, and those that come before the fourth of these."""

TOO_MANY = 8
"""Models that were evicted and still take memory, at which there is no need to go on."""

ONE_MODEL = Configuration(cache_size=1, disk_cache_size=4)


# Tens of seconds each, so that all of them are judged only where this is set; numpy always is.
ALL_KINDS = "SERVECHECK_FRAMEWORKS"


def _small(grow: Grow) -> Planting:
    return Planting({"small": numpy_model(1 << 10, grow.random)})


@clause("clients.python.memory-returns")
@planting(_small, witness="frameworks", configuration=ONE_MODEL, one_source=True)
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name.replace(" ", "-"))
def test_memory_returns(stand: Stand, kind: Kind) -> None:
    """Loading and evicting three models in turn takes in the end no more memory than in the beginning, but for one."""
    if kind is not KINDS[0] and ALL_KINDS not in os.environ:
        pytest.skip(f"{kind.name} takes its time: `nox -s conformance-frameworks` judges it")
    skip_unless_there(stand, kind.packages)
    random = Random(f"{stand.forest.run.seed} {kind.name}")
    names = [f"{kind.packages[0]}-{len(kind.packages)}-{letter}" for letter in "abc"]
    for name in names:
        stand.put(name, kind.make(SIZE, random))
    settled = 0
    for run in range(1, RUNS + 1):
        # The last one of them is still there.
        for name in names:
            stand.expect_served(name)
        stand.await_eviction(None if run == SETTLED else lambda: _alive(stand) <= len(kind.packages))
        if run == SETTLED:
            settled = resident_memory(stand)
        if settled and resident_memory(stand) > settled + TOO_MANY * SIZE:
            break
    # Beside a model, the allocator touches pages of its own.
    limit = settled + SIZE * 11 // 10
    stand.await_eviction(lambda: resident_memory(stand) <= limit)
    last = resident_memory(stand)
    stand.expect(
        last <= limit,
        expected=f"at most one model of {SIZE >> 20} MiB more after {2 * RUNS} cycles of load and eviction than after"
        f" {2 * SETTLED}, when {settled >> 20} MiB of memory were resident",
        observed=f"{last >> 20} MiB after {2 * run}",
    )


def resident_memory(stand: Stand) -> int:
    """Give the resident memory of the server and all of its processes, in bytes."""
    server = psutil.Process(stand.deployment.process.pid)
    total = 0
    for process in [server, *server.children(recursive=True)]:
        try:
            total += process.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total


def _alive(stand: Stand) -> int:
    return int(stand.deployment.predict({"census": True}).body["alive"])
