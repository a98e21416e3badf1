"""The witness: echoes the tokens of the model files that it was handed, and keeps a journal in each process.

Written as a user would write it; the server picks the class of its predictor type.
"""

import gc
import itertools
import json
import os
import threading
import time
import weakref
from pathlib import Path

JOURNAL_FOLDER = "@journal_folder@"
TOKEN_LINE = b"token: "


def note(event, **facts):
    """Append one line to the journal of this process; `at` is on the monotonic clock, in seconds."""
    line = json.dumps({"event": event, "process": os.getpid(), "at": time.monotonic(), **facts}, ensure_ascii=False)
    with Path(JOURNAL_FOLDER, f"{os.getpid()}.jsonl").open("ab") as journal:
        journal.write(f"{line}\n".encode())


def call(function, ask, how, *given, **named):
    """Call a method of a client in the way that a payload asks for, after the arguments given."""
    if how == "keyword":
        return function(**named, **{f"model_{name}": value for name, value in ask.items()})
    if "name" in ask:
        return function(*given, *(ask[name] for name in ("name", "version") if name in ask))
    return function(*given, model_version=ask["version"]) if ask else function(*given)


def brake(name):
    """Keep a load under way for as long as a file of this name lies in the journal folder."""
    file = Path(JOURNAL_FOLDER, name)
    if file.exists():
        note("holding", until=name)
    while file.exists():
        threading.Event().wait(0.01)


def hold(payload):
    """Keep a request open until a file of the name in its payload lies in the journal folder, at most `longest` s."""
    if "hold" in payload:
        note("holding", until=payload["hold"])
        end = time.monotonic() + payload["longest"]
        while not Path(JOURNAL_FOLDER, payload["hold"]).exists() and time.monotonic() < end:
            threading.Event().wait(0.01)


class Watch:
    """What the server may let go of: which of it is in memory, and a line in the journal for each that is let go."""

    def __init__(self):
        self.references = {}

    def add(self, thing, serial):
        """Watch one more object, without keeping it."""
        self.references[serial] = weakref.ref(thing)
        # What the process still holds when it ends was not let go.
        weakref.finalize(thing, self.dropped, serial).atexit = False

    def dropped(self, serial):
        """Note that an object is gone."""
        self.references.pop(serial, None)
        note("dropped", serial=serial)

    def serial_of(self, thing):
        """Tell under which serial an object is watched; None if it is not."""
        return next((serial for serial, known in list(self.references.items()) if known() is thing), None)

    def in_memory(self):
        """Give the serials of the objects that something other than a cycle of references still holds."""
        gc.collect()
        return [serial for serial, known in list(self.references.items()) if known() is not None]


class Model:
    """What load_model returns: the files that lay under its path, with the token of each one that has one."""

    serials = itertools.count(1)

    def __init__(self, path):
        self.path = path
        self.serial = next(self.serials)
        self.files = self.files_under(path)

    @classmethod
    def files_under(cls, path):
        """Read the token of each file, by its path relative to this one."""
        return {
            file.relative_to(path).as_posix(): cls.token_of(file)
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
        self.watch = Watch()
        self.loaded = {}
        note("constructed")

    def load_model(self, model_path):
        """Read every file.

        A file `raise.txt` makes the load fail, `return.json` replaces the object returned, and `brake.txt` names what
        keeps the load under way.
        """
        model = Model(model_path)
        if "brake.txt" in model.files:
            brake(Path(model_path, "brake.txt").read_text())
        if "return.json" in model.files:
            returns = Path(model_path, "return.json").read_text().strip()
            note("loaded", path=str(model_path), returns=returns)
            return json.loads(returns)
        note("loaded", path=str(model_path), serial=model.serial, files=model.files)
        if "raise.txt" in model.files:
            raise ValueError("the model says that it cannot be loaded")
        self.loaded[model.serial] = (str(model_path), model.files)
        self.watch.add(model, model.serial)
        return model

    def predict(self, payload):
        """Fetch the model that the payload asks for, in the way that it asks for, and describe the object.

        With `census`, tell what of all that was ever loaded is in memory and on disk instead, by serial.
        """
        if payload.get("census"):
            return {"process": os.getpid(), "in_memory": self.watch.in_memory(), "on_disk": self.on_disk()}
        model = call(self.client.get_model, payload["ask"], payload["call"])
        hold(payload)
        answer = {"process": os.getpid(), "type": type(model).__name__, "value": repr(model)}
        if isinstance(model, Model):
            answer |= {
                "exact": self.watch.serial_of(model) == model.serial,
                "serial": model.serial,
                "path": str(model.path),
                "files": model.files,
                "tokens": [token for token in model.files.values() if token],
            }
            if "hold" in payload:
                answer["files_at_end"] = Model.files_under(model.path)
        return answer

    def on_disk(self):
        """Give the serials of the models whose path still holds the tokens that were read there."""
        return [
            serial
            for serial, (path, files) in list(self.loaded.items())
            if self.holds(path, files) and any(files.values())
        ]

    @staticmethod
    def holds(path, files):
        """Tell whether each file with a token still lies there and holds it."""
        try:
            return all(Model.token_of(Path(path, name)) == token for name, token in files.items() if token)
        except OSError:
            return False


class ONNXPredictor:
    """Runs the model that the payload asks for."""

    def __init__(self, onnx_client, config):
        import numpy as np  # the python predictor needs none

        self.np = np
        self.client = onnx_client
        self.watch = Watch()
        self.serials = itertools.count(1)
        self.one_at_a_time = threading.Lock()
        note("constructed")

    def predict(self, payload):
        """Predict in the way that the payload asks for; with `describe`, tell what get_model gives instead.

        With `watch`, the session behind the answer is watched from then on; with `census`, tell which of those are in
        memory instead, by serial. A request that is held open holds the session, and runs it at the end.
        """
        if payload.get("census"):
            return {"process": os.getpid(), "in_memory": self.watch.in_memory()}
        ask = payload["ask"]
        if payload.get("describe"):
            return {"process": os.getpid(), **self.describe(ask)}
        model_input = {name: self.tensor(**described) for name, described in payload["inputs"].items()}
        if "hold" in payload:
            session = self.session(ask)
            hold(payload)
            outputs = session.run(None, model_input)
        else:
            outputs = call(self.client.predict, ask, payload["call"], model_input, model_input=model_input)
        arrays = [self.np.asarray(array) for array in (outputs.values() if isinstance(outputs, dict) else outputs)]
        tokens = [array for array in arrays if array.dtype == self.np.int64 and array.shape == (2,)]
        return {
            "process": os.getpid(),
            "tokens": ["".join(f"{half:08x}" for half in token.tolist()) for token in tokens],
            **({"serial": self.watched(self.session(ask))} if payload.get("watch") else {}),
            "outputs": [
                {"shape": list(array.shape), "data": array.ravel().tolist()}
                for array in arrays
                if self.np.issubdtype(array.dtype, self.np.floating)
            ],
        }

    def session(self, ask):
        """Give the session of a model."""
        return self.client.get_model(*(ask[name] for name in ("name", "version") if name in ask))["session"]

    def watched(self, session):
        """Watch a session; gives its serial, the same for as long as the server keeps it."""
        with self.one_at_a_time:
            serial = self.watch.serial_of(session)
            if serial is None:
                serial = next(self.serials)
                note("watched", serial=serial)
                self.watch.add(session, serial)
            return serial

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
            "providers": model["session"].get_providers(),
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
