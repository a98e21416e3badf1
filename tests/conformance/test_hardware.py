"""Hardware that is missing is a reason to skip, and no lack of the server."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from conformance.hardware import detection
from conformance.marks import Configuration
from conformance.project import Api
from tests.conformance.suite_runs import run_suite, stub


@pytest.fixture(autouse=True)
def _fresh_detection() -> Iterator[None]:
    """Forget what was found before, and after."""
    for missing in (detection.missing_gpu, detection.missing_inferentia):
        missing.cache_clear()
    yield
    for missing in (detection.missing_gpu, detection.missing_inferentia):
        missing.cache_clear()


def pretend_tool(folder: Path, prints: str) -> Path:
    """Write an nvidia-smi that prints this, whatever it is asked."""
    tool = folder / "nvidia-smi"
    tool.write_text(f"#!{sys.executable}\nprint({prints!r})\n", encoding="utf-8")
    tool.chmod(tool.stat().st_mode | stat.S_IXUSR)
    return folder


def test_machine_without_the_tool_has_no_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without nvidia-smi there is no GPU, and the reason says so."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert detection.missing_gpu() == "no NVIDIA GPU: there is no nvidia-smi"


def test_tool_that_lists_nothing_means_no_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An nvidia-smi that finds no device is quoted."""
    monkeypatch.setenv("PATH", str(pretend_tool(tmp_path, "No devices were found")))
    assert detection.missing_gpu() == "no NVIDIA GPU: nvidia-smi lists none (No devices were found)"


def test_gpu_without_its_driver_cannot_be_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU that is listed needs the driver's library as well."""
    monkeypatch.setenv("PATH", str(pretend_tool(tmp_path, "GPU 0: some")))
    monkeypatch.setattr(detection, "_DRIVER", "libno-such-driver.so.1")
    assert detection.missing_gpu() == "no NVIDIA GPU: there is no CUDA driver library libno-such-driver.so.1"
    detection.missing_gpu.cache_clear()
    monkeypatch.setattr(detection, "_DRIVER", None)  # the program itself, which can always be loaded
    assert detection.missing_gpu() is None


def test_device_memory_is_the_sum_over_all_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The memory in use is given in bytes, of all devices together."""
    monkeypatch.setenv("PATH", str(pretend_tool(tmp_path, "100\n23")))
    assert detection.device_memory() == 123 << 20


def test_inferentia_shows_as_a_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Inferentia is there when its driver has made a device."""
    monkeypatch.setattr(detection, "_DEVICES", tmp_path)
    assert detection.missing_inferentia() is not None
    detection.missing_inferentia.cache_clear()
    (tmp_path / "neuron0").touch()
    assert detection.missing_inferentia() is None


def test_declared_hardware_that_is_missing_is_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that declares gpu is judged where a GPU is: elsewhere the clause is skipped, and the reason is told."""
    monkeypatch.setenv("PATH", str(tmp_path))
    file = stub(tmp_path, "minimal")
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace('"reload"]', '"reload", "cache", "gpu"]'), encoding="utf-8")
    run = run_suite(file, tmp_path / "report", "--clause", "gpu")
    outcomes = run.outcomes()
    assert outcomes["gpu.python-released"] == "skipped"
    assert outcomes["gpu.onnx"] == "not-supported"
    assert "there is no nvidia-smi" in run.output


@pytest.mark.skipif("SERVECHECK_TENSORFLOW" not in os.environ, reason="TensorFlow takes long: `nox -s tests` runs it")
def test_source_of_a_compiled_model_carries_its_token(tmp_path: Path) -> None:
    """The model that is compiled for Inferentia is of saved_model.pb alone, and answers its token and its input."""
    import tensorflow as tf

    from conformance.hardware.neuron_model import WIDTH, save_source
    from fixtures import tokens

    save_source(tmp_path / "model", "0123456789abcdef")
    assert [file.name for file in (tmp_path / "model").rglob("*") if file.is_file()] == ["saved_model.pb"]
    serve = tf.saved_model.load(str(tmp_path / "model")).signatures["serving_default"]
    answer = serve(tf.ones([1, WIDTH]))
    assert tuple(answer["token"].numpy().tolist()) == tokens.halves("0123456789abcdef")
    assert answer["echo"].numpy().tolist() == [[1.0] * WIDTH]


def test_configuration_is_written_by_section() -> None:
    """What a test configures stands in the section where the document has it, and says what a server must declare."""
    configuration = Configuration(cache_size=1, disk_cache_size=2, threads_per_process=3, gpu=4)
    api = Api("onnx", {}, more=configuration.of_predictor, compute=configuration.of_compute)
    (written,) = yaml.safe_load(api.to_yaml())
    assert written["predictor"]["threads_per_process"] == 3
    assert written["compute"] == {"gpu": 4}
    assert configuration.of_models == {"cache_size": 1, "disk_cache_size": 2}
    assert configuration.features == ["cache", "threads", "gpu"]
