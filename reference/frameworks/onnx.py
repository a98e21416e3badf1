"""ONNX models, run by ONNX Runtime."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from onnxruntime.capi.onnxruntime_pybind11_state import InvalidArgument

from reference.errors import InputError

_NUMPY_TYPES: Mapping[str, type[Any]] = {
    "tensor(bool)": np.bool_,
    "tensor(double)": np.float64,
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(int16)": np.int16,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
    "tensor(int8)": np.int8,
    "tensor(string)": np.str_,
    "tensor(uint16)": np.uint16,
    "tensor(uint32)": np.uint32,
    "tensor(uint64)": np.uint64,
    "tensor(uint8)": np.uint8,
}


@dataclass(frozen=True, slots=True)
class _Input:
    name: str
    dtype: type[Any] | None
    shape: tuple[int | None, ...]
    rank: int
    fixed: bool
    """Some dimension must have a certain size."""


class OnnxModel:
    """One session, and what its inputs must look like."""

    def __init__(self, folder: str, providers: list[str]) -> None:
        (file,) = (path for path in Path(folder).glob("*.onnx") if not path.name.startswith("."))
        options = onnxruntime.SessionOptions()
        # One request is one thread: a pool per session costs memory and tens of milliseconds to release.
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        session = onnxruntime.InferenceSession(str(file), options, providers=providers)
        signatures = session.get_inputs()
        self._run = session.run
        self._outputs = [output.name for output in session.get_outputs()]
        self._names = {argument.name for argument in signatures}
        self._inputs = tuple(_describe(argument) for argument in signatures)
        self.info: dict[str, Any] = {
            "session": session,
            "signatures": signatures,
            "input_signatures": {
                argument.name: {"shape": argument.shape, "type": _NUMPY_TYPES.get(argument.type, argument.type)}
                for argument in signatures
            },
        }

    def predict(self, model_input: Any) -> list[Any]:
        """Return all outputs in the order of the model; raise InputError if the input does not fit."""
        inputs = self._inputs
        if isinstance(model_input, dict):
            if model_input.keys() != self._names:
                wanted = ", ".join(f"'{each.name}'" for each in inputs)
                raise InputError(f"the model's inputs are {wanted}, not {sorted(map(str, model_input))}")
            feed = {each.name: _array(model_input[each.name], each) for each in inputs}
        elif len(inputs) == 1:
            feed = {inputs[0].name: _array(model_input, inputs[0])}
        else:
            wanted = ", ".join(f"'{each.name}'" for each in inputs)
            raise InputError(f"the model has several inputs, give a dictionary with {wanted}")
        try:
            outputs: list[Any] = self._run(self._outputs, feed)
        except InvalidArgument as error:
            raise InputError(str(error)) from error
        return outputs


def _describe(argument: Any) -> _Input:
    shape = tuple(size if isinstance(size, int) else None for size in argument.shape)
    fixed = any(size is not None for size in shape)
    return _Input(argument.name, _NUMPY_TYPES.get(argument.type), shape, len(shape), fixed)


def _array(value: Any, wanted: _Input) -> Any:
    if wanted.dtype is None:  # not a tensor: the runtime checks it
        return value
    try:
        array = np.asarray(value, dtype=wanted.dtype)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"input '{wanted.name}' is not an array of {wanted.dtype.__name__}: {error}") from error
    shape = wanted.shape
    if array.ndim == wanted.rank and not wanted.fixed:
        return array
    if _fits(array.shape, shape):
        return array
    # One example where the model takes a batch.
    if len(array.shape) + 1 == len(shape) and _fits((1, *array.shape), shape):
        return array[np.newaxis]
    raise InputError(f"input '{wanted.name}' has shape {list(array.shape)}, the model takes {list(shape)}")


def _fits(actual: tuple[int, ...], wanted: tuple[int | None, ...]) -> bool:
    return len(actual) == len(wanted) and all(
        size == limit or limit is None for size, limit in zip(actual, wanted, strict=True)
    )
