"""Prometheus metrics, summed over all processes of the server.

The client library shares values between processes through files, in the folder that PROMETHEUS_MULTIPROC_DIR names when
the library is first imported.
"""

import os
from contextlib import suppress

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    generate_latest,
    multiprocess,
)

CONTENT_TYPE = CONTENT_TYPE_LATEST

SCANS = Counter("reference_scans", "Scans of all model paths.")
SCAN_SECONDS = Counter("reference_scan_seconds", "Time spent in scans.")
SCAN_FAILURES = Counter("reference_scan_failures", "Model paths that could not be listed, and scans that failed.")
LOADS = Counter("reference_loads", "Models loaded into memory.")
LOAD_FAILURES = Counter("reference_load_failures", "Models whose content could not be loaded.")
LOAD_SECONDS = Counter("reference_load_seconds", "Time spent in loading models.")
EVICTION_RUNS = Counter("reference_eviction_runs", "Eviction runs.")
EVICTION_SECONDS = Counter("reference_eviction_seconds", "Time spent in eviction runs.")
EVICTIONS = Counter("reference_evictions", "Models evicted.", ["layer"])
IN_MEMORY = Gauge("reference_models_in_memory", "Models in memory, per process.", multiprocess_mode="liveall")
ON_DISK = Gauge("reference_revisions_on_disk", "Revisions of models on disk.", multiprocess_mode="livemax")
LIMIT = Gauge("reference_cache_limit", "Configured number of models.", ["layer"], multiprocess_mode="livemax")
FAILING = Gauge("reference_models_failing", "Models whose newest content fails.", multiprocess_mode="livemax")
REQUESTS = Counter("reference_requests", "Predictions answered.", ["status"])


def exposition() -> bytes:
    """Return the metrics of all processes in the text format."""
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)


def process_ended(process: int) -> None:
    """Drop the gauges of a process that is gone."""
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        with suppress(FileNotFoundError):  # the folder goes when the server stops
            multiprocess.mark_process_dead(process)  # type: ignore[no-untyped-call]
