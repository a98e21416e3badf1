"""Predictors that ask for their arguments in an unusual order, and tell what they were handed under which name."""

import os


class AnyPredictor:
    """Takes the headers before the payload, and tells what arrived under each name."""

    def predict(self, headers, query_params, payload):
        """Tell what arrived under each name."""
        return {
            "process": os.getpid(),
            "config_is_a_dict": isinstance(self.config, dict),
            "has_model": self.has_model(),
            "payload": payload,
            "query": query_params["probe"],
            # How the names of headers are spelled is a matter of HTTP servers.
            "header": next(value for name, value in headers.items() if name.lower() == "x-probe"),
        }

    def has_model(self):
        """Tell whether the client gives a model."""
        return self.client.get_model() is not None


class PythonPredictor(AnyPredictor):
    """Takes the client before the configuration."""

    def __init__(self, python_client, config):
        self.client = python_client
        self.config = config

    def load_model(self, model_path):
        """Return something that is not None."""
        return str(model_path)


class ONNXPredictor(AnyPredictor):
    """Takes the configuration before the client."""

    def __init__(self, config, onnx_client):
        self.client = onnx_client
        self.config = config


class TensorFlowPredictor(AnyPredictor):
    """Takes the configuration before the client."""

    def __init__(self, config, tensorflow_client):
        self.client = tensorflow_client
        self.config = config

    def has_model(self):
        """Tell whether the client predicts, which is all that it does."""
        return "echo" in self.client.predict({"x": [1.0]})
