"""The catalogue of clauses: what the contract demands, and what an implementation must declare for it."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from conformance.problems import InvalidInputError

PredictorType = Literal["python", "onnx", "tensorflow"]
Source = Literal["s3", "local"]
Feature = Literal["multi-model", "reload", "cache", "processes", "threads", "control", "gpu", "inferentia"]

PREDICTORS: tuple[PredictorType, ...] = ("python", "onnx", "tensorflow")
SOURCES: tuple[Source, ...] = ("s3", "local")
FAMILIES = ("layouts", "config", "clients", "reload", "cache", "gpu", "inferentia")

CLAUSES_FILE = Path(__file__).with_name("clauses.toml")
CONTRACT_FILE = Path(__file__).parent / "spec" / "contract.md"


class Level(StrEnum):
    """How binding a clause is; contract.md, "Levels"."""

    MUST = "MUST"
    SHOULD = "SHOULD"
    INTERPRETED = "INTERPRETED"


class Profile(StrEnum):
    """A set of promises that an implementation makes as a whole; `CORE` cannot be left undeclared."""

    CORE = "core"
    MULTI_MODEL = "multi-model"
    CACHE = "cache"
    GPU = "gpu"
    INFERENTIA = "inferentia"

    @property
    def is_hardware(self) -> bool:
        """Whether the profile stands beside the overall verdict instead of deciding it."""
        return self in {Profile.GPU, Profile.INFERENTIA}


class Clause(BaseModel):
    """One promise of the contract.

    `predictors` and `sources` are those that the clause speaks of; `features` must all be declared for it; a clause is
    blocked when one of those that it `requires` failed.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    level: Level
    profile: Profile
    document: str
    statement: str
    predictors: tuple[PredictorType, ...] = PREDICTORS
    sources: tuple[Source, ...] = SOURCES
    features: tuple[Feature, ...] = ()
    requires: tuple[str, ...] = ()

    @property
    def family(self) -> str:
        """The part of the contract that the clause belongs to: the first word of its id."""
        return self.id.partition(".")[0]


@dataclass(frozen=True)
class Catalogue(Mapping[str, Clause]):
    """All clauses by id, in the order of the contract."""

    version: str
    clauses: Mapping[str, Clause]

    def __getitem__(self, clause_id: str) -> Clause:
        return self.clauses[clause_id]

    def __iter__(self) -> Iterator[str]:
        return iter(self.clauses)

    def __len__(self) -> int:
        return len(self.clauses)


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    version: str
    clause: list[Clause]


def load_catalogue(path: Path = CLAUSES_FILE) -> Catalogue:
    """Read a catalogue; raises `InvalidInputError` for a malformed one, a doubled id or an impossible requirement."""
    try:
        file = _File.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, ValidationError) as error:
        raise InvalidInputError(f"{path}: {error}") from error
    clauses = {clause.id: clause for clause in file.clause}
    if len(clauses) != len(file.clause):
        raise InvalidInputError(f"{path}: two clauses have the same id")
    for clause in file.clause:
        if clause.family not in FAMILIES:
            raise InvalidInputError(f"{path}: clause {clause.id} belongs to no family of {', '.join(FAMILIES)}")
        for required in clause.requires:
            if required not in clauses:
                raise InvalidInputError(f"{path}: clause {clause.id} requires {required}, which is no clause")
    try:
        TopologicalSorter({clause.id: clause.requires for clause in file.clause}).prepare()
    except CycleError as error:
        raise InvalidInputError(f"{path}: clause {error.args[1][0]} requires itself") from error
    return Catalogue(version=file.version, clauses=clauses)
