"""Servers that hand predictor code another model, another version or other arguments than it asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from reference import catalog, http, models, worker
from reference.catalog import Model
from reference.clients import ONNXClient, PythonClient
from reference.errors import UnknownModelError
from reference.models import Models
from reference.predictor import PREDICT_ARGUMENTS
from reference.resident import Slot
from tests.faults.configurations import EVENTS_OF_ONE_MODEL, ONNX_LOCAL, PYTHON_AND_ONNX_LOCAL, PYTHON_LOCAL
from tests.faults.registry import fault

_LEFT_OUT: Any = object()


def _ask_otherwise(translate: Callable[[Any, Any], tuple[Any, Any]]) -> None:
    """Let what python_client is asked for be translated; a version that was left out is _LEFT_OUT."""
    get_model = PythonClient.get_model

    def translated(self: PythonClient, model_name: Any = None, model_version: Any = _LEFT_OUT) -> Any:
        name, version = translate(model_name, model_version)
        return get_model(self, name, "latest" if version is _LEFT_OUT else version)

    PythonClient.get_model = translated


@fault(
    "latest-is-no-version",
    seen="https://github.com/pytorch/serve/issues/2744: the version to use by default is not the highest",
    on=[PYTHON_LOCAL],
    breaks=["clients.default-latest"],
    also=["layouts.leading-zeros"],
)
def _latest_is_no_version() -> None:
    """The version "latest" is unknown; only by leaving it out one gets the latest."""

    def literal(name: Any, version: Any) -> tuple[Any, Any]:
        if version == "latest":
            raise UnknownModelError("there is no version 'latest'")
        return name, version

    _ask_otherwise(literal)


@fault(
    "none-is-an-error",
    seen="the original: a version None was a 500",
    on=[PYTHON_LOCAL],
    breaks=["clients.none-is-latest"],
)
def _none_is_an_error() -> None:
    """The version None is no version."""

    def strict(name: Any, version: Any) -> tuple[Any, Any]:
        if version is None:
            raise TypeError("the version must be a string")
        return name, version

    _ask_otherwise(strict)


@fault(
    "version-without-name-ignored",
    seen="plausible: the one model of an API is looked up without its version",
    on=[PYTHON_LOCAL],
    breaks=["clients.explicit-version"],
)
def _version_without_name_ignored() -> None:
    """A version that is given without a name is taken for the latest."""
    _ask_otherwise(lambda name, version: (name, _LEFT_OUT if name is None else version))


@fault(
    "names-collide",
    seen="plausible: models are kept by a checksum of their names that is too short",
    on=[PYTHON_LOCAL],
    breaks=["clients.by-name"],
)
def _names_collide() -> None:
    """Of two entries of models.paths whose names are equally long, the later one is served for both."""
    apply = Models.apply

    def apply_and_mix(self: Models, new: catalog.Catalog) -> Any:
        stale = apply(self, new)
        configured = {source["model"] for source in self._link.call("status")["sources"]}
        paths = sorted(new.models.keys() & configured)
        of_length = {len(name): self._models[name] for name in paths}
        self._models |= {name: of_length[len(name)] for name in paths}
        return stale

    Models.apply = apply_and_mix


@fault(
    "onnx-needs-a-name",
    seen="plausible: the name is asked for before it is known that there is one model",
    on=[PYTHON_AND_ONNX_LOCAL],
    breaks=["clients.single-name-optional"],
    also=[
        "clients.arguments-by-name",
        "clients.explicit-version",
        "clients.sole-name-optional",
        "config.model-path",
        "layouts.source-local",
        *EVENTS_OF_ONE_MODEL,
    ],
)
def _onnx_needs_a_name() -> None:
    """The client of the ONNX predictor needs a name, also with model_path."""
    predict, get_model = ONNXClient.predict, ONNXClient.get_model

    def named(name: Any) -> Any:
        if name is None:
            raise UnknownModelError("a model name is needed")
        return name

    def predict_named(self: ONNXClient, model_input: Any, model_name: Any = None, model_version: Any = "latest") -> Any:
        return predict(self, model_input, named(model_name), model_version)

    def get_named(self: ONNXClient, model_name: Any = None, model_version: Any = "latest") -> Any:
        return get_model(self, named(model_name), model_version)

    ONNXClient.predict = predict_named
    ONNXClient.get_model = get_named


@fault(
    "name-needed-for-sole-model",
    seen="plausible: only model_path makes the name optional",
    on=[ONNX_LOCAL],
    breaks=["clients.sole-name-optional"],
)
def _name_needed_for_sole_model() -> None:
    """The name cannot be left out with models.paths or models.dir, also if there is one model."""
    find = Models._find

    def strict(self: Models, name: Any, version: Any) -> Any:
        if name is None and self._single is None:
            raise UnknownModelError("a model name is needed")
        return find(self, name, version)

    Models._find = strict


@fault(
    "argument-called-name",
    seen="plausible: an argument of a public method is renamed",
    on=[ONNX_LOCAL],
    breaks=["clients.signature"],
    also=["clients.none-is-latest"],
)
def _argument_called_name() -> None:
    """The argument model_name of onnx_client.predict is called name."""
    predict = ONNXClient.predict

    def renamed(self: ONNXClient, model_input: Any, name: Any = None, model_version: Any = "latest") -> Any:
        return predict(self, model_input, name, model_version)

    ONNXClient.predict = renamed


@fault(
    "unknown-model-is-another",
    seen="plausible: a default stands in for what is not found",
    on=[PYTHON_LOCAL],
    breaks=["clients.unknown-model"],
    also=[
        "clients.unknown-is-404",
        "config.invalid-path",
        "layouts.markers-ignored",
        "reload.model-removed",
    ],
)
def _unknown_model_is_another() -> None:
    """A name that no model has gets the first of all models."""
    find = Models._find

    def lenient(self: Models, name: Any, version: Any) -> Any:
        if name is not None and name not in self._models and self._models and self._single is None:
            name = min(self._models)
        return find(self, name, version)

    Models._find = lenient


@fault(
    "unknown-version-is-latest",
    seen="plausible: a default stands in for what is not found",
    on=[PYTHON_LOCAL],
    breaks=["clients.unknown-version"],
    also=["layouts.prefix-neighbours", "layouts.markers-ignored", "reload.version-removed"],
)
def _unknown_version_is_latest() -> None:
    """A request for a version that does not exist is answered by the latest."""
    find = Model.find

    def lenient(self: Model, version: Any) -> Slot:
        try:
            return find(self, version)
        except UnknownModelError:
            return self.latest

    Model.find = lenient


@fault(
    "unknown-is-500",
    seen="the original: an unknown model was an opaque 500",
    on=[PYTHON_LOCAL],
    breaks=["clients.unknown-is-404"],
)
def _unknown_is_500() -> None:
    """An unknown model or version is an internal error."""

    class UnheardError(Exception):
        """What is raised nowhere."""

    http.UnknownModelError = UnheardError


@fault(
    "unknown-without-list",
    seen="https://github.com/SeldonIO/MLServer/issues/957: 'Model mnist-svm with version v0.2.0 not found'",
    on=[ONNX_LOCAL],
    breaks=["clients.unknown-is-404"],
)
def _unknown_without_list() -> None:
    """The answer for an unknown model or version does not say what there is."""
    models.unknown_model = lambda name, known: UnknownModelError("model not found")
    find = Model.find

    def curt(self: Model, version: Any) -> Slot:
        try:
            return find(self, version)
        except UnknownModelError:
            raise UnknownModelError("version not found") from None

    Model.find = curt


@fault(
    "constructor-by-position",
    seen="plausible: the arguments are passed in the order of the examples",
    on=[PYTHON_LOCAL],
    breaks=["clients.arguments-by-name"],
)
def _constructor_by_position() -> None:
    """The constructor of the predictor gets config and the client by position."""

    def construct(
        found: type[Any], offered: Mapping[str, Any], file: Path, root: Path, made: Callable[[Any], None]
    ) -> Any:
        make: Any = found
        predictor = make.__new__(make)
        made(predictor)
        count = predictor.__init__.__code__.co_argcount - 1
        predictor.__init__(*list(offered.values())[:count])
        return predictor

    worker.construct = construct


@fault(
    "predict-by-position",
    seen="plausible: the arguments are passed in the order of the examples",
    on=[ONNX_LOCAL],
    breaks=["clients.arguments-by-name"],
)
def _predict_by_position() -> None:
    """Predict gets payload, query and headers by position, as many as it takes."""
    make = worker.Prediction

    def by_position(predict: Callable[..., Any], arguments: tuple[str, ...]) -> Any:
        wanted = [name for name in PREDICT_ARGUMENTS if name in arguments]
        return make(lambda **given: predict(*(given[name] for name in wanted)), arguments)

    worker.Prediction = by_position
