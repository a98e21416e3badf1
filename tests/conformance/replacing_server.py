"""A server that follows changes by replacing its processes: `-m tests.conformance.replacing_server PROJECT PORT`.

Each process loads what it finds when it is forked, for the python predictor, and serves that until it is told to end.
Models are named by model_path or models.dir, a local one.
"""

import multiprocessing
import os
import runpy
import signal
import socket
import sys
import threading
from http.server import HTTPServer
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import yaml

from tests.conformance.json_handler import JsonHandler

# Seconds between two scans.
_PAUSE = 0.1


def main() -> None:
    """Serve until the process is told to end, in new processes after each change."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # which ends the processes that serve
    project, port = sys.argv[1:]
    described = yaml.safe_load(Path(project, "cortex.yaml").read_text(encoding="utf-8"))[0]["predictor"]
    listener = socket.create_server(("127.0.0.1", int(port)), backlog=128)
    # Each of the processes wakes up for a connection, and one of them has it.
    listener.setblocking(False)
    fork = multiprocessing.get_context("fork")
    seen: object = None
    serving: list[Any] = []
    while True:
        if (there := _files(described)) != seen:
            seen, drained, serving = there, serving, []
            starts = [fork.Event() for _ in range(described.get("processes_per_replica", 1))]
            for ready in starts:
                serving.append(fork.Process(target=_serve, args=(project, described, listener, ready), daemon=True))
                serving[-1].start()
            for ready in starts:
                ready.wait()
            for process in drained:
                process.terminate()
            for process in drained:
                process.join()
        threading.Event().wait(_PAUSE)


def _roots(described: dict[str, Any]) -> dict[str | None, Path]:
    """Give the folder of each model, by its name."""
    if "model_path" in described:
        return {None: Path(described["model_path"])}
    return {folder.name: folder for folder in Path(described["models"]["dir"]).iterdir() if folder.is_dir()}


def _files(described: dict[str, Any]) -> object:
    files = [file for root in _roots(described).values() for file in root.rglob("*")]
    return sorted((str(file), file.stat().st_mtime_ns, file.stat().st_ino) for file in files if file.exists())


def _serve(project: str, described: dict[str, Any], listener: socket.socket, ready: Event) -> None:
    models: dict[str | None, dict[int, Any]] = {}

    class Client:
        def get_model(self, model_name: str | None = None, model_version: str = "latest") -> Any:
            versions = models[model_name]
            return versions[max(versions) if model_version == "latest" else int(model_version)]

    predictor = runpy.run_path(str(Path(project, "predictor.py")))["PythonPredictor"]({}, Client())
    for name, root in _roots(described).items():
        folders = {int(folder.name): folder for folder in root.glob("*") if folder.name.isdigit()} or {0: root}
        filled = {version: folder for version, folder in folders.items() if any(folder.glob("*"))}
        models[name] = {version: predictor.load_model(str(folder)) for version, folder in filled.items()}

    class Handler(JsonHandler):
        def do_GET(self) -> None:  # noqa: N802 - named by http.server
            self.answer(200, {})

        def do_POST(self) -> None:  # noqa: N802 - named by http.server
            payload = self.payload()
            try:
                self.answer(200, predictor.predict(payload))
            except (KeyError, ValueError) as error:
                self.answer(404, {"error": repr(error)})

    server = HTTPServer(("127.0.0.1", 0), Handler, bind_and_activate=False)
    server.socket.close()
    server.socket = listener
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    ready.set()
    server.serve_forever(poll_interval=_PAUSE)
    # Nothing of what it holds is let go one by one.
    os._exit(0)


if __name__ == "__main__":
    main()
