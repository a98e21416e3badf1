"""The command `serve`: checks the project, claims a folder for the run, and hands over to the server."""

import os
import shutil
import socket
import sys
import tempfile
from pathlib import Path

from reference import config
from reference.errors import ConfigurationError
from reference.options import Options
from reference.run_folder import claim


def serve(options: Options) -> None:
    """Serve a project until SIGTERM or SIGINT; raises ConfigurationError if it cannot be served."""
    project = options.project.resolve()
    api, warnings = config.read(project)
    for warning in warnings:
        print(f"warning: {warning}", file=sys.stderr, flush=True)
    if not (project / api.predictor.path).is_file():
        raise ConfigurationError(f"predictor.path: there is no file {project / api.predictor.path}")
    _require_free(options.host, options.port)
    base = options.store or Path(tempfile.gettempdir()) / f"servecheck-reference-{os.geteuid()}"
    folder, _owner = claim(base)
    try:
        metrics = folder / "metrics"
        metrics.mkdir()
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(metrics)
        from reference.server import run  # noqa: PLC0415 - the metrics library looks for its folder when imported

        run(options, project, api, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _require_free(host: str, port: int) -> None:
    """Raise ConfigurationError if the address is taken: the HTTP server would share it without a word."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        raise ConfigurationError(f"--host {host} --port {port}: {error.strerror}") from error
