"""Configurations that are refused, and how the server says so."""

import re
from pathlib import Path

import pytest

from reference import config
from reference.errors import ConfigurationError
from tests.reference.harness import refused, serving, write_project

PREDICTOR = """
class PythonPredictor:
    def __init__(self, config):
        self.config = config
    def load_model(self, path):
        return path
    def predict(self, payload):
        return {"config": self.config, "payload": payload}
"""


@pytest.mark.parametrize(
    ("lines", "line", "field"),
    [
        (["models: {paths: [{name: a, path: x}], dir: y}"], 6, "predictor.models.dir"),
        (["model_path: x", "models: {dir: y}"], 6, "predictor.model_path"),
        (["models: {cache_size: 1, disk_cache_size: 1}"], 6, "predictor.models"),
        (["models:", "  dir: y", "  cache_size: 2"], 8, "predictor.models.cache_size"),
        (["models:", "  dir: y", "  disk_cache_size: 2"], 8, "predictor.models.disk_cache_size"),
        (["models:", "  dir: y", "  cache_size: 3", "  disk_cache_size: 2"], 9, "predictor.models.disk_cache_size"),
        (["models:", "  dir: y", "  cache_size: 0", "  disk_cache_size: 2"], 8, "predictor.models.cache_size"),
        (["models:", "  dir: y", "  cache_size: two", "  disk_cache_size: 2"], 8, "predictor.models.cache_size"),
        (
            ["processes_per_replica: 2", "models: {dir: y, cache_size: 1, disk_cache_size: 2}"],
            6,
            "predictor.processes_per_replica",
        ),
        (["models: {paths: [{name: a}]}"], 6, "predictor.models.paths"),
        (["models:", "  paths:", "    - {name: a, path: x}", "    - {name: a, path: y}"], 9, "models.paths.name"),
        (["model_path: gs://bucket/x"], 6, "predictor.model_path"),
        (["model_path: s3:///x"], 6, "predictor.model_path"),
        (["modle_path: x"], 6, "did you mean 'model_path'?"),
        (["threads_per_process: 0"], 6, "predictor.threads_per_process"),
    ],
)
def test_refused_with_field_and_line(tmp_path: Path, lines: list[str], line: int, field: str) -> None:
    """A refused configuration is one message with file, line and field."""
    project = write_project(tmp_path, "python", PREDICTOR, *lines)
    with pytest.raises(ConfigurationError) as refusal:
        config.read(project)
    message = str(refusal.value)
    assert message.startswith(f"{project / 'cortex.yaml'}:{line}: ")
    assert field in message
    assert "\n" not in message


def test_refused_before_serving(tmp_path: Path) -> None:
    """A refusal is one line on stderr, and exit status 1."""
    project = write_project(tmp_path, "python", PREDICTOR, "models: {paths: [{name: a, path: x}], dir: y}")
    printed = (
        f"error: {project / 'cortex.yaml'}:6: predictor.models.dir: cannot be combined with 'paths'; use one of them"
    )
    assert refused(project) == (1, f"{printed}\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", ":1: must be a list with one API"),
        ("- [", ":1: not valid YAML"),
        ("- name: a\n  name: b\n", ":2: 'name' is given twice"),
        ("- name: a\n  kind: BatchAPI\n", ":2: kind: 'BatchAPI' is not supported"),
        ("- name: a\n  kind: RealtimeAPI\n", ":1: predictor: is missing"),
        ("- {name: a}\n- {name: b}\n", ":2: has 2 APIs"),
    ],
)
def test_malformed_file(tmp_path: Path, text: str, message: str) -> None:
    """A file that is no list with one RealtimeAPI is refused with its line."""
    (tmp_path / "cortex.yaml").write_text(text)
    with pytest.raises(ConfigurationError, match=re.escape(f"{tmp_path / 'cortex.yaml'}{message}")):
        config.read(tmp_path)


