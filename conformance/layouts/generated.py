"""Random version trees, judged by the oracle and reduced to the least tree that still shows the fault."""

from __future__ import annotations

import functools
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as with_seed

from conformance import timing
from conformance.catalogue import PredictorType
from conformance.deployment import Answer, ServerDiedError
from conformance.forest import MODELS, Forest
from conformance.layouts.oracle import INVALID_VERSION, Level, read_level
from conformance.marks import Planting
from conformance.stand import LEFT_OUT, Stand, Version
from conformance.violations import Evidence
from fixtures.models import onnx_model
from fixtures.strategies import version_trees
from fixtures.trees import File, Tree

# The clauses that a random version tree can speak about.
CLAUSES = (
    "layouts.versioned",
    "layouts.latest-is-highest",
    "layouts.any-integer",
    "layouts.negative-integer",
    "layouts.not-an-integer",
    "layouts.leading-zeros",
    "layouts.mixed-level",
    "layouts.onnx",
    "layouts.tensorflow",
    "layouts.bad-version-isolated",
    "layouts.markers-ignored",
)


@dataclass(frozen=True)
class Finding:
    """One way in which the server differs from the oracle on one tree, the model of this name."""

    clause: str
    model: str
    expected: str
    observed: str
    evidence: Evidence


def draw_trees(predictor: PredictorType, source: random.Random, count: int) -> dict[str, Tree]:
    """Draw so many version trees that the predictor can serve, by name."""

    def sound() -> Tree:
        return MODELS[predictor](random=source)

    broken: dict[str, Callable[[], Tree]] = {}
    if predictor == "onnx":
        broken["two-onnx"] = lambda: sound() | onnx_model(name="other.onnx", random=source)
        broken["no-onnx"] = lambda: Tree({"labels.txt": File("cat\n")})
    elif predictor == "tensorflow":
        broken["no-index"] = lambda: sound().without("variables/variables.index")
        broken["no-graph"] = lambda: sound().without("saved_model.pb")
    drawn: list[Tree] = []

    @with_seed(source.getrandbits(32))
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(version_trees(sound, broken=broken))
    def collect(tree: Tree) -> None:
        drawn.append(tree)

    collect()
    return {f"tree-{number:02}": tree for number, tree in enumerate(drawn)}


def judge_trees(stand: Stand) -> Iterator[Finding]:
    """Compare every tree of a planting that has versions with the oracle; gives at most one finding for each tree."""
    levels = {name: read_level(tree, stand.predictor) for name, tree in stand.models.items()}
    specified = {name: level for name, level in levels.items() if level.versions and not level.unspecified}
    answers = _await_answers(stand, specified)
    for name, level in specified.items():
        finding = next(_findings(stand, name, level, answers[name]), None)
        if finding is not None:
            yield finding


def least_findings(stand: Stand) -> list[Finding]:
    """Judge every tree of a planting; gives for each clause that seems broken what is wrong with the least such tree.

    A tree is reduced once in a run, however many tests of the ground are repeated alone.
    """
    found: dict[str, Finding] = {}
    for finding in judge_trees(stand):
        found.setdefault(finding.clause, finding)
    forest = stand.forest
    return [
        forest.run.once((forest.ground, "least tree", clause), functools.partial(_reduce, stand, finding))
        for clause, finding in found.items()
    ]


def _reduce(stand: Stand, finding: Finding) -> Finding:
    """Leave out one entry after the other as long as there is a fault; gives the finding on the least tree.

    What is left is needed for the fault, so that the least tree tells best which clause is broken. Each round publishes
    all trees that are one entry smaller, and starts one server on them.
    """
    tree = stand.models[finding.model]
    while True:
        smaller = {
            f"without-{number:02}": tree.without(*(key for key in tree if key.partition("/")[0] == entry))
            for number, entry in enumerate(dict.fromkeys(key.partition("/")[0] for key in tree))
        }
        try:
            found = _judge_alone(stand, {name: candidate for name, candidate in smaller.items() if candidate})
        except ServerDiedError:
            return finding
        if not found:
            return finding
        finding = found[0]
        tree = smaller[finding.model]


