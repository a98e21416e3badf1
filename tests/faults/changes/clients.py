"""Servers that hand predictor code something else than it asked for."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from reference import catalog, http, layout, models, worker
from reference.catalog import Model
from reference.clients import ONNXClient, PythonClient
from reference.errors import LoadError, UnknownModelError
from reference.frameworks.onnx import OnnxModel
from reference.models import Models
from reference.predictor import PREDICT_ARGUMENTS
from reference.resident import Resident, Slot
from reference.sources import File, Source
from reference.store import Revision, Store
from tests.faults.configurations import ONNX_LOCAL, PYTHON_AND_ONNX_LOCAL, PYTHON_LOCAL
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
        "layouts.prefix-neighbours",
        "layouts.source-local",
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
    """A version that a model has not gets its latest one."""
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
    "receipt-beside-model",
    seen="plausible: the server keeps its own notes in the folder of the model",
    on=[PYTHON_LOCAL],
    breaks=["clients.python.load-model-path"],
)
def _receipt_beside_model() -> None:
    """Under the path that load_model gets lies a file of the server as well."""
    add = Store.add

    def add_with_receipt(self: Store, source: Source, version: Any) -> Revision:
        revision = add(self, source, version)
        (revision.path / "download.json").write_text("{}")
        return revision

    Store.add = add_with_receipt


@fault(
    "empty-files-left-out",
    seen="plausible: an object without content is taken for the marker of a folder",
    on=[PYTHON_LOCAL],
    breaks=["clients.python.load-model-path"],
)
def _empty_files_left_out() -> None:
    """A file without content is not part of a model."""
    writable = layout._writable

    def filled(listed: list[File], prefix: str, found: layout.Layout) -> list[File]:
        return [file for file in writable(listed, prefix, found) if file.size]

    layout._writable = filled


@fault(
    "object-is-copied",
    seen="plausible: each request gets an object of its own, so that none spoils that of another",
    on=[PYTHON_LOCAL],
    breaks=["clients.python.exact-object"],
)
def _object_is_copied() -> None:
    """get_model returns a copy of what load_model returned."""
    get_model = PythonClient.get_model

    def copied(self: PythonClient, model_name: Any = None, model_version: Any = "latest") -> Any:
        return copy.copy(get_model(self, model_name, model_version))

    PythonClient.get_model = copied


@fault(
    "falsy-object-refused",
    seen="plausible: 'if not model' where 'if model is None' was meant, and None means that it is not there",
    on=[PYTHON_LOCAL],
    breaks=["clients.python.exact-object"],
    also=["clients.python.load-once"],
)
def _falsy_object_refused() -> None:
    """A model whose object is None or empty counts as not loaded, and is an error."""
    get_model = PythonClient.get_model

    def checked(self: PythonClient, model_name: Any = None, model_version: Any = "latest") -> Any:
        found = get_model(self, model_name, model_version)
        if not found:
            raise LoadError("the model is not loaded")
        return found

    PythonClient.get_model = checked


@fault(
    "falsy-object-reloaded",
    seen="plausible: 'if not model' where 'if key not in loaded' was meant",
    on=[PYTHON_LOCAL],
    breaks=["clients.python.load-once"],
)
def _falsy_object_reloaded() -> None:
    """A model whose object is None or empty is loaded again for every request."""
    get = Slot.get

    def impatient(self: Slot) -> Resident:
        if self.resident is not None and not self.resident.content:
            self.resident = None
        return get(self)

    Slot.get = impatient


@fault(
    "loaded-for-each-request",
    seen="plausible: get_model calls load_model",
    on=[PYTHON_LOCAL],
    breaks=["clients.python.load-once"],
    also=["clients.python.exact-object", "reload.untouched-not-reloaded"],
)
def _loaded_for_each_request() -> None:
    """load_model runs for every request."""
    get = Slot.get

    def forgetful(self: Slot) -> Resident:
        self.resident = None
        return get(self)

    Slot.get = forgetful


@fault(
    "onnx-outputs-rounded",
    seen="plausible: outputs are sent in half precision",
    on=[ONNX_LOCAL],
    breaks=["clients.onnx.predict"],
)
def _onnx_outputs_rounded() -> None:
    """The floating numbers that an ONNX model gives are rounded."""
    predict = OnnxModel.predict

    def rounded(self: OnnxModel, model_input: Any) -> list[Any]:
        outputs = predict(self, model_input)
        return [np.round(each, 1) if np.issubdtype(each.dtype, np.floating) else each for each in outputs]

    OnnxModel.predict = rounded


@fault(
    "onnx-answer-remembered",
    seen="plausible: answers are cached by model, without the input",
    on=[ONNX_LOCAL],
    breaks=["clients.onnx.predict"],
)
def _onnx_answer_remembered() -> None:
    """An ONNX model gives the outputs of its first input for every input."""
    predict = OnnxModel.predict

    def remembered(self: OnnxModel, model_input: Any) -> list[Any]:
        if "answer" not in self.info:
            self.info["answer"] = predict(self, model_input)
        answer: list[Any] = self.info["answer"]
        return answer

    OnnxModel.predict = remembered


@fault(
    "signatures-without-shape",
    seen="plausible: shapes are left out where a dimension has no size",
    on=[ONNX_LOCAL],
    breaks=["clients.onnx.get-model"],
)
def _signatures_without_shape() -> None:
    """input_signatures gives the type of each input, and no shape."""
    make = OnnxModel.__init__

    def without_shape(self: OnnxModel, folder: str, providers: list[str]) -> None:
        make(self, folder, providers)
        signatures = self.info["input_signatures"]
        self.info["input_signatures"] = {name: each | {"shape": []} for name, each in signatures.items()}

    OnnxModel.__init__ = without_shape


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
