"""A python predictor that loads the models of frameworks, as their users do, and tells how many are in memory."""

import gc
import importlib.util
import os
import pickle
import sys
import weakref
from pathlib import Path


def token(high, low):
    """Write the token that a model answers in two halves."""
    return f"{int(high):08x}{int(low):08x}"


class NumPy:
    """An array, whose bytes begin with a line that holds the token."""

    def load(self, file):
        """Read all bytes."""
        import numpy as np

        return np.fromfile(file, dtype=np.uint8)

    def tokens(self, array):
        """Use the model."""
        return [bytes(array[:32]).split(b"\n")[0].removeprefix(b"token: ").decode()]


class Pandas:
    """A pickled frame."""

    def load(self, file):
        """Read the pickle."""
        return pickle.loads(file.read_bytes())  # noqa: S301 - a file of the suite

    def tokens(self, frame):
        """Use the model."""
        return [token(frame["hi"][0], frame["lo"][0])]


class ScikitLearn:
    """A pickled regression, which answers its input and its token."""

    def load(self, file):
        """Read the pickle."""
        return pickle.loads(file.read_bytes())  # noqa: S301 - a file of the suite

    def tokens(self, model):
        """Use the model."""
        ((_, high, low),) = model.predict([[1.0]])
        return [token(high, low)]


class Torch:
    """The parameters of a module; with CUDA they are moved to the device."""

    def load(self, file):
        """Read the parameters into a module."""
        import torch

        parameters = torch.load(file, weights_only=True)
        module = torch.nn.Module()
        for name, value in parameters.items():
            module.register_buffer(name, value)
        return module.to("cuda" if torch.cuda.is_available() else "cpu")

    def tokens(self, module):
        """Use the model, on whichever device it is."""
        high, low = (module.token + 0 * module.payload[:1].sum()).tolist()
        return [token(high, low)]


class OnnxRuntime:
    """A session of ONNX Runtime."""

    def load(self, file):
        """Make the session, with one thread: that of the request."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])

    def tokens(self, session):
        """Use the model."""
        import numpy as np

        (pair,) = session.run(["token"], {"x": np.zeros(1, np.float32)})
        return [token(*pair)]


# By the package that their objects come from, with the file that each is loaded from.
FRAMEWORKS = {
    "numpy": ("array.bin", NumPy()),
    "pandas": ("frame.pkl", Pandas()),
    "sklearn": ("model.pkl", ScikitLearn()),
    "torch": ("model.pt", Torch()),
    "onnxruntime": ("model.onnx", OnnxRuntime()),
}


class PythonPredictor:
    """Loads what lies under the path: one model, or the list or dict of models that `container.txt` asks for."""

    def __init__(self, config, python_client):
        self.client = python_client
        self.references = []

    def load_model(self, model_path):
        """Load each file by its framework."""
        files = {package: Path(model_path, name) for package, (name, _) in FRAMEWORKS.items()}
        models = {package: FRAMEWORKS[package][1].load(file) for package, file in files.items() if file.exists()}
        self.references += [weakref.ref(model) for model in models.values()]
        container = Path(model_path, "container.txt")
        if not container.exists():
            (model,) = models.values()
            return model
        return models if container.read_text() == "dict" else list(models.values())

    def predict(self, payload):
        """Use the model that the payload asks for; with `census` or `has`, tell what is alive, or can be imported."""
        answer = {"process": os.getpid()}
        if payload.get("census"):
            gc.collect()
            self.references = [reference for reference in self.references if reference() is not None]
            return answer | {"alive": len(self.references), "on_device": self.on_device()}
        if "has" in payload:
            return answer | {"has": [name for name in payload["has"] if importlib.util.find_spec(name)]}
        found = self.client.get_model(*payload["ask"].values())
        models = found.values() if isinstance(found, dict) else found if isinstance(found, list) else [found]
        return answer | {"tokens": [each for model in models for each in self.tokens(model)]}

    @staticmethod
    def on_device():
        """Count the bytes that PyTorch's tensors take on GPUs."""
        torch = sys.modules.get("torch")
        return torch.cuda.memory_allocated() if torch is not None and torch.cuda.is_available() else 0

    def tokens(self, model):
        """Use a model by its framework."""
        package = type(model).__module__.partition(".")[0]
        return FRAMEWORKS[package][1].tokens(model)
