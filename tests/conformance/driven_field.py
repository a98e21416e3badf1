"""The parts of a stand that a recording writes to, before a server that looks when it is told to."""

from __future__ import annotations

from types import SimpleNamespace

from conformance import timing
from conformance.catalogue import PredictorType
from conformance.clock import Driven
from conformance.implementation import Intervals
from conformance.timing import Pace
from fixtures.trees import Tree


class DrivenField:
    """Models that are published nowhere, and the clock of a server with one process."""

    processes = 1

    def __init__(self, predictor: PredictorType, models: dict[str, Tree]) -> None:
        pace = Pace(Intervals())
        clock = Driven(pace, lambda: None, lambda: None)
        self.predictor = predictor
        self.models = models
        self.deployment = SimpleNamespace(clock=clock, pace=pace, ready_at=timing.now())

    def put(self, name: str, files: Tree) -> None:
        """Add or overwrite files."""
        self.models[name] = Tree({**self.models.get(name, {}), **files})

    def remove_file(self, name: str, key: str) -> None:
        """Delete a file."""
        self.models[name] = self.models[name].without(key)

    def catch_up(self) -> None:
        """Make the server look."""
        self.deployment.clock.catch_up(timing.now())
