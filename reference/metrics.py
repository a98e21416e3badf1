"""Prometheus metrics, summed over all processes of the server.

The client library shares values between processes through files, in the folder that PROMETHEUS_MULTIPROC_DIR names when
the library is first imported.
"""

import itertools
import os
import threading
from collections import defaultdict
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
_REQUESTS = Counter("reference_requests", "Predictions answered.", ["status"])


class _Tally:
    """Counts without a lock: the next number of an `itertools.count` is one step of the interpreter."""

    def __init__(self) -> None:
        self._numbers = itertools.count()
        self._looked = 0
        self._taken = 0
        self.add = self._numbers.__next__

    def take(self) -> int:
        """Return how often `add` was called since the last `take`."""
        total = next(self._numbers) - self._looked
        self._looked += 1
        new, self._taken = total - self._taken, total
        return new


_TALLIES: defaultdict[int, _Tally] = defaultdict(_Tally)
_COLLECTING = threading.Lock()


def count_request(status: int) -> None:
    """Count an answered prediction; the metric follows with the next `collect`."""
    _TALLIES[status].add()


def collect() -> None:
    """Bring what was counted in this process into its metric."""
    with _COLLECTING:
        for status, tally in list(_TALLIES.items()):
            _REQUESTS.labels(str(status)).inc(tally.take())


def exposition() -> bytes:
    """Return the metrics of all processes in the text format; requests of other processes as of their last run."""
    collect()
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)


def process_ended(process: int) -> None:
    """Drop the gauges of a process that is gone."""
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        with suppress(FileNotFoundError):  # the folder goes when the server stops
            multiprocess.mark_process_dead(process)  # type: ignore[no-untyped-call]
