"""What scanning costs.

    python -m bench.reference_scan [--keys 100000] [--seconds 20]

1. One scan (listing, layout, comparison) of so many keys against the bare paginated listing by the same client.
2. The share of CPU time that listing 10,000 keys every second takes from the predicting process.
"""

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event

import psutil

from bench import servers

AWS = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_DEFAULT_REGION": "us-east-1"}
PREDICTOR = """\
class PythonPredictor:
    def __init__(self, config, python_client):
        self.client = python_client

    def load_model(self, path):
        return path

    def predict(self, query_params):
        return "ok"
"""
CEILING, CPU_CEILING = 1.3, 0.02


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keys", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=20.0)
    arguments = parser.parse_args()
    os.environ.update(AWS)
    scan(arguments.keys)
    cpu(10_000, arguments.seconds)


def scan(keys: int) -> None:
    """Compare a scan with the bare listing."""
    with endpoint(keys) as url, tempfile.TemporaryDirectory() as folder:
        os.environ.update(AWS_ENDPOINT_URL=url, PROMETHEUS_MULTIPROC_DIR=folder)
        from reference.inventory import Inventory  # noqa: PLC0415 - its metrics need the folder
        from reference.layout import split  # noqa: PLC0415 - with the import above
        from reference.s3 import connect, open_source  # noqa: PLC0415 - with the import above
        from reference.store import Store  # noqa: PLC0415 - with the import above

        client = connect(30.0)
        source = open_source("s3://bucket/models/", 30.0)
        inventory = Inventory(Store(Path(folder)), "python", lazy=True)

        def bare() -> None:
            for page in client.get_paginator("list_objects_v2").paginate(Bucket="bucket", Prefix="models/"):
                assert page["Contents"]

        def whole() -> None:
            groups, _ = split(source.listing())
            for name, listed in groups.items():
                held = inventory.unsettled(name, source, f"{name}/", listed)
                if held is not None:
                    inventory.settle(held, listed)

        first = timed(whole)
        listings, scans = [], []
        for _ in range(3):
            listings.append(timed(bare))
            scans.append(timed(whole))
        base, own = statistics.median(listings), statistics.median(scans)
        print(
            f"{keys:,} keys: bare listing {base:.2f} s of CPU, scan {own:.2f} s, ratio {own / base:.2f} "
            f"(ceiling {CEILING}); the first scan, which analyses every model, {first:.2f} s, {first / base:.2f}"
        )


def timed(action: Callable[[], None]) -> float:
    """Return the CPU seconds that an action takes in this process."""
    started = time.process_time()
    action()
    return time.process_time() - started


def cpu(keys: int, seconds: float) -> None:
    """Measure the CPU time of the predicting process, idle, while its server scans every second."""
    with endpoint(keys) as url, tempfile.TemporaryDirectory() as folder:
        where = "models: {dir: 's3://bucket/models/', cache_size: 10, disk_cache_size: 10}"
        project = servers.project(Path(folder), "python", PREDICTOR, where)
        options = ("--reload-interval", "1", "--evict-interval", "10")
        with servers.reference(project, *options, environment={"AWS_ENDPOINT_URL": url}) as (_, process):
            parent = psutil.Process(process.pid)
            # The serving process is the largest child; the other watches resources of multiprocessing.
            worker = max(parent.children(), key=lambda child: child.memory_info().rss)
            before, scanning = sum(worker.cpu_times()[:2]), sum(parent.cpu_times()[:2])
            Event().wait(seconds)
            used = (sum(worker.cpu_times()[:2]) - before) / seconds
            scanner = (sum(parent.cpu_times()[:2]) - scanning) / seconds
    print(
        f"{keys:,} keys every second: {used:.1%} of a CPU in the predicting process (ceiling {CPU_CEILING:.0%}), "
        f"{scanner:.0%} in the scanning one"
    )


@contextlib.contextmanager
def endpoint(keys: int) -> Iterator[str]:
    """Run the listing server in a process of its own."""
    port = servers.free_port()
    process = subprocess.Popen([sys.executable, "-m", "bench.listing_server", str(keys), str(port)])
    try:
        servers.await_port(port)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    main()
