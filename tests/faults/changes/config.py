"""Servers that get the config family wrong."""

from __future__ import annotations

from reference import config
from tests.faults.configurations import CACHED_ONNX_LOCAL, PYTHON_LOCAL
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

    def lenient(document: config.Document, at: config.Place, models: config.ModelsSection) -> None:
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

    def lenient(document: config.Document, at: config.Place, models: config.ModelsSection) -> None:
        sizes = (models.cache_size, models.disk_cache_size)
        enough = max((size for size in sizes if size is not None), default=None)
        raised = models.disk_cache_size is not None
        check_models(document, at, models.model_copy(update={"disk_cache_size": enough}) if raised else models)

    config._check_models = lenient
