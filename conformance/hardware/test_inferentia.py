"""What holds on Inferentia: which trees are models, and that compiled ones are served and reloaded by one process."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from random import Random

import pytest

from conformance import timing
from conformance.deployment import ServerDiedError
from conformance.hardware.detection import missing_inferentia
from conformance.hardware.neuron_model import WIDTH
from conformance.marks import Configuration, Grow, Planting, clause, planting
from conformance.problems import HarnessError
from conformance.stand import Stand
from fixtures import tokens
from fixtures.models import inferentia_model
from fixtures.trees import File, Tree, versions

ONE_CHIP = Configuration(inf=1)
TWO_PROCESSES = Configuration(inf=1, processes_per_replica=2)

ASKED = 50
"""Requests of which each of two processes answers some."""


def _alone_in_their_folders(grow: Grow) -> Planting:
    return Planting(
        {
            "plain": inferentia_model(random=grow.random),
            "versioned": versions({"1": inferentia_model(random=grow.random), "2": inferentia_model()}),
        }
    )


@clause("layouts.inferentia")
@planting(_alone_in_their_folders, predictors=("tensorflow",), configuration=ONE_CHIP, started=False)
def test_saved_model_alone_is_listed_as_a_model(stand: Stand) -> None:
    """With compute.inf a model, and a version, of saved_model.pb alone is among the models that GET / lists."""
    _start_or_skip(stand)
    names = {stand.published_name(name) for name in stand.models}
    listed: set[str] = set()

    def all_listed() -> bool | None:
        listed.update((stand.deployment.summary().body.get("model_metadata") or {}).keys())
        return names <= listed or None

    timing.poll(all_listed, until=stand.catch_up())
    stand.expect(
        names <= listed,
        expected=f"{' and '.join(sorted(names))} in the model_metadata of GET /",
        observed=f"{', '.join(sorted(listed)) or 'no model'} there",
    )


def _start_or_skip(stand: Stand) -> None:
    """Start the server; one that does not start without the hardware can be judged only where that is."""
    stand.deployment.spawn()
    try:
        stand.deployment.await_ready()
    except ServerDiedError:
        if (reason := missing_inferentia()) is not None:
            pytest.skip(f"the server does not start here: {reason}")
        raise


def _compiled(random: Random) -> Tree:
    """Compile a model with a fresh token, in a process that has the compiler."""
    token = tokens.fresh(random)
    with tempfile.TemporaryDirectory() as scratch:
        target = Path(scratch) / "compiled"
        command = [sys.executable, "-m", "conformance.hardware.neuron_model", str(target), token]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        if ended.returncode:
            raise HarnessError(f"no model was compiled for Inferentia, which needs tensorflow-neuron:\n{ended.stderr}")
        files = {file.relative_to(target).as_posix(): file for file in sorted(target.rglob("*")) if file.is_file()}
        return Tree(
            {key: File(file.read_bytes(), token if key.endswith(".pb") else None) for key, file in files.items()}
        )


def _one_compiled(grow: Grow) -> Planting:
    return Planting({"compiled": _compiled(grow.random)})


_INPUT = {"inputs": {"x": {"type": "float32", "shape": [1, WIDTH], "data": [[0.5] * WIDTH]}}}


@pytest.mark.inferentia
@clause("inferentia.serves")
@planting(_one_compiled, predictors=("tensorflow",), configuration=ONE_CHIP, one_source=True)
def test_compiled_model_is_served(stand: Stand) -> None:
    """A SavedModel compiled for Neuron is loaded and answers from its file."""
    _expect_served(stand)


@pytest.mark.inferentia
@clause("inferentia.reload")
@planting(_one_compiled, predictors=("tensorflow",), configuration=ONE_CHIP, one_source=True)
def test_compiled_model_is_reloaded(stand: Stand) -> None:
    """A compiled model that is overwritten is served in time."""
    _expect_served(stand)
    stand.put("compiled", _compiled(Random(stand.forest.run.seed)))
    _expect_served(stand)


def _expect_served(stand: Stand) -> None:
    expected = frozenset(stand.models["compiled"].tokens.values())
    answer = stand.await_answer(lambda: stand.ask("compiled", more=_INPUT), lambda answer: answer.tokens == expected)
    stand.expect(answer.tokens == expected, expected="an answer of the model", observed=stand.describe(answer))


def _one_model(grow: Grow) -> Planting:
    return Planting({"model": inferentia_model(random=grow.random)})


@clause("reload.inferentia-processes")
@planting(_one_model, predictors=("tensorflow",), configuration=TWO_PROCESSES, started=False)
def test_two_processes_are_refused_or_of_one_mind(stand: Stand) -> None:
    """Two processes with Inferentia are refused, or else all answers after an update come from the same files."""
    stand.deployment.spawn()
    try:
        stand.deployment.await_ready()
    except ServerDiedError:
        if stand.deployment.process.status is not None:
            return
        raise
    first = stand.await_answer(lambda: stand.ask("model"), lambda answer: answer.is_served)
    if not first.is_served and (reason := missing_inferentia()) is not None:
        pytest.skip(f"the server is ready and serves nothing: {reason}")
    stand.expect(first.is_served, expected="the configuration refused, or the model served", observed=first.text[:300])
    stand.put("model", inferentia_model())
    stand.settle()
    answers = [stand.ask("model") for _ in range(ASKED)]
    stand.expect(
        all(answer.is_served for answer in answers) and len({answer.tokens for answer in answers}) == 1,
        expected=f"{ASKED} answers after an update all from the same files",
        observed="; ".join(sorted({stand.describe(answer) for answer in answers})),
    )
