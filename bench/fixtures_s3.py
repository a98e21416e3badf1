"""Generate models to S3: against the best rate at which the same client PUTs the same bytes in parallel.

    python -m bench.fixtures_s3 [--models 300] [--rounds 3] [--keys 0]

The service is SeaweedFS on this machine, so it competes for the cores with both. The baseline has the bytes in memory
and uploads them from 4, 8, 16 and 32 threads; the number that is best in the median counts. Rounds alternate. With
--keys N as many keys are generated and inspected in the end, and the peak memory of both is printed.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

from bench.fixtures_generate import MEMORY, seconds
from conformance.s3.seaweedfs import run_seaweedfs
from fixtures.generate import generate
from fixtures.kinds import Kind
from fixtures.plan import Plan
from fixtures.targets import S3Target, open_target

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

FLOOR = 0.8
PATIENCE = 60.0


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--keys", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, run_seaweedfs(Path(name) / "seaweedfs", PATIENCE) as location:
        os.environ.update(location.credentials)
        location.connect().create_bucket(Bucket="models")
        plan = Plan(Kind.ONNX, "bench", models=arguments.models, versions="3", size=10_000)
        against_put(plan, location.url, arguments)
        if arguments.keys:
            at_scale(arguments.keys, location.url, Path(name))


def against_put(plan: Plan, endpoint: str, arguments: argparse.Namespace) -> None:
    """Upload the same files with bare PUT requests and with generate, by turns, each time below a new prefix."""
    files = [(f"{model.name}/{key}", file.read()) for model in plan for key, file in model.tree.items()]
    times: dict[str, list[float]] = {}
    for number in range(arguments.rounds):
        for threads in (4, 8, 16, 32):
            client = cast(S3Target, open_target("s3://models", endpoint_url=endpoint, parallel=32)).client
            put = partial(_put, client, files, f"put-{number}-{threads}", threads)
            times.setdefault(f"PUT from {threads} threads", []).append(seconds(put))
        place = open_target(f"s3://models/generated-{number}", endpoint_url=endpoint)
        with tempfile.TemporaryDirectory() as folder:
            run = generate(plan, place, Path(folder) / "manifest.json", parallel=16)
            times.setdefault("generate", []).append(seconds(partial(list, run)))
    rates = {name: len(files) / statistics.median(taken) for name, taken in times.items()}
    for name, rate in rates.items():
        print(f"{name}: {rate:.0f} files/s ({min(times[name]):.2f}-{max(times[name]):.2f} s)", flush=True)
    best = max(rate for name, rate in rates.items() if name != "generate")
    print(f"{len(files)} files of 10 kB: ratio {rates['generate'] / best:.2f} (at least {FLOOR})", flush=True)


def _put(client: "S3Client", files: Sequence[tuple[str, bytes]], prefix: str, threads: int) -> None:
    with ThreadPoolExecutor(threads) as pool:
        puts = [
            pool.submit(client.put_object, Bucket="models", Key=f"{prefix}/{key}", Body=data) for key, data in files
        ]
        for put in puts:
            put.result()


def at_scale(keys: int, endpoint: str, folder: Path) -> None:
    """Generate so many keys, inspect them, and print the time and peak memory of each."""
    place = ["s3://models/scale", "--endpoint-url", endpoint]
    manifest = ["--manifest", str(folder / "scale.json")]
    shape = ["--type", "onnx", "--models", str(keys // 5), "--versions", "5", "--size", "1kB"]
    for words in (["generate", *place, *manifest, *shape], ["inspect", *place, *manifest]):
        start = time.perf_counter()
        command = [sys.executable, "-c", MEMORY, *words]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        *_, summary, peak = done.stdout.splitlines()
        print(f"{summary}; {time.perf_counter() - start:.0f} s, peak memory {int(peak) / 1024:.0f} MiB", flush=True)


if __name__ == "__main__":
    main()
