"""The API configuration (`cortex.yaml`): what it may say, and what of it this server uses."""

import difflib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from reference.yaml_lines import Document, Place

PositiveInt = Annotated[int, Field(strict=True, gt=0)]
Count = Annotated[int, Field(strict=True, ge=0)]
Name = Annotated[str, Field(strict=True, min_length=1)]


def _location(value: object) -> object:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("must be an S3 path (s3://bucket/prefix) or a local directory")
    if value.startswith("s3://") and not value.removeprefix("s3://").partition("/")[0]:
        raise ValueError(f"'{value}' names no bucket")
    scheme, separator, _ = value.partition("://")
    if separator and scheme != "s3":
        raise ValueError(f"'{scheme}://' is not supported; use s3:// or a local directory")
    return value


Location = Annotated[str, BeforeValidator(_location)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class ModelPath(_Section):
    """An entry of `models.paths`; older releases said `model_path` for `path`."""

    name: Name
    path: Location | None = None
    model_path: Location | None = None
    signature_key: str | None = None

    @property
    def location(self) -> str:
        """The path, by either name."""
        return self.path or self.model_path or ""


class ModelsSection(_Section):
    """`predictor.models`."""

    paths: list[ModelPath] | None = None
    dir: Location | None = None
    signature_key: str | None = None
    cache_size: PositiveInt | None = None
    disk_cache_size: PositiveInt | None = None


class Predictor(_Section):
    """`predictor`."""

    type: Literal["python", "onnx", "tensorflow"]
    path: Name
    model_path: Location | None = None
    models: ModelsSection | None = None
    signature_key: str | None = None
    processes_per_replica: PositiveInt = 1
    threads_per_process: PositiveInt = 1
    config: dict[str, Any] = Field(default_factory=dict)


class Compute(_Section):
    """`compute`; only what changes how models are loaded."""

    gpu: Count = 0
    inf: Count = 0


class Api(_Section):
    """One RealtimeAPI."""

    name: Name
    kind: Literal["RealtimeAPI"]
    predictor: Predictor
    compute: Compute = Compute()

    @property
    def has_models(self) -> bool:
        """Whether any model path is configured."""
        return self.predictor.model_path is not None or self.predictor.models is not None

    @property
    def caches(self) -> bool:
        """Whether multi model caching is on."""
        return self.predictor.models is not None and self.predictor.models.cache_size is not None

    @property
    def layout_kind(self) -> str:
        """The rule by which directories are judged; see reference.layout."""
        return "inferentia" if self.predictor.type == "tensorflow" and self.compute.inf else self.predictor.type


# Keys of the original's RealtimeAPI that have no effect here, as places with None for a list index. A key whose value
# is an arbitrary dictionary covers what is below it.
_WITHOUT_EFFECT = {
    "predictor": ("env", "image", "python_path", "server_side_batching", "tensorflow_serving_image"),
    "predictor.server_side_batching": ("batch_interval", "max_batch_size"),
    "compute": ("cpu", "mem"),
    "networking": ("api_gateway", "endpoint", "local_port"),
    "monitoring": ("key", "model_type"),
    "autoscaling": (
        "downscale_stabilization_period",
        "downscale_tolerance",
        "init_replicas",
        "max_downscale_factor",
        "max_replica_concurrency",
        "max_replicas",
        "max_upscale_factor",
        "min_replicas",
        "target_replica_concurrency",
        "upscale_stabilization_period",
        "upscale_tolerance",
        "window",
    ),
    "update_strategy": ("max_surge", "max_unavailable"),
    "": ("autoscaling", "monitoring", "networking", "update_strategy"),
}
_EFFECTIVE = {
    "": tuple(Api.model_fields),
    "predictor": tuple(Predictor.model_fields),
    "predictor.models": tuple(ModelsSection.model_fields),
    "predictor.models.paths": tuple(ModelPath.model_fields),
    "compute": tuple(Compute.model_fields),
}
_FREE = {"predictor.config", "predictor.env"}


def read(project: Path) -> tuple[Api, list[str]]:
    """Return the API that `cortex.yaml` in the project describes, and one warning for each key without effect.

    Raises ConfigurationError with file, line and field.
    """
    document = Document(project / "cortex.yaml")
    place = _only_api(document)
    data = document.data[place[0]]
    warnings = list(_check_keys(document, place, data))
    try:
        api = Api.model_validate(data)
    except ValidationError as invalid:
        first = invalid.errors()[0]
        raise document.error((*place, *first["loc"]), _say(first)) from invalid
    _check_together(document, place, api)
    return api, warnings


def _only_api(document: Document) -> Place:
    data = document.data
    if not isinstance(data, list) or not data:
        raise document.error((), "must be a list with one API")
    if len(data) > 1:
        raise document.error((1,), f"has {len(data)} APIs, this server serves one")
    if not isinstance(data[0], dict):
        raise document.error((0,), "an API must be a mapping with name, kind and predictor")
    kind = data[0].get("kind")
    if "kind" in data[0] and kind != "RealtimeAPI":
        raise document.error((0, "kind"), f"'{kind}' is not supported; only RealtimeAPI is")
    return (0,)


def _check_keys(document: Document, place: Place, value: Any) -> Iterator[str]:
    """Yield a warning per key without effect; raise on a key that the original did not know either."""
    section = ".".join(part for part in place if isinstance(part, str))
    if section in _FREE:
        return
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _check_keys(document, (*place, index), item)
        return
    if not isinstance(value, dict):
        return
    effective, ignored = _EFFECTIVE.get(section, ()), _WITHOUT_EFFECT.get(section, ())
    for key, inner in value.items():
        inside = (*place, key)
        if key not in effective and key not in ignored:
            near = difflib.get_close_matches(key, [*effective, *ignored], n=1)
            raise document.error(inside, "unknown key" + (f"; did you mean '{near[0]}'?" if near else ""))
        if key in ignored:
            field = f"{section}.{key}" if section else key
            yield f"{document.file}:{document.line(inside)}: {field}: has no effect here"
        yield from _check_keys(document, inside, inner)


def _check_together(document: Document, place: Place, api: Api) -> None:
    """Check what fields demand of each other."""
    at = (*place, "predictor")
    predictor, models = api.predictor, api.predictor.models
    if predictor.model_path is not None and models is not None:
        raise document.error((*at, "model_path"), "cannot be combined with 'models'; use one of them")
    if predictor.type != "python" and not api.has_models:
        raise document.error(at, f"type {predictor.type} needs 'model_path' or 'models'")
    if api.layout_kind == "inferentia" and predictor.processes_per_replica > 1:
        raise document.error(
            (*at, "processes_per_replica"), "must be 1 with compute.inf: live reloading of Inferentia models needs it"
        )
    if models is not None:
        _check_models(document, (*at, "models"), models)
        if api.caches and predictor.processes_per_replica > 1:
            raise document.error(
                (*at, "processes_per_replica"), "must be 1 with multi model caching (cache_size, disk_cache_size)"
            )


def _check_models(document: Document, at: Place, models: ModelsSection) -> None:
    if models.paths is not None and models.dir is not None:
        raise document.error((*at, "dir"), "cannot be combined with 'paths'; use one of them")
    if models.paths is None and models.dir is None:
        raise document.error(at, "either 'paths' or 'dir' is needed")
    names: set[str] = set()
    for index, entry in enumerate(models.paths or ()):
        here = (*at, "paths", index)
        if (entry.path is None) == (entry.model_path is None):
            raise document.error(here, f"entry '{entry.name}' needs 'path' (or, as in older releases, 'model_path')")
        if entry.name in names:
            raise document.error((*here, "name"), f"'{entry.name}' is given twice")
        names.add(entry.name)
    if models.paths == []:
        raise document.error((*at, "paths"), "is empty")
    for one, other in (("cache_size", "disk_cache_size"), ("disk_cache_size", "cache_size")):
        if getattr(models, one) is not None and getattr(models, other) is None:
            raise document.error((*at, one), f"needs '{other}' beside it")
    if models.cache_size and models.disk_cache_size and models.disk_cache_size < models.cache_size:
        raise document.error(
            (*at, "disk_cache_size"),
            f"is {models.disk_cache_size}, must be at least cache_size ({models.cache_size})",
        )


def _say(error: Any) -> str:
    """Return pydantic's message without its jargon."""
    if error["type"] == "missing":
        return "is missing"
    message = str(error["msg"]).removeprefix("Value error, ")
    return message[0].lower() + message[1:]