def _judge_alone(stand: Stand, trees: dict[str, Tree]) -> list[Finding]:
    if not trees:
        return []
    planting = Planting(trees)

    def plant(_: object) -> Planting:
        return planting

    forest = Forest(stand.forest.run, stand.forest.ground, [plant])
    try:
        forest.start()
        return list(judge_trees(Stand(forest, plant, stand.clause)))
    finally:
        forest.close()


def _await_answers(stand: Stand, levels: Mapping[str, Level]) -> Mapping[str, Mapping[Version, Answer]]:
    """Ask for every version of all models, and without one, until all answers are right; gives the last of each."""
    answers: dict[str, dict[Version, Answer]] = {name: {} for name in levels}

    def are_right() -> bool | None:
        right = True
        for name, level in levels.items():
            tokens = _tokens_by_entry(stand.models[name])
            asked: dict[Version, str] = {LEFT_OUT: level.latest, **{each: each for each in level.versions.values()}}
            for version, folder in asked.items():
                if version not in answers[name] or answers[name][version].tokens != tokens[folder]:
                    answers[name][version] = stand.ask(name, version)
                    right = right and answers[name][version].tokens == tokens[folder]
        return right or None

    # One deadline for all: a server that gets most of them wrong would take minutes to be told so.
    timing.poll(are_right, until=stand.catch_up())
    return answers


def _tokens_by_entry(tree: Tree) -> Mapping[str, frozenset[str]]:
    entries = dict.fromkeys(key.partition("/")[0] for key in tree)
    return {entry: frozenset(tree.under(entry).tokens.values()) for entry in entries}


def _findings(stand: Stand, name: str, level: Level, answers: Mapping[Version, Answer]) -> Iterator[Finding]:
    tokens = _tokens_by_entry(stand.models[name])

    def found(clause: str, version: Version, wanted: str, answer: Answer) -> Finding:
        question = stand.question(name, version)
        return Finding(clause, name, f"{question} {wanted}", stand.describe(answer), stand.evidence(name))

    # Charged before all else: of a tree that is reduced, all that is left is needed for the fault.
    beside = next(iter(level.aside.values()), None)
    for number, folder in level.versions.items():
        answer = answers[folder]
        if answer.tokens != tokens[folder]:
            clause = beside or _clause_of_version(number, folder)
            yield found(clause, folder, "is answered from that folder", answer)
    answer = answers[LEFT_OUT]
    if answer.tokens != tokens[level.latest]:
        # Charged to what was taken for a version and answered, or for the latest one and cannot be loaded.
        if answer.is_served:
            taken = next((entry for entry in level.aside if answer.tokens and answer.tokens <= tokens[entry]), None)
        else:
            taken = next((entry for entry in level.aside if _is_invalid_latest(entry, level)), None)
        clause = _clause_of_taking(stand, level.aside[taken]) if taken else beside or _clause_of_latest(level)
        yield found(clause, LEFT_OUT, f"is answered from {level.latest}", answer)
    for entry, clause in level.aside.items():
        if tokens[entry]:
            answer = stand.ask(name, entry)
            if answer.tokens & tokens[entry]:
                yield found(_clause_of_taking(stand, clause), entry, "is never answered from there", answer)


def _clause_of_taking(stand: Stand, aside: str) -> str:
    """Charge an entry that was served though it should be left aside: an invalid version was taken for a model."""
    return f"layouts.{stand.predictor}" if aside == INVALID_VERSION else aside


def _is_invalid_latest(entry: str, level: Level) -> bool:
    """Tell whether an invalid version has a higher number than all valid ones."""
    return level.aside[entry] == INVALID_VERSION and int(entry) > max(level.versions)


def _clause_of_version(number: int, folder: str) -> str:
    """Charge a version that is not served to what is special about it."""
    if number < 0:
        return "layouts.negative-integer"
    if folder != str(number):
        return "layouts.leading-zeros"
    if number == 0 or number >= 2**31:
        return "layouts.any-integer"
    return "layouts.versioned"


def _clause_of_latest(level: Level) -> str:
    return "layouts.negative-integer" if max(level.versions) < 0 else "layouts.latest-is-highest"
