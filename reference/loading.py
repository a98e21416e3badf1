"""How this process turns the files of a model into what its clients use, by predictor type and hardware."""

from collections.abc import Callable
from typing import Any

from reference.config import Api

Load = Callable[[str, str], Any]
"""(model name, path) -> content; raises whatever the framework or the predictor raises."""


class HardwareMissingError(RuntimeError):
    """The configuration asks for hardware that is not usable here."""


def framework_loader(api: Api) -> Load:
    """Return how models are loaded by an onnx or tensorflow predictor; imports the framework."""
    return _onnx(api) if api.predictor.type == "onnx" else _tensorflow(api)


def _onnx(api: Api) -> Load:
    import onnxruntime  # noqa: PLC0415 - only where it is used

    from reference.frameworks.onnx import OnnxModel  # noqa: PLC0415 - only where it is used

    cuda = "CUDAExecutionProvider"
    if not api.compute.gpu:
        return lambda _, path: OnnxModel(path, ["CPUExecutionProvider"])
    if cuda in onnxruntime.get_available_providers():
        return lambda _, path: OnnxModel(path, [cuda, "CPUExecutionProvider"])
    return _refusal(f"compute.gpu is set, but this installation of ONNX Runtime has no {cuda}")


def _tensorflow(api: Api) -> Load:
    if api.compute.inf:
        return _refusal("compute.inf is set: serving this model needs the Neuron runtime, which is not available here")
    from reference.frameworks.tensorflow import SavedModel  # noqa: PLC0415 - takes seconds, only where it is used

    predictor, models = api.predictor, api.predictor.models
    by_default = predictor.signature_key or (models.signature_key if models else None)
    own = {entry.name: entry.signature_key for entry in (models.paths if models else None) or ()}
    return lambda name, path: SavedModel(path, own.get(name) or by_default)


def _refusal(reason: str) -> Load:
    def load(_: str, __: str) -> Any:
        raise HardwareMissingError(reason)

    return load
