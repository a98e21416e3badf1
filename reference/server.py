"""The server: this process keeps the models, the processes it starts serve them."""

import gc
import multiprocessing
import os
import secrets
from functools import partial
from pathlib import Path

from granian.constants import Interfaces
from granian.server import Server

from reference import config, log
from reference.catalog import DEFAULT_MODEL
from reference.eviction import Limits
from reference.inventory import Inventory
from reference.keeper import Keeper, ModelPath
from reference.link import LinkServer
from reference.loading import Framework
from reference.local import LocalSource
from reference.options import Options
from reference.sources import Source
from reference.store import Store
from reference.worker import Settings, start

_DRAIN = 30
"""Seconds that requests in progress have to end when the server stops."""


def run(options: Options, project: Path, api: config.Api, folder: Path) -> None:
    """Serve until SIGTERM or SIGINT; exits with status 1 if a serving process ends by itself."""
    log.configure()
    store = Store(folder)
    keeper = Keeper(
        store,
        Inventory(store, api.layout_kind, lazy=api.caches),
        [ModelPath(source, name) for name, source in _sources(api, project, options.reload_interval)],
        reload_interval=None if options.control else options.reload_interval,
        retry=min(1.0, options.reload_interval),
        processes=api.predictor.processes_per_replica,
    )
    key = secrets.token_bytes(32)
    link = LinkServer(folder, key, keeper.calls(), keeper.left)
    link.start()
    keeper.start()
    settings = Settings(
        api=api.name,
        project=project,
        predictor=project / api.predictor.path,
        config=api.predictor.config,
        framework=_framework(api),
        has_models=api.has_models,
        single=api.predictor.model_path is not None,
        limits=_limits(api),
        threads=api.predictor.threads_per_process,
        folder=folder,
        key=key,
        parent=os.getpid(),
        evict_interval=options.evict_interval,
        body_limit=options.body_limit,
        request_timeout=options.request_timeout,
        control=options.control,
    )
    # What waits for its turn occupies a thread: without one more, nothing could be said to others in the meantime.
    spare_threads = 0 if options.request_timeout is None else 1
    # Threads of OpenBLAS spin before they sleep: by default for as long as NumPy takes to import.
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")
    multiprocessing.set_start_method("spawn", force=True)
    server = Server(
        "reference",
        address=options.host,
        port=options.port,
        interface=Interfaces.WSGI,
        workers=api.predictor.processes_per_replica,
        blocking_threads=api.predictor.threads_per_process + spare_threads,
        workers_kill_timeout=_DRAIN,
        log_enabled=False,
    )
    gc.freeze()
    gc.enable()
    try:
        server.serve(target_loader=partial(start, settings), wrap_loader=False)
    finally:
        link.stop()


def _framework(api: config.Api) -> Framework | None:
    """Say what loads the models; None for a python predictor, which does so itself."""
    predictor, models = api.predictor, api.predictor.models
    if predictor.type == "python":
        return None
    return Framework(
        predictor.type,
        gpu=api.compute.gpu > 0,
        inferentia=api.compute.inf > 0,
        signature_key=predictor.signature_key or (models.signature_key if models else None),
        signature_keys={entry.name: entry.signature_key for entry in (models.paths if models else None) or ()},
    )


def _limits(api: config.Api) -> Limits | None:
    models = api.predictor.models
    if models is None or models.cache_size is None or models.disk_cache_size is None:
        return None
    return Limits(models.cache_size, models.disk_cache_size)


def _sources(api: config.Api, project: Path, interval: float) -> list[tuple[str | None, Source]]:
    """Return (model name, source) per configured path; the name is None for a directory of models."""
    # A hanging request must not hold up reloading much longer than the interval, a slow one must not be given up.
    patience = min(max(interval, 5.0), 20.0)

    def source(location: str) -> Source:
        if not location.startswith("s3://"):
            return LocalSource(project / location)
        from reference.s3 import open_source  # noqa: PLC0415 - takes as long as all other imports, only for S3

        return open_source(location, patience)

    predictor = api.predictor
    if predictor.model_path is not None:
        return [(DEFAULT_MODEL, source(predictor.model_path))]
    if predictor.models is None:
        return []
    if predictor.models.dir is not None:
        return [(None, source(predictor.models.dir))]
    return [(entry.name, source(entry.location)) for entry in predictor.models.paths or ()]
