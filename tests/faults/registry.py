"""All changes of the reference: faults, each with the clauses that it breaks, and variations, which break none.

A module in changes/ or variations/ registers its own; nothing else has to be told of it.
"""

from __future__ import annotations

import difflib
import functools
import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from tests.faults.configurations import EVERYTHING, LONG_TESTS, Configuration

Apply = Callable[[], None]
Clock = Literal["timed", "driven"]

_PACKAGES = ("tests.faults.changes", "tests.faults.variations")
_CHANGES: dict[str, Change] = {}


class ChangeError(Exception):
    """There is no change as it was asked for; the message says why."""


@dataclass(frozen=True)
class Change:
    """A way in which a server differs from the reference; `apply` makes the difference, in this process.

    `breaks` are the clauses that a fault was written for, `also` those that it breaks besides. Each of them must turn
    red on each of the configurations `on` that it speaks of, and no others may. `seen` says where such a bug was met,
    or why a variation is allowed.
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
    clock: Clock | None
    """The clock that it is judged on; None: the one that the suite chooses, driven wherever it can be."""
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
    clock: Clock | None = None,
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
        clock=clock,
        directly=directly,
    )


def variation(
    name: str,
    *,
    allowed: str,
    on: Iterable[Configuration] = (EVERYTHING,),
    intervals: Mapping[str, Any] | None = None,
    clock: Clock | None = None,
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
        clock=clock,
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
    """Give a change by its name, or that of all variations in `NAME+NAME`, as one server has them.

    Raises ChangeError.
    """
    there = changes()
    names = name.split("+")
    for each in names:
        if each not in there:
            near = difflib.get_close_matches(each, there, n=1)
            raise ChangeError(f"there is no change '{each}'" + (f"; did you mean '{near[0]}'?" if near else ""))
    return functools.reduce(_both, (there[each] for each in names))


def _both(one: Change, other: Change) -> Change:
    for change in (one, other):
        if change.is_fault:
            raise ChangeError(f"'{change.name}' is a fault, and only variations go together")
    if one.on != other.on:
        places = (" and ".join(configuration.name for configuration in change.on) for change in (one, other))
        raise ChangeError(f"'{one.name}' and '{other.name}' are judged on different servers: {', '.join(places)}")
    for key in one.intervals.keys() & other.intervals.keys():
        if one.intervals[key] != other.intervals[key]:
            raise ChangeError(f"'{one.name}' and '{other.name}' do not declare the same '{key}'")

    def apply() -> None:
        one.apply()
        other.apply()

    return replace(
        one,
        name=f"{one.name}+{other.name}",
        description=f"{one.description} {other.description}",
        seen=f"{one.seen}; {other.seen}",
        intervals={**one.intervals, **other.intervals},
        # What a server does by itself does not show on a driven clock; the rest shows on either.
        clock="timed" if "timed" in {one.clock, other.clock} else one.clock or other.clock,
        directly=one.directly or other.directly,
        apply=apply,
        files=one.files | other.files,
    )
