"""The usual witness as it runs in a server: what it tells of the objects that it handed over."""

from __future__ import annotations

import importlib.util
import json
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from conformance import timing
from conformance.journals import Journals
from conformance.project import Api, write_project
from fixtures.models import python_model
from fixtures.targets import DirectoryTarget
from fixtures.trees import Tree


class Client:
    """Keeps what `load` returned until told to let go."""

    def __init__(self) -> None:
        self.kept: dict[str, Any] = {}

    def get_model(self, model_name: str, model_version: str = "latest") -> Any:
        """Give what is kept."""
        return self.kept[f"{model_name}:{model_version}"]

    def predict(self, model_input: Any, model_name: str, model_version: str = "latest") -> Any:
        """Give the token of a made-up model."""
        assert (model_name, model_version) == ("a", "latest")
        return [np.asarray([1, 2]), model_input["x"]]


class Session:
    """Stands for an ONNX session."""


@pytest.fixture
def witness(tmp_path: Path) -> ModuleType:
    """Import the witness from a project, as a server does."""
    write_project(Api("python", {}), tmp_path / "project", tmp_path / "journals")
    spec = importlib.util.spec_from_file_location("witness_under_test", tmp_path / "project" / "predictor.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def publish(tmp_path: Path, name: str) -> Path:
    """Write a model as a server would have it on disk."""
    DirectoryTarget(tmp_path / "disk").write(python_model(), at=name)
    return tmp_path / "disk" / name


def ask(name: str) -> dict[str, Any]:
    """Write the payload that asks for a model."""
    return {"ask": {"name": name}, "call": "positional", "inputs": {"x": {"type": "float32", "shape": [1]}}}


def test_census_tells_what_is_in_memory_and_on_disk(witness: ModuleType, tmp_path: Path) -> None:
    """An object is in memory while anything holds it, and on disk while its path holds its tokens."""
    client = Client()
    predictor = witness.PythonPredictor({}, client)
    first, second = publish(tmp_path, "a"), publish(tmp_path, "b")
    client.kept = {"a:latest": predictor.load_model(str(first)), "b:latest": predictor.load_model(str(second))}
    serials = {name: predictor.predict(ask(name))["serial"] for name in "ab"}
    both = sorted(serials.values())
    census = predictor.predict({"census": True})
    assert (census["in_memory"], census["on_disk"]) == (both, both)
    del client.kept["a:latest"]
    assert predictor.predict({"census": True})["in_memory"] == [serials["b"]]
    shutil.rmtree(second)
    assert predictor.predict({"census": True})["on_disk"] == [serials["a"]]


def test_path_with_other_files_is_not_the_model_on_disk(witness: ModuleType, tmp_path: Path) -> None:
    """A path that was filled with another model does not hold the one that was loaded from it."""
    predictor = witness.PythonPredictor({}, Client())
    path = publish(tmp_path, "a")
    kept = predictor.load_model(str(path))
    DirectoryTarget(tmp_path / "disk").write(Tree(python_model()), at="a")
    assert predictor.predict({"census": True})["on_disk"] == []
    assert kept.path == str(path)


def test_journal_tells_when_an_object_was_dropped(witness: ModuleType, tmp_path: Path) -> None:
    """The journal has a line for each object that was let go, with the moment."""
    predictor = witness.PythonPredictor({}, Client())
    begun = timing.now()
    model = predictor.load_model(str(publish(tmp_path, "a")))
    serial = model.serial
    del model
    constructed, loaded, dropped = Journals(tmp_path / "journals").lines()
    assert [constructed["event"], loaded["event"], dropped["event"]] == ["constructed", "loaded", "dropped"]
    assert loaded["serial"] == dropped["serial"] == serial
    assert begun <= loaded["at"] <= dropped["at"] <= timing.now()


def test_onnx_session_is_watched(witness: ModuleType, tmp_path: Path) -> None:
    """A session keeps its serial for as long as the server keeps it, and is in memory no longer than that."""
    client = Client()
    client.kept["a:latest"] = {"session": Session()}
    predictor = witness.ONNXPredictor(client, {})
    watched = ask("a") | {"watch": True}
    serial = predictor.predict(watched)["serial"]
    assert predictor.predict(watched)["serial"] == serial
    assert predictor.predict({"census": True})["in_memory"] == [serial]
    client.kept["a:latest"] = {"session": Session()}
    assert predictor.predict({"census": True})["in_memory"] == []
    assert predictor.predict(watched)["serial"] != serial
    assert [line["event"] for line in Journals(tmp_path / "journals").lines()].count("dropped") == 1


def test_request_is_held_open(witness: ModuleType, tmp_path: Path) -> None:
    """A request with `hold` ends when its file appears, and tells what lies under the path of its object by then."""
    client = Client()
    predictor = witness.PythonPredictor({}, client)
    path = publish(tmp_path, "a")
    client.kept["a:latest"] = predictor.load_model(str(path))
    answers: list[dict[str, Any]] = []
    request = threading.Thread(
        target=lambda: answers.append(predictor.predict(ask("a") | {"hold": "go", "longest": 30}))
    )
    request.start()
    assert timing.poll(
        lambda: "holding" in {line["event"] for line in Journals(tmp_path / "journals").lines()} or None,
        until=timing.now() + 30,
    )
    assert not answers
    (path / "data.txt").unlink()
    (tmp_path / "journals" / "go").touch()
    request.join()
    assert json.loads(json.dumps(answers[0]))["files"].keys() == {"data.txt", "model.pkl"}
    assert answers[0]["files_at_end"].keys() == {"model.pkl"}


def test_load_is_held_under_way(witness: ModuleType, tmp_path: Path) -> None:
    """A load of files with `brake.txt` ends when the file that it names is gone from the journal folder."""
    journals, brake = Journals(tmp_path / "journals"), tmp_path / "journals" / "stop"
    predictor = witness.PythonPredictor({}, Client())
    path = publish(tmp_path, "a")
    (path / "brake.txt").write_text(brake.name)
    brake.touch()
    with ThreadPoolExecutor(1) as pool:
        loading = pool.submit(predictor.load_model, str(path))
        try:
            assert timing.poll(
                lambda: any(line.get("until") == brake.name for line in journals.lines()) or None,
                until=timing.now() + 30,
            )
            assert not loading.done()
        finally:
            brake.unlink()
        assert loading.result(30).files["brake.txt"] is None
    assert [line["event"] for line in journals.lines()] == ["constructed", "holding", "loaded"]
    assert predictor.load_model(str(path)).serial == 2
