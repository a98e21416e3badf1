"""The witness of a load run: where a model was before its answer, and what the journal says of it."""

import importlib.util
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from conformance import timing
from fixtures.models import python_model
from fixtures.targets import DirectoryTarget
from load.ground import WITNESS


class Client:
    """A server's client: keeps one model, and gets it as it is told to."""

    def __init__(self) -> None:
        self.get: Callable[[], Any] = lambda: None

    def get_model(self, name: str, version: str) -> Any:
        """Give the model, whatever it is called."""
        assert (name, version) == ("m", "latest")
        return self.get()


@pytest.fixture
def witness(tmp_path: Path) -> Iterator[ModuleType]:
    """Import the witness as a server does: from the file of its project."""
    (tmp_path / "journals").mkdir()
    file = tmp_path / "predictor.py"
    text = WITNESS.read_text(encoding="utf-8")
    file.write_text(text.replace("@journal_folder@", str(tmp_path / "journals")), encoding="utf-8")
    spec = importlib.util.spec_from_file_location("load_witness", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    module.JOURNAL.file.close()


def journal(folder: Path) -> list[dict[str, Any]]:
    """Read what this process noted."""
    text = (folder / "journals" / f"{os.getpid()}.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def test_kind_says_where_the_model_was(witness: ModuleType, tmp_path: Path) -> None:
    """A model whose files come with the request is cold, one that is loaded from old files a disk hit, then a hit."""
    client = Client()
    predictor = witness.PythonPredictor({}, client)
    target, held = DirectoryTarget(tmp_path / "store"), []

    def load() -> Any:
        held.append(predictor.load_model(str(tmp_path / "store")))
        return held[-1]

    def download_and_load() -> Any:
        target.write(python_model(size=1000))
        return load()

    client.get = download_and_load
    cold = predictor.predict({"name": "m"})
    # Files that the kernel has stamped a while ago cannot have come with a request.
    timing.wait_until(timing.now() + 10 * witness.STAMP_LAG)
    client.get = load
    disk = predictor.predict({"name": "m"})
    client.get = lambda: held[-1]
    hit = predictor.predict({"name": "m", "version": "latest"})
    assert [answer["kind"] for answer in (cold, disk, hit)] == ["cold", "disk", "hit"]
    assert [answer["served"] for answer in (cold, disk, hit)] == [1, 2, 3]
    assert len(hit["tokens"]) == 2
    assert hit["tokens"] == cold["tokens"]


def test_journal_tells_when_an_object_is_gone(witness: ModuleType, tmp_path: Path) -> None:
    """A load and a drop are noted with the serial of the object, in the order in which they happen."""
    tree = python_model(size=1000)
    DirectoryTarget(tmp_path / "store").write(tree)
    predictor = witness.PythonPredictor({}, Client())
    begun = timing.now()
    model = predictor.load_model(str(tmp_path / "store"))
    serial = model.serial
    assert [line["event"] for line in journal(tmp_path)] == ["constructed", "loaded"]
    del model
    _, loaded, dropped = journal(tmp_path)
    assert loaded["files"] == {"model.pkl": tree.tokens["model.pkl"], "data.txt": tree.tokens["data.txt"]}
    assert (dropped["event"], dropped["serial"], loaded["serial"]) == ("dropped", serial, serial)
    assert begun <= loaded["at"] <= dropped["at"] <= timing.now()


def test_model_holds_all_of_its_bytes(witness: ModuleType, tmp_path: Path) -> None:
    """What a model takes in memory is its payload, so that resident memory can be compared with models."""
    DirectoryTarget(tmp_path / "store").write(python_model(size=100_000))
    model = witness.PythonPredictor({}, Client()).load_model(str(tmp_path / "store"))
    assert sum(map(len, model.content.values())) >= 100_000
