"""A python predictor that asks for no model and gets none."""

import os


class PythonPredictor:
    """Loads whatever it needs by itself, which here is nothing."""

    def __init__(self, config):
        self.config = config

    def predict(self, payload):
        """Give the payload back."""
        return {"process": os.getpid(), "payload": payload}
