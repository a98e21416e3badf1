"""One predictor and one model maker per predictor type; every predictor answers the sorted tokens it read."""

from collections.abc import Callable
from dataclasses import dataclass

from fixtures.models.onnx import onnx_model
from fixtures.models.python import python_model
from fixtures.models.tensorflow import saved_model
from fixtures.trees import File, Tree

_PYTHON = """
import os, threading

class Model(list):
    pass

class PythonPredictor:
    def __init__(self, config, python_client):
        self.client = python_client

    def load_model(self, path):
        found = Model()
        for folder, _, names in os.walk(path):
            for name in names:
                with open(os.path.join(folder, name)) as file:
                    word, token = file.readline().split()
                    assert word == "token:", "not a model"
                    found.append(token)
        return Model(sorted(found))

    def predict(self, query_params):
        model = self.client.get_model(query_params.get("model"), query_params.get("version"))
        if "hold" in query_params:
            threading.Event().wait(float(query_params["hold"]))
        return model
"""

_ONNX = """
class ONNXPredictor:
    def __init__(self, onnx_client, config):
        self.client = onnx_client

    def predict(self, query_params):
        outputs = self.client.predict([1.0], query_params.get("model"), query_params.get("version"))
        return ["".join(f"{half:08x}" for half in outputs[0].tolist())]
"""

_TENSORFLOW = """
class TensorFlowPredictor:
    def __init__(self, tensorflow_client, config):
        self.client = tensorflow_client

    def predict(self, query_params):
        outputs = self.client.predict([1.0], query_params.get("model"), query_params.get("version"))
        tokens = (outputs["token"], outputs["variables_token"])
        return sorted("".join(f"{half:08x}" for half in token) for token in tokens)
"""


@dataclass(frozen=True, slots=True)
class Kind:
    """A predictor type as the tests use it."""

    name: str
    predictor: str
    make: Callable[[], Tree]
    main: str
    """The file that is broken to break a model."""

    def broken(self) -> Tree:
        """Return a model whose files are all there and that cannot be loaded."""
        tree = self.make()
        return Tree({key: File(b"nonsense") if key == self.main else file for key, file in tree.items()})


PYTHON = Kind("python", _PYTHON, python_model, "model.pkl")
ONNX = Kind("onnx", _ONNX, onnx_model, "model.onnx")
TENSORFLOW = Kind("tensorflow", _TENSORFLOW, saved_model, "saved_model.pb")
ALL = (PYTHON, ONNX, TENSORFLOW)


def tokens(tree: Tree) -> list[str]:
    """Return what a predictor answers for this model."""
    return sorted(tree.tokens.values())
