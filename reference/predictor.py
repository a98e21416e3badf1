"""The user's predictor class: found in its file, checked, constructed and called with the arguments it asks for."""

import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from reference.errors import ConfigurationError

CLASS_NAMES = {"python": "PythonPredictor", "onnx": "ONNXPredictor", "tensorflow": "TensorFlowPredictor"}
PREDICT_ARGUMENTS = ("payload", "query_params", "headers")


def describe(error: BaseException, within: Path) -> str:
    """Return an exception as one line, with the place in the user's code where it came up."""
    if isinstance(error, SyntaxError):
        return f"{error.filename}:{error.lineno}: {type(error).__name__}: {error.msg}"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.startswith(f"{within}/")]
    place = f"{frames[-1].filename}:{frames[-1].lineno}: " if frames else ""
    return f"{place}{type(error).__name__}: {error}".replace("\n", " ")


def find_class(file: Path, kind: str, root: Path) -> type[Any]:
    """Import the predictor's file and return its class; raises ConfigurationError.

    Modules of the project are found from `root`.
    """
    name = CLASS_NAMES[kind]
    if not file.is_file():
        raise ConfigurationError(f"predictor.path: there is no file {file}")
    sys.path.insert(0, str(root))
    spec = importlib.util.spec_from_file_location("predictor", file)
    if spec is None or spec.loader is None:
        raise ConfigurationError(f"predictor.path: {file} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules["predictor"] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise ConfigurationError(describe(error, root)) from error
    found = getattr(module, name, None)
    if not inspect.isclass(found):
        raise ConfigurationError(f"{file}: predictor.type is {kind}, but there is no class {name}")
    if not callable(getattr(found, "predict", None)):
        raise ConfigurationError(f"{file}: {name} has no predict() method")
    return found


def require_load_model(found: type[Any], file: Path) -> None:
    """Raise ConfigurationError unless the class can load models (clause config.load-model-required)."""
    if not callable(getattr(found, "load_model", None)):
        raise ConfigurationError(
            f"{file}: {found.__name__} needs a load_model() method, because model paths are configured"
        )


def construct(found: type[Any], offered: Mapping[str, Any], file: Path, root: Path, made: Callable[[Any], None]) -> Any:
    """Make the predictor with those of the offered arguments that it asks for; raises ConfigurationError.

    `made` is given the predictor before its `__init__` runs.
    """
    wanted = _accepted(found, f"{file}: {found.__name__}.__init__()", tuple(offered))
    try:
        arguments = {name: offered[name] for name in wanted}
        make: Any = found  # what calling the class does, in two steps
        predictor = make.__new__(make, **arguments)
        made(predictor)
        predictor.__init__(**arguments)
    except Exception as error:
        raise ConfigurationError(f"{found.__name__}() failed: {describe(error, root)}") from error
    return predictor


def predict_arguments(predictor: Any, file: Path) -> tuple[str, ...]:
    """Return which of PREDICT_ARGUMENTS the predictor asks for; raises ConfigurationError for any other."""
    return _accepted(predictor.predict, f"{file}: {type(predictor).__name__}.predict()", PREDICT_ARGUMENTS)


def _accepted(function: Callable[..., Any], place: str, offered: tuple[str, ...]) -> tuple[str, ...]:
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:  # no Python signature: nothing is asked for
        return ()
    wanted = []
    for parameter in parameters:
        if parameter.kind is parameter.VAR_KEYWORD:
            return offered
        if parameter.name in offered and parameter.kind is not parameter.POSITIONAL_ONLY:
            wanted.append(parameter.name)
        elif parameter.default is parameter.empty and parameter.kind is not parameter.VAR_POSITIONAL:
            raise ConfigurationError(
                f"{place} asks for '{parameter.name}'; what there is to ask for: {', '.join(offered)}"
            )
    return tuple(wanted)
