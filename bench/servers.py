"""Starts what is measured: the reference server on a project, and the baseline it is compared with."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from threading import Event

ONNX_PREDICTOR = """\
class ONNXPredictor:
    def __init__(self, onnx_client, config):
        self.client = onnx_client

    def predict(self, payload, query_params):
        return self.client.predict(payload, query_params.get("model"), query_params.get("version"))[1]
"""


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def project(folder: Path, kind: str, predictor: str, models: str, more: str = "") -> Path:
    """Write a project; `models` is one line of YAML below `predictor`, `more` further ones."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["- name: bench", "  kind: RealtimeAPI", "  predictor:", f"    type: {kind}", "    path: predictor.py"]
    lines += [f"    {line}" for line in [models, *more.splitlines()]]
    (folder / "cortex.yaml").write_text("\n".join(lines) + "\n")
    (folder / "predictor.py").write_text(predictor)
    return folder


@contextlib.contextmanager
def reference(
    folder: Path, *options: str, environment: Mapping[str, str] | None = None
) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """Run `reference serve` on a project until the block ends; gives port and process."""
    port = free_port()
    command = [sys.executable, "-m", "reference", "serve", str(folder), "--port", str(port), *options]
    with tempfile.TemporaryDirectory() as store, _running([*command, "--store", store], environment) as process:
        await_ready(port, process)
        yield port, process


@contextlib.contextmanager
def baseline(model: Path, threads: int) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """Run the same HTTP server with a bare `session.run` behind it."""
    port = free_port()
    with _running([sys.executable, "-m", "bench.baseline", str(model), str(port), str(threads)], None) as process:
        await_ready(port, process)
        yield port, process


def await_port(port: int, patience: float = 60.0) -> None:
    """Return when something listens on a port; raise if nothing does in `patience` seconds."""
    until = time.monotonic() + patience
    while time.monotonic() < until:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        Event().wait(0.02)
    raise TimeoutError(f"nothing listens on port {port}")


def await_ready(port: int, process: subprocess.Popen[bytes], patience: float = 120.0) -> None:
    """Return when GET / answers 200; raise if the server ends or does not get there in `patience` seconds."""
    until = time.monotonic() + patience
    while time.monotonic() < until:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with status {process.returncode}")
        with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/") as answer:
            if answer.status == 200:
                return
        Event().wait(0.02)
    raise TimeoutError("the server did not get ready")


@contextlib.contextmanager
def _running(command: list[str], environment: Mapping[str, str] | None) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        command,
        env={**os.environ, **(environment or {})},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
