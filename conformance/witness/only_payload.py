"""Predictors that ask for as little as they can."""

import os


class AnyPredictor:
    """Takes the payload alone."""

    def predict(self, payload):
        """Tell what arrived."""
        return {"process": os.getpid(), "has_model": self.client.get_model() is not None, "payload": payload}


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
