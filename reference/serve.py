"""Starts the server: this process keeps the models, the processes it starts serve them."""

import multiprocessing
import os
import secrets
import shutil
import socket
import sys
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from granian.constants import Interfaces
from granian.server import Server

from reference import config, log
from reference.catalog import DEFAULT_MODEL
from reference.errors import ConfigurationError
from reference.local import LocalSource
from reference.s3 import Connection
from reference.sources import Source
from reference.store import Store, claim


@dataclass(frozen=True, slots=True)
class Options:
    """The command line; intervals in seconds."""

    project: Path
    host: str
    port: int
    reload_interval: float
    evict_interval: float
    body_limit: int
    store: Path | None
    control: bool


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
        _run(options, project, api, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(options: Options, project: Path, api: config.Api, folder: Path) -> None:
    metrics = folder / "metrics"
    metrics.mkdir()
    # The metrics library looks for its folder when it is imported, which these do.
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(metrics)
    from reference.inventory import Inventory  # noqa: PLC0415 - see above
    from reference.keeper import Keeper, ModelPath  # noqa: PLC0415 - see above
    from reference.link import LinkServer  # noqa: PLC0415 - see above
    from reference.worker import Settings, start  # noqa: PLC0415 - see above

    log.configure()
    store = Store(folder)
    keeper = Keeper(
        store,
        Inventory(store, api.layout_kind, lazy=api.caches),
        [ModelPath(source, name) for name, source in _sources(api, project, options.reload_interval)],
        reload_interval=None if options.control else options.reload_interval,
        retry=min(1.0, options.reload_interval),
    )
    key = secrets.token_bytes(32)
    link = LinkServer(folder, key, keeper.calls(), keeper.left)
    link.start()
    keeper.start()
    settings = Settings(
        api, project, folder, key, os.getpid(), options.evict_interval, options.body_limit, options.control
    )
    multiprocessing.set_start_method("spawn", force=True)
    server = Server(
        "reference",
        address=options.host,
        port=options.port,
        interface=Interfaces.WSGI,
        workers=api.predictor.processes_per_replica,
        blocking_threads=api.predictor.threads_per_process,
        log_enabled=False,
    )
    try:
        server.serve(target_loader=partial(start, settings), wrap_loader=False)
    finally:
        link.stop()


def _sources(api: config.Api, project: Path, interval: float) -> list[tuple[str | None, Source]]:
    """Return (model name, source) per configured path; the name is None for a directory of models."""
    # A hanging request must not hold up reloading much longer than the interval, a slow one must not be given up.
    connection = Connection(patience=min(max(interval, 5.0), 20.0))

    def source(location: str) -> Source:
        return connection.source(location) if location.startswith("s3://") else LocalSource(project / location)

    predictor = api.predictor
    if predictor.model_path is not None:
        return [(DEFAULT_MODEL, source(predictor.model_path))]
    if predictor.models is None:
        return []
    if predictor.models.dir is not None:
        return [(None, source(predictor.models.dir))]
    return [(entry.name, source(entry.location)) for entry in predictor.models.paths or ()]


def _require_free(host: str, port: int) -> None:
    """Raise ConfigurationError if the address is taken: the HTTP server would share it without a word."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        raise ConfigurationError(f"--host {host} --port {port}: {error.strerror}") from error
