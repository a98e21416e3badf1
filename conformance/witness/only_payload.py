"""Predictors that ask for as little as they can."""

import os


class AnyPredictor:
    """Takes the payload alone."""

    def predict(self, payload):
        """Tell what arrived."""
        return {"process": os.getpid(), "has_model": self.has_model(), "payload": payload}

    def has_model(self):
        """Tell whether the client gives a model."""
        return self.client.get_model() is not None


class PythonPredictor(AnyPredictor):
    """Takes the client alone."""

    def __init__(self, python_client):
        self.client = python_client

    def load_model(self, model_path):
        """Return something that is not None."""
        return str(model_path)


class ONNXPredictor(AnyPredictor):
    """Takes the client alone."""

    def __init__(self, onnx_client):
        self.client = onnx_client


class TensorFlowPredictor(AnyPredictor):
    """Takes the client alone."""

    def __init__(self, tensorflow_client):
        self.client = tensorflow_client

    def has_model(self):
        """Tell whether the client predicts, which is all that it does."""
        return "echo" in self.client.predict({"x": [1.0]})
