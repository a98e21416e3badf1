"""Resident memory after many load/evict cycles of a 20 MB model, against that after cycle 3.

    python -m bench.reference_memory [--cycles 1000] [--size 20000000]

Two ONNX models share one place in memory, so every cycle loads one and evicts the other. The figure is the resident
memory of the serving process.
"""

import argparse
import tempfile
import urllib.request
from pathlib import Path

import psutil

from bench import servers
from fixtures.models.onnx import onnx_model
from fixtures.targets.directory import DirectoryTarget


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cycles", type=int, default=1000)
    parser.add_argument("--size", type=int, default=20_000_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        target = DirectoryTarget(Path(name) / "models")
        for model in ("a", "b"):
            target.write(onnx_model(size=arguments.size).at(model))
        where = f"models: {{dir: {name}/models, cache_size: 1, disk_cache_size: 2}}"
        project = servers.project(Path(name) / "project", "onnx", servers.ONNX_PREDICTOR, where)
        with servers.reference(project, "--control") as (port, process):
            worker = max(psutil.Process(process.pid).children(), key=lambda child: child.memory_info().rss)
            after: dict[int, int] = {}
            for cycle in range(1, arguments.cycles + 1):
                _post(port, f"/?model={'ab'[cycle % 2]}", b"[1.0]")
                _post(port, "/-/evict", b"")
                after[cycle] = worker.memory_info().rss
    third, last, highest = after[3], after[arguments.cycles], max(after.values())
    growth = last - third
    print(
        f"{arguments.cycles} cycles of {arguments.size / 1e6:.0f} MB: after cycle 3 {third / 1e6:.1f} MB, at the end "
        f"{last / 1e6:.1f} MB ({growth / 1e6:+.1f} MB, {growth / arguments.size:+.2f} models; ceiling 1 model), "
        f"highest {highest / 1e6:.1f} MB"
    )


def _post(port: int, path: str, body: bytes) -> None:
    headers = {"content-type": "application/json"}
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body, headers)
    with urllib.request.urlopen(request) as answer:  # noqa: S310 - own server
        answer.read()


if __name__ == "__main__":
    main()