@pytest.mark.parametrize(
    ("predictor", "message"),
    [
        ("class PythonPredictor(:\n", "predictor.py:1: SyntaxError"),
        ("import nowhere\n", "predictor.py:1: ModuleNotFoundError: No module named 'nowhere'"),
        ("class ONNXPredictor: pass\n", "there is no class PythonPredictor"),
        ("class PythonPredictor: pass\n", "has no predict() method"),
        ("class PythonPredictor:\n    def predict(self): pass\n", "needs a load_model() method"),
    ],
)
def test_unusable_predictor(tmp_path: Path, predictor: str, message: str) -> None:
    """A predictor that cannot be used is one line on stderr that says where, without a stack trace."""
    project = write_project(tmp_path, "python", predictor, "model_path: models")
    status, printed = refused(project)
    assert status == 1
    errors = [line for line in printed.splitlines() if not line.startswith("{")]
    assert len(errors) == 1
    assert errors[0].startswith("error: ")
    assert message in errors[0]


@pytest.mark.parametrize(
    ("predictor", "message"),
    [
        (
            "class PythonPredictor:\n    def __init__(self, config):\n        1 / 0\n    def predict(self): pass\n",
            "predictor.py:3: ZeroDivisionError",
        ),
        (
            "class PythonPredictor:\n    def __init__(self, session): pass\n    def predict(self): pass\n",
            "asks for 'session'; what there is to ask for: config",
        ),
        (
            "class PythonPredictor:\n    def __init__(self, config): pass\n    def predict(self, data): pass\n",
            "asks for 'data'; what there is to ask for: payload, query_params, headers",
        ),
    ],
)
def test_predictor_that_cannot_be_made(tmp_path: Path, predictor: str, message: str) -> None:
    """A predictor whose construction fails ends the server with one line on stderr."""
    status, printed = refused(write_project(tmp_path, "python", predictor))
    assert status == 1
    errors = [line for line in printed.splitlines() if not line.startswith("{")]
    assert len(errors) == 1
    assert message in errors[0]


def test_missing_files(tmp_path: Path) -> None:
    """A missing cortex.yaml or predictor file is named."""
    status, printed = refused(tmp_path)
    assert (status, printed) == (1, f"error: there is no {tmp_path / 'cortex.yaml'}\n")
    project = write_project(tmp_path, "python", PREDICTOR)
    (project / "predictor.py").unlink()
    status, printed = refused(project)
    assert (status, printed) == (1, f"error: predictor.path: there is no file {project / 'predictor.py'}\n")


def test_port_in_use(tmp_path: Path) -> None:
    """A port that is taken is refused instead of shared."""
    project = write_project(tmp_path, "python", PREDICTOR)
    with serving(project) as server:
        status, printed = refused(project, "--port", str(server.port))
    assert status == 1
    assert f"--port {server.port}: Address already in use" in printed


def test_python_without_models(tmp_path: Path) -> None:
    """A python predictor without model paths gets its config and serves; keys without effect warn once each."""
    project = write_project(tmp_path, "python", PREDICTOR, "config: {a: 1}", "image: some/image", "env: {A: b}")
    with (project / "cortex.yaml").open("a") as file:
        file.write("  compute:\n    cpu: 200m\n  autoscaling:\n    min_replicas: 2\n")
    with serving(project) as server:
        assert server.predict([1]) == (200, {"config": {"a": 1}, "payload": [1]})
        assert server.summary()["model_metadata"] == {}
        warnings = [line for line in server.stderr().splitlines() if line.startswith("warning: ")]
        path = project / "cortex.yaml"
        assert warnings == [
            f"warning: {path}:7: predictor.image: has no effect here",
            f"warning: {path}:8: predictor.env: has no effect here",
            f"warning: {path}:10: compute.cpu: has no effect here",
            f"warning: {path}:11: autoscaling: has no effect here",
            f"warning: {path}:12: autoscaling.min_replicas: has no effect here",
        ]
