"""The witness: echoes the tokens of the model files that it was handed, and keeps a journal in each process.

Written as a user would write it; the server picks the class of its predictor type.
"""

import itertools
import json
import os
import weakref
from pathlib import Path

JOURNAL_FOLDER = "@journal_folder@"
TOKEN_LINE = b"token: "


def note(event, **facts):
    """Append one line to the journal of this process."""
    line = json.dumps({"event": event, "process": os.getpid(), **facts}, ensure_ascii=False) + "\n"
    with Path(JOURNAL_FOLDER, f"{os.getpid()}.jsonl").open("ab") as journal:
        journal.write(line.encode())


def call(function, ask, how, *given, **named):
    """Call a method of a client in the way that a payload asks for, after the arguments given."""
    if how == "keyword":
        return function(**named, **{f"model_{name}": value for name, value in ask.items()})
    if "name" in ask:
        return function(*given, *(ask[name] for name in ("name", "version") if name in ask))
    return function(*given, model_version=ask["version"]) if ask else function(*given)


class Model:
    """What load_model returns: the files that lay under its path, with the token of each one that has one."""

    serials = itertools.count(1)

    def __init__(self, path):
        self.path = path
        self.serial = next(self.serials)
        self.files = {
            file.relative_to(path).as_posix(): self.token_of(file)
            for file in sorted(Path(path).rglob("*"))
            if file.is_file()
        }

    @staticmethod
    def token_of(file):
        """Read the token from the first line of a file; None when it has none."""
        with file.open("rb") as content:
            first = content.readline(64)
        return first.removeprefix(TOKEN_LINE).decode().strip() if first.startswith(TOKEN_LINE) else None


class PythonPredictor:
    """Loads models, and answers which object it was handed."""

    def __init__(self, config, python_client):
        self.client = python_client
        self.loaded = weakref.WeakValueDictionary()
        note("constructed")

    def load_model(self, model_path):
        """Read every file; a file `raise.txt` makes the load fail, `return.json` replaces the object returned."""
        model = Model(model_path)
        if "return.json" in model.files:
            returns = Path(model_path, "return.json").read_text().strip()
            note("loaded", path=str(model_path), returns=returns)
            return json.loads(returns)
        note("loaded", path=str(model_path), serial=model.serial, files=model.files)
        if "raise.txt" in model.files:
            raise ValueError("the model says that it cannot be loaded")
        self.loaded[model.serial] = model
        return model

    def predict(self, payload):
        """Fetch the model that the payload asks for, in the way that it asks for, and describe the object."""
        model = call(self.client.get_model, payload["ask"], payload["call"])
        answer = {"process": os.getpid(), "type": type(model).__name__, "value": repr(model)}
        if isinstance(model, Model):
            answer |= {
                "exact": self.loaded.get(model.serial) is model,
                "serial": model.serial,
                "path": str(model.path),
                "files": model.files,
                "tokens": [token for token in model.files.values() if token],
            }
        return answer


class ONNXPredictor:
    """Runs the model that the payload asks for."""

    def __init__(self, onnx_client, config):
        import numpy as np  # the python predictor needs none

        self.np = np
        self.client = onnx_client
        note("constructed")

    def predict(self, payload):
        """Predict in the way that the payload asks for; with `describe`, tell what get_model gives instead."""
        ask = payload["ask"]
        if payload.get("describe"):
            return {"process": os.getpid(), **self.describe(ask)}
        model_input = {name: self.tensor(**described) for name, described in payload["inputs"].items()}
        outputs = call(self.client.predict, ask, payload["call"], model_input, model_input=model_input)
        arrays = [self.np.asarray(array) for array in (outputs.values() if isinstance(outputs, dict) else outputs)]
        tokens = [array for array in arrays if array.dtype == self.np.int64 and array.shape == (2,)]
        return {
            "process": os.getpid(),
            "tokens": ["".join(f"{half:08x}" for half in token.tolist()) for token in tokens],
            "outputs": [
                {"shape": list(array.shape), "data": array.ravel().tolist()}
                for array in arrays
                if self.np.issubdtype(array.dtype, self.np.floating)
            ],
        }

    def tensor(self, type, shape, data=None):  # noqa: A002 - the keys of the payload
        """Make an input of these values, or else of a ramp from 0 to 1."""
        count = int(self.np.prod(shape))
        values = self.np.arange(count) / count if data is None else data
        return self.np.asarray(values, dtype=type).reshape(shape)

    def describe(self, ask):
        """Tell what get_model gives, and whether its session is one that runs."""
        model = self.client.get_model(*(ask[name] for name in ("name", "version") if name in ask))
        return {
            "keys": sorted(model),
            "session_inputs": [node.name for node in model["session"].get_inputs()],
            "signature_inputs": [node.name for node in model["signatures"]],
            "input_signatures": {
                name: {"shape": list(signature["shape"]), "type": str(signature["type"])}
                for name, signature in model["input_signatures"].items()
            },
        }


class TensorFlowPredictor:
    """Runs the model that the payload asks for."""

    def __init__(self, tensorflow_client, config):
        self.client = tensorflow_client
        note("constructed")

    def predict(self, payload):
        """Predict in the way that the payload asks for, and give the outputs back with the tokens read from them."""
        model_input = {name: described["data"] for name, described in payload["inputs"].items()}
        outputs = call(self.client.predict, payload["ask"], payload["call"], model_input, model_input=model_input)
        values = {name: list(self.flat(value)) for name, value in outputs.items()}
        return {
            "process": os.getpid(),
            "type": type(outputs).__name__,
            "tokens": [
                "".join(f"{int(half):08x}" for half in value) for name, value in values.items() if "token" in name
            ],
            "outputs": values,
        }

    def flat(self, value):
        """Give the numbers of an output, however deeply it nests them."""
        if hasattr(value, "tolist"):
            value = value.tolist()
        if isinstance(value, (list, tuple)):
            for item in value:
                yield from self.flat(item)
        else:
            yield value
