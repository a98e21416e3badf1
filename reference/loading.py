"""How this process turns the files of a model into what its clients use, by predictor type and hardware."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Load = Callable[[str, str], Any]
"""(model name, path) -> content; raises whatever the framework or the predictor raises."""


@dataclass(frozen=True, slots=True)
class Framework:
    """What loads models, `onnx` or `tensorflow`, on which hardware, and what it has to know of each by its name."""

    name: str
    gpu: bool = False
    inferentia: bool = False
    signature_key: str | None = None
    signature_keys: Mapping[str, str | None] = field(default_factory=dict)


class HardwareMissingError(RuntimeError):
    """The configuration asks for hardware that is not usable here."""


def framework_loader(framework: Framework) -> Load:
    """Return how models are loaded by an onnx or tensorflow predictor; imports the framework."""
    return _onnx(framework) if framework.name == "onnx" else _tensorflow(framework)


def _onnx(framework: Framework) -> Load:
    import onnxruntime  # noqa: PLC0415 - only where it is used

    from reference.frameworks.onnx import OnnxModel  # noqa: PLC0415 - only where it is used

    cuda = "CUDAExecutionProvider"
    if not framework.gpu:
        return lambda _, path: OnnxModel(path, ["CPUExecutionProvider"])
    if cuda in onnxruntime.get_available_providers():
        return lambda _, path: OnnxModel(path, [cuda, "CPUExecutionProvider"])
    return _refusal(f"compute.gpu is set, but this installation of ONNX Runtime has no {cuda}")


def _tensorflow(framework: Framework) -> Load:
    if framework.inferentia:
        return _refusal("compute.inf is set: serving this model needs the Neuron runtime, which is not available here")
    from reference.frameworks.tensorflow import SavedModel  # noqa: PLC0415 - takes seconds, only where it is used

    own, by_default = framework.signature_keys, framework.signature_key
    return lambda name, path: SavedModel(path, own.get(name) or by_default)


def _refusal(reason: str) -> Load:
    def load(_: str, __: str) -> Any:
        raise HardwareMissingError(reason)

    return load
