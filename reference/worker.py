"""One serving process: predictor, models in memory, HTTP application."""

import gc
import os
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reference import clients, log
from reference.catalog import DEFAULT_MODEL
from reference.config import Api
from reference.errors import ConfigurationError, UnavailableError
from reference.eviction import Eviction, Limits
from reference.http import Application, Prediction
from reference.link import Link
from reference.models import Models
from reference.predictor import construct, find_class, predict_arguments, require_load_model
from reference.process import die_with_parent


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything a serving process has to know; it crosses the process boundary."""

    api: Api
    project: Path
    folder: Path
    key: bytes
    parent: int
    evict_interval: float
    body_limit: int
    control: bool


def start(settings: Settings) -> Application:
    """Build the application of this process. It answers 503 until the models are known and the predictor is made.

    A predictor that cannot be served ends the process with one line on stderr and exit status 1.
    """
    die_with_parent(settings.parent)
    log.configure()
    try:
        return _Worker(settings).application
    except ConfigurationError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        raise SystemExit(1) from None


class _Worker:
    def __init__(self, settings: Settings) -> None:
        api = settings.api
        self._settings = settings
        self._api = api
        self._file = settings.project / api.predictor.path
        self._class = find_class(self._file, api.predictor.type, settings.project)
        self._predictor: Any = None
        link = self._link = Link(settings.folder, settings.key)
        self._models = Models(
            link,
            self._loader(),
            single=DEFAULT_MODEL if api.predictor.model_path is not None else None,
            preload=not api.caches,
        )
        models = api.predictor.models
        limits = None
        if models is not None and models.cache_size is not None and models.disk_cache_size is not None:
            limits = Limits(models.cache_size, models.disk_cache_size)
        self._eviction = Eviction(link, self._models, limits)
        control = settings.control
        self.application = Application(
            self._summary,
            settings.body_limit,
            reload=(lambda: link.call("reload")) if control else None,
            evict=(lambda: link.call("evict")) if control else None,
        )
        link.attach()
        self._eviction.start(None if control else settings.evict_interval)
        threading.Thread(target=self._make_predictor, name="start", daemon=True).start()
        threading.Thread(target=self._follow, name="follow", daemon=True).start()

    def _loader(self) -> Callable[[str, str], Any]:
        kind = self._api.predictor.type
        if kind == "onnx":
            from reference.frameworks.onnx import OnnxModel  # noqa: PLC0415 - only where it is used

            return lambda _, path: OnnxModel(path, ["CPUExecutionProvider"])
        if self._api.has_models:
            require_load_model(self._class, self._file)
        return lambda _, path: self._predictor.load_model(path)

    def _make_predictor(self) -> None:
        offered: dict[str, Any] = {"config": self._api.predictor.config}
        kind = self._api.predictor.type
        if kind == "onnx":
            offered["onnx_client"] = clients.ONNXClient(self._models)
        elif self._api.has_models:
            offered["python_client"] = clients.PythonClient(self._models)
        self._models.followed.wait()
        try:
            self._predictor = construct(self._class, offered, self._file, self._settings.project)
            arguments = predict_arguments(self._predictor, self._file)
        except ConfigurationError as error:
            print(f"error: {error}", file=sys.stderr, flush=True)
            os._exit(1)  # the process that started this one ends with it
        # What lives until the end need not be looked at by each collection.
        gc.collect()
        gc.freeze()
        self.application.prediction = Prediction(self._predictor.predict, arguments)
        log.event("ready", api=self._api.name)

    def _follow(self) -> None:
        """Carry out the keeper's orders, one after the other, for as long as this process lives."""
        generation = eviction = 0
        while True:
            try:
                order = self._link.call("follow", self._link.process, generation, eviction)
                if order.catalog is not None:
                    self._models.apply(order.catalog)
                    generation = order.catalog.generation
                if order.eviction != eviction:
                    self._eviction.run()
                    eviction = order.eviction
            except UnavailableError:
                os._exit(1)  # without a keeper there is no server
            except Exception:  # noqa: BLE001 - following must go on whatever went wrong once
                log.failure("follow_failed", exc_info=True)
                threading.Event().wait(1.0)

    def _summary(self) -> dict[str, Any]:
        return {
            "message": f"POST / to predict with {self._class.__name__}",
            "model_metadata": self._models.metadata(),
            **self._link.call("status"),
        }
