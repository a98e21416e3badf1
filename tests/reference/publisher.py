"""Publishes models at random, and knows at any time which answers are right."""

import random
import threading
from collections.abc import Callable

from fixtures.targets.target import Target
from fixtures.trees import Tree
from tests.reference.kinds import tokens


class Publisher:
    """Adds, overwrites and removes versions of a fixed set of models, one mutation at a time.

    With models of one file each the source is in no state but these: what is served must be one of them.
    """

    def __init__(self, target: Target, make: Callable[[], Tree], names: list[str], seed: int) -> None:
        self._target = target
        self._make = make
        self._random = random.Random(seed)
        self._versions: dict[str, dict[int, list[str]]] = {name: {} for name in names}
        self._numbers: dict[str, int] = dict.fromkeys(names, 0)
        self.lock = threading.Lock()
        self.mutations = 0
        self.states: dict[str, list[tuple[int, list[str]]]] = {name: [(0, [])] for name in names}
        """What `latest` of each model answered since the beginning, each with the number of the mutation that made it;
        recorded before the mutation begins."""

    def latest(self) -> dict[str, list[str]]:
        """Return what `latest` of each model has to answer now; [] where there is no version."""
        return {name: versions[max(versions)] if versions else [] for name, versions in self._versions.items()}

    def step(self) -> None:
        """Make one random mutation."""
        name = self._random.choice(list(self._versions))
        versions = self._versions[name]
        action = self._random.choice(["add", "add", "overwrite", "remove"]) if versions else "add"
        if action == "add":
            self._numbers[name] += 1
            number = self._numbers[name]
        else:
            number = self._random.choice(list(versions))
        tree = self._make()
        if action == "remove":
            del versions[number]
        else:
            versions[number] = tokens(tree)
        with self.lock:
            self.mutations += 1
            self.states[name].append((self.mutations, self.latest()[name]))
        if action == "remove":
            self._target.clear(f"{name}/{number}")
        else:
            self._target.write(tree.at(f"{name}/{number}"))
