"""What the models of frameworks take of memory goes back to the system when they are evicted."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

import psutil
import pytest

from conformance.marks import Configuration, Grow, Planting, clause, planting
from conformance.stand import Stand
from fixtures.models import onnx_model, python_model
from fixtures.models.frameworks import pandas_model, sklearn_model, torch_model
from fixtures.trees import File, Tree

SIZE = 64 << 20
"""Bytes that a model takes of memory."""

CYCLES, SETTLED = 30, 3
"""Loads, each followed by an eviction, and those after which the server has all the memory that it works with."""

TOO_MANY = 8
"""Models that were evicted and still take memory, at which there is no need to go on."""

ONE_MODEL = Configuration(cache_size=1, disk_cache_size=4)


@dataclass(frozen=True)
class Kind:
    """Models of one form: `make` takes their size in bytes, `packages` are those that load them."""

    name: str
    packages: tuple[str, ...]
    make: Callable[[int, Random], Tree]


def _numpy(size: int, random: Random) -> Tree:
    return python_model(files=("array.bin",), size=size, random=random)


def _pandas(size: int, random: Random) -> Tree:
    return pandas_model(size=size, random=random)


def _sklearn(size: int, random: Random) -> Tree:
    return sklearn_model(size=size, random=random)


def _onnx(size: int, random: Random) -> Tree:
    return onnx_model(size=size, random=random)


def _torch(size: int, random: Random) -> Tree:
    return torch_model(size=size, random=random)


def _list(size: int, random: Random) -> Tree:
    return _numpy(size // 2, random) | _onnx(size // 2, random) | Tree({"container.txt": File("list")})


def _dict(size: int, random: Random) -> Tree:
    return _pandas(size // 2, random) | _sklearn(size // 2, random) | Tree({"container.txt": File("dict")})


KINDS = (
    Kind("numpy", ("numpy",), _numpy),
    Kind("pandas", ("pandas",), _pandas),
    Kind("scikit-learn", ("sklearn",), _sklearn),
    Kind("ONNX Runtime", ("onnxruntime",), _onnx),
    Kind("PyTorch", ("torch",), _torch),
    Kind("list of numpy and ONNX Runtime", ("numpy", "onnxruntime"), _list),
    Kind("dict of pandas and scikit-learn", ("pandas", "sklearn"), _dict),
)

# Tens of seconds each, so that all of them are judged only where this is set; numpy always is.
ALL_KINDS = "SERVECHECK_FRAMEWORKS"
FRAMEWORKS = "`nox -s conformance-frameworks` judges it"


def _small(grow: Grow) -> Planting:
    return Planting({"small": _numpy(1 << 10, grow.random)})


@clause("clients.python.memory-returns")
@planting(_small, witness="frameworks", configuration=ONE_MODEL, one_source=True)
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name.replace(" ", "-"))
def test_memory_returns(stand: Stand, kind: Kind) -> None:
    """Loading and evicting two models in turn takes in the end no more memory than in the beginning, but for one."""
    if kind is not KINDS[0] and ALL_KINDS not in os.environ:
        pytest.skip(f"{kind.name} takes its time: {FRAMEWORKS}")
    _skip_unless_there(stand, kind.packages)
    random = Random(f"{stand.forest.run.seed} {kind.name}")
    names = [f"{kind.packages[0]}-{len(kind.packages)}-{letter}" for letter in "ab"]
    for name in names:
        stand.put(name, kind.make(SIZE, random))
    settled = 0
    for cycle in range(1, CYCLES + 1):
        name = names[cycle % 2]
        stand.expect_served(name)
        stand.await_eviction(None if cycle == SETTLED else lambda: _alive(stand) <= len(kind.packages))
        if cycle == SETTLED:
            settled = resident_memory(stand)
        if settled and resident_memory(stand) > settled + TOO_MANY * SIZE:
            break
    # Beside a model, the allocator touches pages of its own.
    limit = settled + SIZE * 11 // 10
    stand.await_eviction(lambda: resident_memory(stand) <= limit)
    last = resident_memory(stand)
    stand.expect(
        last <= limit,
        expected=f"at most one model of {SIZE >> 20} MiB more after cycle {CYCLES} of load and eviction than after"
        f" cycle {SETTLED}, when {settled >> 20} MiB of memory were resident",
        observed=f"{last >> 20} MiB after cycle {cycle}",
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
    return int((stand.deployment.predict({"census": True}).body or {})["alive"])


def _skip_unless_there(stand: Stand, packages: Sequence[str]) -> None:
    """Skip where the suite cannot make such models, or the server cannot load them."""
    if missing := [name for name in packages if importlib.util.find_spec(name) is None]:
        pytest.skip(f"{' and '.join(missing)} not installed: {FRAMEWORKS}")
    answer = stand.deployment.predict({"has": list(packages)})
    if missing := [name for name in packages if name not in (answer.body or {}).get("has", ())]:
        pytest.skip(f"the server's Python has no {' and '.join(missing)}: {FRAMEWORKS} of the reference")
