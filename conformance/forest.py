"""Forests: the trees of many tests, published together and served by one server.

Starting a server costs seconds and a model costs nothing, so tests that need nothing of their own share a server.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Protocol, TypeVar

from conformance import timing
from conformance.catalogue import PredictorType, Source
from conformance.deployment import Deployment
from conformance.implementation import ClockName
from conformance.marks import PLAIN, Configuration, Naming, Plant, Planting
from conformance.project import Api
from conformance.run import Run
from conformance.s3.faults import FaultKind, HeldFault
from conformance.s3.ledger import Request, requests_about
from fixtures.models import onnx_model, python_model, saved_model
from fixtures.targets import TargetError
from fixtures.trees import Tree

T = TypeVar("T")


class _MakeModel(Protocol):
    def __call__(self, *, random: Random) -> Tree: ...


# The predictor types that have a witness, and what they serve.
MODELS: Mapping[PredictorType, _MakeModel] = {"python": python_model, "onnx": onnx_model, "tensorflow": saved_model}


@dataclass(frozen=True)
class Setting:
    """One case of a clause: which predictor runs and where its models lie; `clock` if it is not that of the run."""

    predictor: PredictorType
    source: Source
    clock: ClockName | None = None

    def __str__(self) -> str:
        return "-".join(filter(None, (self.predictor, self.source, self.clock)))


@dataclass(frozen=True)
class Ground:
    """What tests must have in common to share a server; `alone` is the test that shares with none.

    Unless it is `started` that test starts the server.
    """

    setting: Setting
    naming: Naming
    witness: str
    alone: str = ""
    configuration: Configuration = PLAIN
    started: bool = True

    @property
    def clock(self) -> ClockName | None:
        """The clock of the server, if it is not that of the run."""
        return self.setting.clock

    @property
    def takes_turns(self) -> bool:
        """Whether the server is that of one planting after the other, as model_path holds only one."""
        return self.naming == "model_path" and not self.alone

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
    which one begins with the other. May be used by several threads, each with plantings of its own. Where plantings
    take turns there is one at a time, and every model has the name under which the first one was published.
    """

    def __init__(self, run: Run, ground: Ground, plants: list[Plant]) -> None:
        self.ground = ground
        self.run = run
        self._place = secrets.token_hex(6)
        self._target = run.target(ground.setting.source, self._place)
        self._tags = {plant: f"{number:03x}" for number, plant in enumerate(plants)}
        # The same for the same seed, and each planting goes on with its own for as long as the forest stands.
        self._growers: dict[Plant, Grower] = {}
        self.plantings: dict[Plant, Planting] = {}
        # What is published now, by planting and model; what was published at any time, by token.
        self._models: dict[Plant, dict[str, Tree]] = {}
        self._owners: dict[str, str] = {}
        for plant in plants:
            self._plant(plant)
        # The name of the one model there is, under which others come in its place.
        self._only = next(iter(self.plantings[plants[0]].models), "") if ground.takes_turns else None
        self._deployment: Deployment | None = None
        self._changed_at: dict[Plant, float] = {}

    def _plant(self, plant: Plant) -> None:
        if plant not in self._growers:
            random = Random(f"{self.run.seed} {plant.__module__}.{plant.__qualname__}")
            self._growers[plant] = Grower(self.ground.setting.predictor, random)
        self.plantings[plant] = plant(self._growers[plant])
        self._models[plant] = dict(self.plantings[plant].models)

    def turn_to(self, plant: Plant) -> None:
        """Publish a planting in the place of the one that is there, and give the server the time to serve it.

        It has to see that one go first: what is broken in the next would else be an update of what was there, which a
        server rightly serves on.
        """
        ((before, (name, *_)),) = self._models.items()
        published = self.published_name(before, name)
        self.remove(before, name)
        self.deployment.clock.settle(self.changed_at(before))
        del self.plantings[before], self._models[before]
        self._tags = {plant: self._tags[before]}
        self._plant(plant)
        with self._change(plant, f"put the next test's model into {published}", published):
            self._publish()
        self.deployment.clock.settle(self.changed_at(plant))

    def once(self, what: str, find: Callable[[], T]) -> T:
        """Give what was found on this forest under this name; see `Run.once`."""
        return self.run.once((self, what), find)

    def published_name(self, plant: Plant, name: str) -> str:
        """Give the name under which the server knows a model of a planting."""
        if self._only is not None and name in self._models[plant]:
            name = self._only
        return f"{self._tags[plant]}-{name}"

    @property
    def published_names(self) -> list[str]:
        """The names of all models as they are published now."""
        # Other tests may add models meanwhile.
        return [self.published_name(plant, name) for plant, models in self._models.items() for name in tuple(models)]

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
        """Say which file carries a token, or carried it until something else took its place."""
        if token not in self._owners:
            return "a file that was never published"
        is_current = any(token in tree.tokens.values() for _, tree in self._published())
        return self._owners[token] if is_current else f"{self._owners[token]} as it was before"

    def requests_since(self, plant: Plant, moment: float) -> list[Request]:
        """Give what the server has asked of S3 about the models of a planting since a moment of `timing.now`."""
        models = {f"{self._place}/{self.published_name(plant, name)}/": name for name in self._models[plant]}
        # A listing of the whole bucket may be that of any server.
        own = [
            entry
            for entry in self.run.ledger(since=moment)
            if entry.begun >= moment and (entry.prefix is None or entry.prefix.startswith(self._place))
        ]
        return requests_about(models, own)

    def put(self, plant: Plant, name: str, files: Tree) -> None:
        """Add files to a model of a planting, or overwrite them; the model may be new."""
        published = self.published_name(plant, name)
        before = self._models[plant].get(name, Tree())
        self._own(published, files)
        with self._change(plant, f"put {', '.join(files)} into {published}", published):
            self._target.write(files, at=published)
        self._models[plant][name] = before.without(*(key for key in files if key in before)) | files

    def remove(self, plant: Plant, name: str, keys: Sequence[str] | None = None) -> None:
        """Delete files of a model of a planting, or the whole model."""
        published = self.published_name(plant, name)
        before = self._models[plant][name]
        with self._change(plant, f"deleted {', '.join(keys or before)} from {published}", published):
            self._target.delete(list(keys or before), at=published)
        self._models[plant][name] = before.without(*(keys or before))

    @contextlib.contextmanager
    def _change(self, plant: Plant, what: str, published: str) -> Iterator[None]:
        begun = timing.now()
        yield
        self.deployment.history.note(what, since=begun, about=published)
        self._changed_at[plant] = timing.now()

    @contextlib.contextmanager
    def s3_fault(self, plant: Plant, kind: FaultKind, name: str | None, key: str) -> Iterator[HeldFault]:
        """Let S3 fail for a key, or what begins with it, of a model of a planting, or without a name for everything."""
        published = self.published_name(plant, name) if name is not None else None
        prefix = f"{self._place}/{published}/{key}" if published else self._place
        history = self.deployment.history
        begun = timing.now()
        with self.run.s3.faults.hold(kind, prefix) as fault:
            history.note(f"{kind} of S3 begins for {published or 'everything'}", about=published)
            self._changed_at[plant] = timing.now()
            yield fault
        ended = timing.now()
        # Who asks less and less often while S3 fails comes back after at most as long again.
        again = ended - begun
        self._changed_at[plant] = ended + again
        history.note(
            f"{kind} of S3 ends, after {fault.hits} requests; the deadline counts from {again:.3f} s later",
            about=published,
        )

    def changed_at(self, plant: Plant) -> float:
        """Give the moment of `timing.now` at which the models of a planting were last changed, or served first."""
        return self._changed_at.get(plant, self.deployment.ready_at)

    def has_changed(self, plant: Plant) -> bool:
        """Whether the models of a planting were changed since the server serves them."""
        return plant in self._changed_at

    def _own(self, published: str, files: Tree) -> None:
        self._owners |= {token: f"{key} of {published}" for key, token in files.tokens.items()}

    def start(self) -> None:
        """Publish everything, then start the server and wait until it is ready; raises `ServerDiedError`.

        Where the test starts its server, this is left to it.
        """
        self._publish()
        plantings = self.plantings.values()
        keys = sum(len(tree) for planting in plantings for tree in (*planting.models.values(), planting.strays))
        self._deployment = self.run.deployment(self._api(), keys=keys, clock=self.ground.clock)
        if self.ground.started:
            self._deployment.spawn()
            self._deployment.await_ready()

    def _publish(self) -> None:
        for place, tree in self._published():
            self._target.write(tree, at=place)
            self._own(place or "the strays", tree)

    def _published(self) -> Iterator[tuple[str, Tree]]:
        """Give the models as they are now, each with its place, and the strays, which lie beside them."""
        for plant, planting in self.plantings.items():
            for name, tree in tuple(self._models[plant].items()):  # other tests may add models meanwhile
                yield self.published_name(plant, name), tree
            yield "", Tree({self.stray_key(plant, key): file for key, file in planting.strays.items()})

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
        configured = ground.configuration
        return Api(ground.setting.predictor, models, ground.witness, configured.of_predictor, configured.of_compute)

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
        # Nothing else uses this place, so that what an endpoint refuses to delete does no harm.
        with contextlib.suppress(TargetError):
            self.run.leave(self.ground.setting.source, self._place, self._published())
