"""Servers that serve what they should refuse, refuse what they should serve, or do not say why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import reference.serve as command
from reference import config, worker
from reference.errors import ConfigurationError
from reference.options import Options
from reference.yaml_lines import Document, Place
from tests.faults.configurations import CACHED_ONNX_LOCAL, ONNX_LOCAL, PYTHON_LOCAL
from tests.faults.registry import fault


@fault(
    "paths-and-dir-accepted",
    seen="plausible: whichever is looked at first wins",
    on=[PYTHON_LOCAL],
    breaks=["config.paths-or-dir"],
)
def _paths_and_dir_accepted() -> None:
    """A configuration with models.paths and models.dir is served from dir."""
    check_models = config._check_models

    def lenient(document: Document, at: Place, models: config.ModelsSection) -> None:
        both = models.paths is not None and models.dir is not None
        check_models(document, at, models.model_copy(update={"paths": None}) if both else models)

    config._check_models = lenient


@fault(
    "small-disk-cache-accepted",
    seen="plausible: the two sizes are never compared",
    on=[CACHED_ONNX_LOCAL],
    breaks=["config.cache-order"],
)
def _small_disk_cache_accepted() -> None:
    """A disk cache smaller than the memory cache is accepted."""
    check_models = config._check_models

    def lenient(document: Document, at: Place, models: config.ModelsSection) -> None:
        sizes = (models.cache_size, models.disk_cache_size)
        enough = max((size for size in sizes if size is not None), default=None)
        raised = models.disk_cache_size is not None
        check_models(document, at, models.model_copy(update={"disk_cache_size": enough}) if raised else models)

    config._check_models = lenient


@fault(
    "model-path-and-models-accepted",
    seen="plausible: whichever is looked at first wins",
    on=[PYTHON_LOCAL],
    breaks=["config.exclusive"],
)
def _model_path_and_models_accepted() -> None:
    """A configuration with model_path and models is served from model_path."""
    check = config._check_together

    def lenient(document: Document, place: Place, api: config.Api) -> None:
        predictor = api.predictor
        if predictor.model_path is not None and predictor.models is not None:
            api = api.model_copy(update={"predictor": predictor.model_copy(update={"models": None})})
        check(document, place, api)

    config._check_together = lenient


@fault(
    "cache-without-disk-accepted",
    seen="plausible: the size of one layer is a default for the other",
    on=[CACHED_ONNX_LOCAL],
    breaks=["config.cache-pair"],
)
def _cache_without_disk_accepted() -> None:
    """Of cache_size and disk_cache_size one is enough."""
    check_models = config._check_models

    def lenient(document: Document, at: Place, models: config.ModelsSection) -> None:
        sizes = {"cache_size": models.cache_size, "disk_cache_size": models.disk_cache_size}
        either = models.cache_size or models.disk_cache_size
        check_models(document, at, models.model_copy(update={key: size or either for key, size in sizes.items()}))

    config._check_models = lenient


@fault(
    "cache-of-any-size-accepted",
    seen="plausible: 0 is taken for no limit, and what is no integer is rounded",
    on=[CACHED_ONNX_LOCAL],
    breaks=["config.cache-positive"],
)
def _cache_of_any_size_accepted() -> None:
    """A cache_size that is not positive, or no integer, is taken for the nearest one that is."""

    class Lenient(config.Api):
        @classmethod
        def model_validate(cls, data: Any, **options: Any) -> config.Api:
            models = data.get("predictor", {}).get("models") or {}
            size = models.get("cache_size")
            if isinstance(size, (int, float)):
                models["cache_size"] = max(1, int(size))
            return config.Api.__base__.model_validate.__func__(cls, data, **options)

    config.Api = Lenient


@fault(
    "cache-with-processes-accepted",
    seen="plausible: each process has a cache of its own",
    on=[CACHED_ONNX_LOCAL],
    breaks=["config.cache-one-process"],
)
def _cache_with_processes_accepted() -> None:
    """Caching is accepted with any number of processes."""
    check = config._check_together

    def lenient(document: Document, place: Place, api: config.Api) -> None:
        one = api.predictor.model_copy(update={"processes_per_replica": 1})
        check(document, place, api.model_copy(update={"predictor": one}))

    config._check_together = lenient


@fault(
    "path-stands-in-for-model",
    seen="plausible: without load_model the predictor is given the path",
    on=[PYTHON_LOCAL],
    breaks=["config.load-model-required"],
)
def _path_stands_in_for_model() -> None:
    """A class without load_model is served, and get_model gives it the path of the model."""

    def require_or_provide(found: type[Any], file: Path) -> None:
        if not hasattr(found, "load_model"):
            found.load_model = lambda self, path: path

    worker.require_load_model = require_or_provide


@fault(
    "python-needs-a-model",
    seen="plausible: what the other predictors need is asked of all",
    on=[PYTHON_LOCAL],
    breaks=["config.python-model-optional"],
)
def _python_needs_a_model() -> None:
    """A python predictor without any model path is refused."""
    check = config._check_together

    def strict(document: Document, place: Place, api: config.Api) -> None:
        check(document, place, api)
        if not api.has_models:
            raise document.error((*place, "predictor"), "needs 'model_path' or 'models'")

    config._check_together = strict


@fault(
    "refusal-without-field",
    seen="plausible: the cause is lost on its way to the user",
    on=[PYTHON_LOCAL],
    breaks=["config.refusal-is-clear"],
)
def _refusal_without_field() -> None:
    """A refused configuration is called invalid, and nothing more is said."""
    serve = command.serve

    def curt(options: Options) -> None:
        try:
            serve(options)
        except ConfigurationError:
            raise ConfigurationError("the configuration is not valid") from None

    command.serve = curt


@fault(
    "refusal-exits-with-success",
    seen="plausible: the error is logged, and the process comes to its end",
    on=[ONNX_LOCAL],
    breaks=["config.refusal-is-clear"],
)
def _refusal_exits_with_success() -> None:
    """A server that refuses its configuration exits with status 0."""
    serve = command.serve

    def polite(options: Options) -> None:
        try:
            serve(options)
        except ConfigurationError as error:
            print(f"error: {error}")

    command.serve = polite


@fault(
    "equal-cache-sizes-refused",
    seen="plausible: greater than instead of greater than or equal",
    on=[CACHED_ONNX_LOCAL],
    breaks=["config.cache-order"],
)
def _equal_cache_sizes_refused() -> None:
    """A disk cache as large as the memory cache is refused."""
    check_models = config._check_models

    def strict(document: Document, at: Place, models: config.ModelsSection) -> None:
        check_models(document, at, models)
        if models.cache_size is not None and models.cache_size == models.disk_cache_size:
            raise document.error((*at, "disk_cache_size"), "must be greater than cache_size")

    config._check_models = strict
