"""One serving process: predictor, models in memory, HTTP application."""

import contextlib
import gc
import os
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reference import clients, log
from reference.catalog import DEFAULT_MODEL
from reference.errors import ConfigurationError
from reference.eviction import Eviction, Limits
from reference.follower import Follower
from reference.http import Application, Prediction, RequestLimits
from reference.link import Link
from reference.loading import Framework, Load, framework_loader
from reference.models import Models
from reference.predictor import construct, find_class, predict_arguments, require_load_model
from reference.process import die_with_parent


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything a serving process has to know; it crosses the process boundary.

    `predictor` is the file of its class, `config` what its constructor is given, and `framework` None for what loads
    models by itself. With `has_models` it gets some, a `single` one by model_path, and keeps them within `limits`.
    """

    api: str
    project: Path
    predictor: Path
    config: Mapping[str, Any]
    framework: Framework | None
    has_models: bool
    single: bool
    limits: Limits | None
    threads: int
    folder: Path
    key: bytes
    parent: int
    evict_interval: float
    body_limit: int
    request_timeout: float | None
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
        _say_once(settings.folder, error)
        raise SystemExit(1) from None


def _say_once(folder: Path, error: ConfigurationError) -> None:
    """Print why the server ends; of several processes that fail alike, one does."""
    with contextlib.suppress(FileExistsError):
        (folder / "refused").touch(exist_ok=False)
        print(f"error: {error}", file=sys.stderr, flush=True)


class _Worker:
    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._kind = settings.framework.name if settings.framework is not None else "python"
        self._class = find_class(settings.predictor, self._kind, settings.project)
        if settings.has_models and settings.framework is None:
            require_load_model(self._class, settings.predictor)
        self._load: Load | None = None
        link = self._link = Link(settings.folder, settings.key)
        self._models = Models(
            link,
            self._load_model,
            single=DEFAULT_MODEL if settings.single else None,
            preload=settings.limits is None,
        )
        self._eviction = Eviction(link, self._models, settings.limits)
        control = settings.control
        self.application = Application(
            self._summary,
            self._obstacle,
            RequestLimits(settings.body_limit, settings.request_timeout, settings.threads),
            reload=(lambda: link.call("reload")) if control else None,
            evict=(lambda: link.call("evict")) if control else None,
        )
        link.attach()
        self._eviction.start(None if control else settings.evict_interval)
        threading.Thread(target=self._make_predictor, name="start", daemon=True).start()
        Follower(link, self._models, self._eviction).start()

    def _load_model(self, name: str, path: str) -> Any:
        assert self._load is not None, "no client is handed out before there is a way to load"
        return self._load(name, path)

    def _make_predictor(self) -> None:
        offered: dict[str, Any] = {"config": self._settings.config}
        if self._settings.framework is not None:
            self._load = framework_loader(self._settings.framework)
            client = clients.ONNXClient if self._kind == "onnx" else clients.TensorFlowClient
            offered[f"{self._kind}_client"] = client(self._models)
        elif self._settings.has_models:
            offered["python_client"] = clients.PythonClient(self._models)
        # What lives until the end need not be looked at by each collection. Before any model is loaded: what is frozen
        # in a reference cycle would never be let go.
        gc.collect()
        gc.freeze()
        gc.enable()
        self._models.followed.wait()
        try:
            file, project = self._settings.predictor, self._settings.project
            predictor = construct(self._class, offered, file, project, self._take)
            arguments = predict_arguments(predictor, file)
        except ConfigurationError as error:
            _say_once(self._settings.folder, error)
            os._exit(1)  # the process that started this one ends with it
        self.application.prediction = Prediction(predictor.predict, arguments)
        # Whoever was told by one process that the server is ready may be answered by any other.
        self._link.call("serving", self._link.process)
        self.application.ready = True
        log.event("ready", api=self._settings.api)

    def _take(self, predictor: Any) -> None:
        """Load models with this predictor, from before its constructor runs, so that it can get models there."""
        if self._load is None and self._settings.has_models:
            self._load = lambda _, path: predictor.load_model(path)

    def _obstacle(self) -> str:
        """Say why the server is not ready yet."""
        if self.application.prediction is not None and not self.application.ready:
            return "another process is not ready yet"
        errors = [source["error"] for source in self._link.call("status")["sources"] if source["error"] is not None]
        return "the first scan of the models is not complete yet" + "".join(f"; {error}" for error in errors)

    def _summary(self) -> dict[str, Any]:
        return {
            "message": f"POST / to predict with {self._class.__name__}",
            "model_metadata": self._models.metadata(),
            **self._link.call("status"),
        }
