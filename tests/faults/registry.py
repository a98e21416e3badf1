"""All changes of the reference: faults, each with the clauses that it breaks, and variations, which break none.

A module in changes/ or variations/ registers its own; nothing else has to be told of it.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.faults.configurations import EVERYTHING, LONG_TESTS, Configuration

Apply = Callable[[], None]

_PACKAGES = ("tests.faults.changes", "tests.faults.variations")
_CHANGES: dict[str, Change] = {}


@dataclass(frozen=True)
class Change:
    """A way in which a server differs from the reference; `apply` makes the difference, in this process.

    `breaks` are the clauses that a fault was written for, `also` those that it breaks besides, on the configurations
    `on`; no others may turn red there. `seen` says where such a bug was met, or why a variation is allowed.
    """

    name: str
    description: str
    seen: str
    on: tuple[Configuration, ...]
    breaks: frozenset[str]
    also: frozenset[str]
    intervals: Mapping[str, Any]
    """What the server declares of its pace where that differs from the reference."""
    needs: frozenset[str]
    """Which of LONG_TESTS are run too."""
    directly: bool
    """Whether its processes must be those that the suite starts, as their memory is looked at; it takes longer."""
    apply: Apply = field(compare=False)
    files: frozenset[Path]
    """The modules that it is written in."""

    @property
    def clauses(self) -> frozenset[str]:
        """All clauses that must turn red."""
        return self.breaks | self.also

    @property
    def is_fault(self) -> bool:
        """Whether the suite must accuse the server, and not accept it."""
        return bool(self.breaks)


def fault(
    name: str,
    *,
    seen: str,
    on: Iterable[Configuration],
    breaks: Iterable[str],
    also: Iterable[str] = (),
    intervals: Mapping[str, Any] | None = None,
    needs: Iterable[str] = (),
    directly: bool = False,
) -> Callable[[Apply], Apply]:
    """Register a fault; the docstring of the function describes the server."""
    return _register(
        name,
        seen=seen,
        on=tuple(on),
        breaks=frozenset(breaks),
        also=frozenset(also),
        intervals=intervals or {},
        needs=frozenset(needs),
        directly=directly,
    )


def variation(
    name: str,
    *,
    allowed: str,
    on: Iterable[Configuration] = (EVERYTHING,),
    intervals: Mapping[str, Any] | None = None,
    directly: bool = False,
) -> Callable[[Apply], Apply]:
    """Register a harmless variation; `allowed` says why the contract permits it, the docstring what it does."""
    none: frozenset[str] = frozenset()
    return _register(
        name,
        seen=allowed,
        on=tuple(on),
        breaks=none,
        also=none,
        intervals=intervals or {},
        needs=frozenset(LONG_TESTS),
        directly=directly,
    )


def _register(name: str, **facts: Any) -> Callable[[Apply], Apply]:
    def register(apply: Apply) -> Apply:
        assert apply.__doc__, f"{name} has no description"
        assert name not in _CHANGES, f"there are two changes called {name}"
        assert facts["needs"] <= LONG_TESTS.keys(), f"{name} needs tests that are not there"
        description = " ".join(apply.__doc__.split())
        files = frozenset({Path(inspect.getfile(apply))})
        _CHANGES[name] = Change(name=name, description=description, apply=apply, files=files, **facts)
        return apply

    return register


def changes() -> Mapping[str, Change]:
    """Give all changes by name, family by family."""
    for package in _PACKAGES:
        for module in pkgutil.iter_modules(importlib.import_module(package).__path__, prefix=f"{package}."):
            importlib.import_module(module.name)
    return dict(_CHANGES)


def find(name: str) -> Change:
    """Give a change by its name, or that of all variations in `NAME+NAME`, as one server has them; raises KeyError."""
    there = changes()
    return functools.reduce(_both, (there[part] for part in name.split("+")))


def _both(one: Change, other: Change) -> Change:
    if one.is_fault or other.is_fault or one.on != other.on or (one.intervals and other.intervals):
        raise KeyError(f"{one.name} and {other.name}: only variations on the same configurations go together")

    def apply() -> None:
        one.apply()
        other.apply()

    return replace(
        one,
        name=f"{one.name}+{other.name}",
        description=f"{one.description} {other.description}",
        seen=f"{one.seen}; {other.seen}",
        intervals={**one.intervals, **other.intervals},
        directly=one.directly or other.directly,
        apply=apply,
        files=one.files | other.files,
    )
