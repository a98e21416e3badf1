"""How a test says what it is about: the clause that it judges, and what must be published for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Literal, Protocol

import pytest

from conformance.catalogue import PREDICTORS, PredictorType
from fixtures.trees import Tree

Naming = Literal["dir", "paths", "paths-by-alias", "model_path"]


class Grow(Protocol):
    """Makes one more model that the predictor of the setting can serve, with tokens of its own."""

    predictor: PredictorType
    random: Random

    def __call__(self) -> Tree:
        """Make a model in its usual form."""
        ...


@dataclass(frozen=True)
class Planting:
    """What is published for a test before its server is started.

    `models` are named to the server; `strays` lie beside them: at the root of models.dir, or beside the model paths.
    """

    models: Mapping[str, Tree]
    strays: Tree = field(default_factory=Tree)


Plant = Callable[[Grow], Planting]


@dataclass(frozen=True)
class PlantingMark:
    """What a test wants published and served; see `planting`."""

    plant: Plant
    naming: Naming
    witness: str
    alone: bool
    predictors: tuple[PredictorType, ...]


def clause(clause_id: str) -> pytest.MarkDecorator:
    """Say which clause of the catalogue a test judges; every test has one."""
    return pytest.mark.clause(clause_id)


def planting(
    plant: Plant,
    *,
    naming: Naming = "dir",
    witness: str = "usual",
    alone: bool = False,
    predictors: tuple[PredictorType, ...] = PREDICTORS,
) -> pytest.MarkDecorator:
    """Say what is published for a test, in which way models are named, and which predictor class runs.

    Tests share a server unless they are to be `alone`, or name their model by model_path, which holds only one.
    `predictors` leaves out those for which the contract does not say what the test expects.
    """
    mark = PlantingMark(plant, naming, witness, alone or naming == "model_path", predictors)
    return pytest.mark.planting(mark)
