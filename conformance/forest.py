"""Forests: the trees of many tests, published together and served by one server.

Starting a server costs seconds and a model costs nothing, so tests that need nothing of their own share a server. What
goes wrong there may be the work of another test's trees: the test is then repeated on a server for its own trees alone,
and only what goes wrong again is held against the server.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from random import Random
from typing import Any, Protocol

from conformance import timing
from conformance.catalogue import PredictorType, Source
from conformance.deployment import Deployment, ServerDiedError
from conformance.marks import PLAIN, Configuration, Naming, Plant, Planting, PlantingMark
from conformance.project import Api
from conformance.run import Run
from conformance.s3.ledger import Request, requests_about
from fixtures.models import onnx_model, python_model, saved_model
from fixtures.targets import TargetError
from fixtures.trees import Tree

# Forests that are started while an earlier one is judged.
_AHEAD = 2


class _MakeModel(Protocol):
    def __call__(self, *, random: Random) -> Tree: ...


# The predictor types that have a witness, and what they serve.
MODELS: Mapping[PredictorType, _MakeModel] = {"python": python_model, "onnx": onnx_model, "tensorflow": saved_model}


@dataclass(frozen=True)
class Setting:
    """One case of a clause: which predictor runs and where its models lie."""

    predictor: PredictorType
    source: Source

    def __str__(self) -> str:
        return f"{self.predictor}-{self.source}"


@dataclass(frozen=True)
class Ground:
    """What tests must have in common to share a server; `alone` is the test that shares with none."""

    setting: Setting
    naming: Naming
    witness: str
    alone: str = ""
    configuration: Configuration = PLAIN

    def __str__(self) -> str:
        shared = f"{self.setting}, models named by {self.naming}"
        if self.configuration != PLAIN:
            shared += f", {self.configuration}"
        return shared if self.witness == "usual" else f"{shared}, predictor class of witness/{self.witness}.py"


class Grower:
    """Makes models for one predictor, the same for the same seed."""

    def __init__(self, predictor: PredictorType, random: Random) -> None:
        self.predictor = predictor
        self.random = random

    def __call__(self) -> Tree:
        """Make a model in its usual form, with fresh tokens."""
        return MODELS[self.predictor](random=self.random)


class Forest:
    """The plantings of one ground and the server on them.

    Models are published under their names with a tag of fixed length in front, so that no two plantings have names of
    which one begins with the other. `changed_at` is the moment of `timing.now` at which the last change ended.
    """

    def __init__(self, run: Run, ground: Ground, plants: list[Plant]) -> None:
        self.ground = ground
        self.run = run
        self._place = secrets.token_hex(6)
        self._target = run.target(ground.setting.source, self._place)
        self._tags = {plant: f"{number:03x}" for number, plant in enumerate(plants)}
        # The same for the same seed, and each planting goes on with its own for as long as the forest stands.
        self._growers = {
            plant: Grower(ground.setting.predictor, Random(f"{run.seed} {plant.__module__}.{plant.__qualname__}"))
            for plant in plants
        }
        self.plantings: dict[Plant, Planting] = {plant: plant(grow) for plant, grow in self._growers.items()}
        # What is published now, by planting and model; what was published at any time, by token.
        self._models = {plant: dict(planting.models) for plant, planting in self.plantings.items()}
        self._owners: dict[str, str] = {}
        self._deployment: Deployment | None = None
        self.changed_at = 0.0

    def published_name(self, plant: Plant, name: str) -> str:
        """Give the name under which the server knows a model of a planting."""
        return f"{self._tags[plant]}-{name}"

    def stray_key(self, plant: Plant, key: str) -> str:
        """Give the key of a stray: at the root of models.dir, else beside the models, which have a tag in front."""
        return key if self.ground.naming == "dir" else self.published_name(plant, key)

    def grow(self, plant: Plant) -> Tree:
        """Make one more model for a planting, with tokens that no other has."""
        return self._growers[plant]()

    def models(self, plant: Plant) -> Mapping[str, Tree]:
        """Give the models of a planting as they are published now."""
        return self._models[plant]

    def owner(self, token: str) -> str:
        """Say which file carries a token, also one that has been replaced since."""
        return self._owners.get(token, "a file that was never published")

    def requests_since(self, plant: Plant, moment: float) -> list[Request]:
        """Give what the server has asked of S3 about the models of a planting since a moment of `timing.now`."""
        models = {f"{self._place}/{self.published_name(plant, name)}/": name for name in self._models[plant]}
        # A listing of the whole bucket may be that of any server.
        own = [
            entry
            for entry in self.run.ledger()
            if entry.begun >= moment and (entry.prefix is None or entry.prefix.startswith(self._place))
        ]
        return requests_about(models, own)

    def put(self, plant: Plant, name: str, files: Tree) -> None:
        """Add files to a model of a planting, or overwrite them; the model may be new."""
        published = self.published_name(plant, name)
        before = self._models[plant].get(name, Tree())
        self._own(published, files)
        with self._change(f"put {', '.join(files)} into {published}", published):
            self._target.write(files, at=published)
        self._models[plant][name] = before.without(*(key for key in files if key in before)) | files

    def remove(self, plant: Plant, name: str, keys: Sequence[str] | None = None) -> None:
        """Delete files of a model of a planting, or the whole model."""
        published = self.published_name(plant, name)
        before = self._models[plant][name]
        with self._change(f"deleted {', '.join(keys or before)} from {published}", published):
            self._target.delete(list(keys or before), at=published)
        self._models[plant][name] = before.without(*(keys or before))

    @contextlib.contextmanager
    def _change(self, what: str, published: str) -> Iterator[None]:
        begun = timing.now()
        yield
        self.deployment.history.note(what, since=begun, about=published)
        self.changed_at = timing.now()

    def _own(self, published: str, files: Tree) -> None:
        self._owners |= {token: f"{key} of {published}" for key, token in files.tokens.items()}

    def start(self) -> Deployment:
        """Publish everything, then start the server and wait until it is ready; raises `ServerDiedError`."""
        for plant, planting in self.plantings.items():
            for name, tree in planting.models.items():
                self._target.write(tree, at=self.published_name(plant, name))
                self._own(self.published_name(plant, name), tree)
            if planting.strays:
                strays = Tree({self.stray_key(plant, key): file for key, file in planting.strays.items()})
                self._target.write(strays)
                self._own("the strays", strays)
        keys = sum(len(tree) for planting in self.plantings.values() for tree in planting.models.values())
        self._deployment = self.run.deployment(self._api(), keys=keys)
        self._deployment.spawn()
        self._deployment.await_ready()
        self.changed_at = self._deployment.ready_at
        return self._deployment

    @property
    def deployment(self) -> Deployment:
        """The server; only after `start` was called."""
        assert self._deployment is not None, "the forest was not started"
        return self._deployment

    def _api(self) -> Api:
        ground = self.ground
        models = self._naming()
        if sizes := ground.configuration.of_models:
            models = models | {"models": {**models["models"], **sizes}}
        return Api(ground.setting.predictor, models, ground.witness, ground.configuration.of_predictor)

    def _naming(self) -> dict[str, Any]:
        if self.ground.naming == "dir":
            return {"models": {"dir": f"{self._target.url}/"}}
        urls = {
            published: f"{self._target.url}/{published}/"
            for plant, planting in self.plantings.items()
            for published in (self.published_name(plant, name) for name in planting.models)
        }
        if self.ground.naming == "model_path":
            (only,) = urls.values()
            return {"model_path": only}
        key = "path" if self.ground.naming == "paths" else "model_path"
        return {"models": {"paths": [{"name": name, key: url} for name, url in urls.items()]}}

    def close(self) -> None:
        """End the server and, unless the run keeps its trees, delete what was published."""
        if self._deployment is not None:
            self._deployment.close()
        if not self.run.keep:
            # Nothing else uses this place, so that what an endpoint refuses to delete does no harm.
            with contextlib.suppress(TargetError):
                self._target.clear()


class Forests:
    """All forests of a run, each started shortly before its first test and ended after its last."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._plants: dict[Ground, dict[Plant, int]] = {}
        self._started: dict[Ground, tuple[Forest, Future[Deployment]]] = {}
        self._pool = ThreadPoolExecutor(max_workers=_AHEAD, thread_name_prefix="forest")
        self._deaths: dict[Ground, str] = {}
        self._suspicions: dict[Ground, str] = {}
        self._attributed: set[Ground] = set()

    def expect(self, ground: Ground, mark: PlantingMark) -> None:
        """Announce one more test on this ground, before any forest is started."""
        plants = self._plants.setdefault(ground, {})
        plants[mark.plant] = plants.get(mark.plant, 0) + 1

    def shared(self, ground: Ground) -> Forest:
        """Give the running forest of a ground; raises `ServerDiedError` if its server died on it."""
        order = list(self._plants)
        position = order.index(ground)
        for near in order[position : position + 1 + _AHEAD]:
            if near not in self._started:
                forest = Forest(self._run, near, list(self._plants[near]))
                self._started[near] = (forest, self._pool.submit(forest.start))
        forest, deployment = self._started[ground]
        if ground in self._deaths:
            raise ServerDiedError(self._deaths[ground])
        deployment.result()
        return forest

    def alone(self, ground: Ground, plant: Plant) -> Forest:
        """Give a forest of one planting only; the caller starts and closes it."""
        return Forest(self._run, ground, [plant])

    def died(self, ground: Ground, death: ServerDiedError) -> None:
        """Note that the shared server of a ground died, at its start or during a test."""
        self._deaths.setdefault(ground, str(death))
        self.suspect(ground, str(death))

    def suspect(self, ground: Ground, what: str) -> None:
        """Note that a test went wrong on the shared server, which says little: some other tree may be the reason."""
        self._suspicions.setdefault(ground, what)

    def attribute(self, ground: Ground) -> None:
        """Note that a test of this ground went wrong on a server of its own, which explains what the shared one did."""
        self._attributed.add(ground)

    def finished(self, ground: Ground, plant: Plant) -> None:
        """Note the end of one test; the last one of a ground ends its server."""
        plants = self._plants[ground]
        plants[plant] -= 1
        if not any(plants.values()) and ground in self._started:
            forest, deployment = self._started.pop(ground)
            deployment.exception()
            forest.close()

    def unattributed(self) -> list[str]:
        """Say of each shared server what went wrong on it, if nothing went wrong with any test of it alone."""
        return [f"{ground}: {what}" for ground, what in self._suspicions.items() if ground not in self._attributed]

    def close(self) -> None:
        """End every server that still runs."""
        self._pool.shutdown(cancel_futures=True)
        for forest, _ in self._started.values():
            forest.close()
        self._started.clear()
