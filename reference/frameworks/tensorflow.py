"""SavedModels, run in this process by TensorFlow."""

import os
from collections.abc import Mapping
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")  # halves the time of the import; Keras itself is not needed

import tensorflow as tf

from reference.errors import InputError
from reference.frameworks.signatures import choose_signature


class SavedModel:
    """One loaded SavedModel and the signature it is called by."""

    def __init__(self, folder: str, signature_key: str | None) -> None:
        # The signature is a function over variables that the loaded object owns: both have to live.
        self._loaded = tf.saved_model.load(folder)
        signatures = self._loaded.signatures
        self._signature = signatures[choose_signature(signatures, signature_key)]
        self._inputs: dict[str, Any] = self._signature.structured_input_signature[1]

    def predict(self, model_input: Any) -> dict[str, Any]:
        """Return the outputs by name as nested lists; raise InputError if the input does not fit the signature."""
        inputs = self._inputs
        if not isinstance(model_input, dict):
            if len(inputs) != 1:
                raise InputError(f"the model has several inputs, give a dictionary with {_quoted(inputs)}")
            model_input = dict.fromkeys(inputs, model_input)
        elif model_input.keys() != inputs.keys():
            raise InputError(f"the model's inputs are {_quoted(inputs)}, not {sorted(map(str, model_input))}")
        tensors = {name: _tensor(value, name, inputs[name]) for name, value in model_input.items()}
        try:
            outputs = self._signature(**tensors)
        except tf.errors.InvalidArgumentError as error:
            raise InputError(error.message) from error
        return {name: _plain(value) for name, value in outputs.items()}


def _tensor(value: Any, name: str, wanted: Any) -> Any:
    try:
        tensor = tf.convert_to_tensor(value, dtype=wanted.dtype)
    except (TypeError, ValueError, OverflowError, tf.errors.OpError) as error:
        raise InputError(f"input '{name}' is not a tensor of {wanted.dtype.name}: {error}") from error
    if wanted.shape.is_compatible_with(tensor.shape):
        return tensor
    # One example where the model takes a batch.
    if wanted.shape.is_compatible_with([1, *tensor.shape]):
        return tensor[tf.newaxis]
    raise InputError(f"input '{name}' has shape {tensor.shape}, the model takes {wanted.shape}")


def _plain(value: Any) -> Any:
    if value.dtype == tf.string:
        return _decoded(value.numpy().tolist() if value.shape.rank else value.numpy())
    return value.numpy().tolist()


def _decoded(value: Any) -> Any:
    """Strings of a model are bytes: text where they are valid UTF-8."""
    if isinstance(value, list):
        return [_decoded(item) for item in value]
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value


def _quoted(inputs: Mapping[str, Any]) -> str:
    return ", ".join(f"'{name}'" for name in sorted(inputs))
