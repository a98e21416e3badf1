"""A python predictor that cannot load models."""


class PythonPredictor:
    """Has everything but load_model."""

    def __init__(self, config, python_client):
        self.client = python_client

    def predict(self, payload):
        """Fetch the model."""
        return {"model": str(self.client.get_model())}
