"""What is evicted is let go, and its memory goes back to the system."""

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from fixtures.targets.directory import DirectoryTarget
from fixtures.trees import File, Tree
from tests.reference.harness import Server, serving, write_project

SIZE = 64_000_000
CYCLES = 8
PREDICTOR = f"""
import os, weakref
import numpy as np

class Held:
    def __init__(self, content):
        self.content = content

def array():
    return np.ones({SIZE} // 8)

def pandas():
    import pandas as pd
    return pd.DataFrame({{"a": np.ones({SIZE} // 16), "b": np.ones({SIZE} // 16)}})

def sklearn():
    from sklearn.linear_model import LogisticRegression
    model = LogisticRegression()
    model.coef_ = array()
    return model

def nested():
    return {{"layers": [{{"weights": np.ones(1000), "names": [str(n)]}} for n in range({SIZE} // 8000)]}}

def cyclic():
    content = [array()]
    content.append(content)
    return content

class PythonPredictor:
    def __init__(self, config, python_client):
        self.client = python_client
        self.references = []

    def load_model(self, path):
        with open(os.path.join(path, "kind")) as file:
            held = Held(globals()[file.read()]())
        self.references.append(weakref.ref(held))
        return held

    def predict(self, payload, query_params):
        if payload == "alive":
            return sum(reference() is not None for reference in self.references)
        self.client.get_model(query_params["model"])
        return "loaded"
"""
KINDS = ("array", "pandas", "sklearn", "nested", "cyclic")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Run a server with one place in memory, and two models of every kind."""
    folder: Path = tmp_path_factory.mktemp("released")
    for kind in KINDS:
        for side in "ab":
            DirectoryTarget(folder / "models").write(Tree({f"{kind}-{side}/kind": File(kind)}))
    line = f"models: {{dir: {folder}/models, cache_size: 1, disk_cache_size: 1}}"
    with serving(write_project(folder / "project", "python", PREDICTOR, line), "--control") as running:
        yield running


@pytest.mark.parametrize("kind", KINDS)
def test_memory_returns(server: Server, kind: str) -> None:
    """After cycles of load and evict only what is in memory is alive, and resident memory is where it was."""
    worker = max(psutil.Process(server.process.pid).children(), key=lambda child: child.memory_info().rss)
    after: list[int] = []
    for cycle in range(CYCLES):
        status, _, _ = server.request("POST", f"/?model={kind}-{'ab'[cycle % 2]}", b'"x"')
        assert status == 200
        server.evict()
        assert server.predict("alive") == (200, 1)
        after.append(worker.memory_info().rss)
    # One model more is what the contract allows; pages that the allocator has touched beside it are no model.
    assert after[-1] <= after[2] + SIZE * 1.1, [each >> 20 for each in after]
