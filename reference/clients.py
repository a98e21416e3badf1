"""What predictor code gets into its hands: the clients of the document, with its argument names."""

from typing import Any

from reference.models import Models
from reference.resident import hold


class PythonClient:
    """Gives a PythonPredictor the objects that its `load_model()` returned."""

    def __init__(self, models: Models) -> None:
        self._models = models

    def get_model(self, model_name: str | None = None, model_version: str | None = "latest") -> Any:
        """Return the very object that `load_model()` returned; it and its files stay until the request ends.

        Raises UnknownModelError (404 unless it is caught), LoadError or UnavailableError.
        """
        resident = self._models.get(model_name, model_version)
        hold(resident)
        return resident.content


class ONNXClient:
    """Runs ONNX models."""

    def __init__(self, models: Models) -> None:
        self._models = models

    def predict(self, model_input: Any, model_name: str | None = None, model_version: str | None = "latest") -> Any:
        """Return the list of the model's outputs as arrays.

        `model_input` is a dictionary of arrays by input name, or the array itself for a model with one input. Raises
        InputError (400) if it does not fit the model's signature, else as PythonClient.get_model.
        """
        resident = self._models.get(model_name, model_version)
        return resident.content.predict(model_input)

    def get_model(self, model_name: str | None = None, model_version: str | None = "latest") -> dict[str, Any]:
        """Return `session`, `signatures` and `input_signatures` of a model."""
        resident = self._models.get(model_name, model_version)
        hold(resident)
        info: dict[str, Any] = resident.content.info
        return info


class TensorFlowClient:
    """Runs SavedModels."""

    def __init__(self, models: Models) -> None:
        self._models = models

    def predict(
        self, model_input: Any, model_name: str | None = None, model_version: str | None = "latest"
    ) -> dict[str, Any]:
        """Return the outputs by name, as nested lists.

        `model_input` is a dictionary by input name, or the value itself for a signature with one input. Raises as
        ONNXClient.predict.
        """
        resident = self._models.get(model_name, model_version)
        outputs: dict[str, Any] = resident.content.predict(model_input)
        return outputs
