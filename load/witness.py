"""The witness of a load run: holds models as a whole in memory, and says with each answer where the model was before.

Its journal is that of conformance/witness/usual.py: `loaded` and `dropped`, with moments of the monotonic clock.
"""

import itertools
import json
import os
import threading
import time
import weakref
from pathlib import Path

JOURNAL_FOLDER = "@journal_folder@"
TOKEN_LINE = b"token: "

# What the kernel stamps on files lags behind the clock by up to this much, in seconds.
STAMP_LAG = 0.02


class Journal:
    """The journal of this process, whose file stays open: an eviction run writes many lines at once."""

    def __init__(self):
        self.file = None
        self.lock = threading.RLock()

    def note(self, event, **facts):
        """Append one line; `at` is on the monotonic clock, in seconds."""
        line = json.dumps({"event": event, "process": os.getpid(), "at": time.monotonic(), **facts}) + "\n"
        with self.lock:
            if self.file is None:
                self.file = Path(JOURNAL_FOLDER, f"{os.getpid()}.jsonl").open("ab", buffering=0)  # noqa: SIM115 - stays open
            self.file.write(line.encode())


JOURNAL = Journal()


class Model:
    """What load_model returns: the bytes of all files, with their tokens."""

    serials = itertools.count(1)

    def __init__(self, path):
        self.serial = next(self.serials)
        files = [file for file in sorted(Path(path).rglob("*")) if file.is_file()]
        self.content = {file.relative_to(path).as_posix(): file.read_bytes() for file in files}
        self.written_at = max((file.stat().st_ctime for file in files), default=0.0)
        firsts = {name: content[:64].partition(b"\n")[0] for name, content in self.content.items()}
        self.files = {
            name: first.removeprefix(TOKEN_LINE).decode() if first.startswith(TOKEN_LINE) else None
            for name, first in firsts.items()
        }
        self.tokens = [token for token in self.files.values() if token]
        self.loaded_at = time.monotonic()


class PythonPredictor:
    """Loads models, and answers with the tokens of the one that it was handed."""

    def __init__(self, config, python_client):
        self.client = python_client
        self.served = itertools.count(1)
        JOURNAL.note("constructed")

    def load_model(self, model_path):
        """Read every file, and note when the object made of them is gone."""
        model = Model(model_path)
        JOURNAL.note("loaded", path=str(model_path), serial=model.serial, files=model.files)
        # What the process still holds when it ends was not let go.
        weakref.finalize(model, JOURNAL.note, "dropped", serial=model.serial).atexit = False
        return model

    def predict(self, payload):
        """Fetch the model that the payload asks for.

        It was a hit if the object had been loaded before the request came, and on disk if its files had been written.
        """
        arrived, arrived_wall = time.monotonic(), time.time()
        model = self.client.get_model(payload["name"], payload.get("version", "latest"))
        kind = "hit"
        if model.loaded_at >= arrived:
            kind = "cold" if model.written_at >= arrived_wall - STAMP_LAG else "disk"
        return {"process": os.getpid(), "served": next(self.served), "kind": kind, "tokens": model.tokens}
