"""Predictions while models are reloaded: one new version per second among 50 models, 16 connections.

    python -m bench.reference_reload [--seconds 10] [--rounds 3]

Rounds with and without publishing alternate; failures must be 0, p99 is printed with its spread over the rounds.
"""

import argparse
import tempfile
import threading
from pathlib import Path

from bench import servers
from bench.clients import Result, drive, post
from fixtures.models.onnx import onnx_model
from fixtures.targets.directory import DirectoryTarget

MODELS = 50


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    requests = [post(f"/?model=m{number}", b"[1.0,2.0,3.0]") for number in range(MODELS)]
    with tempfile.TemporaryDirectory() as name:
        target = DirectoryTarget(Path(name) / "models")
        for number in range(MODELS):
            target.write(onnx_model().at(f"m{number}/1"))
        where = f"models: {{dir: {name}/models}}"
        project = servers.project(Path(name) / "project", "onnx", servers.ONNX_PREDICTOR, where)
        with servers.reference(project, "--reload-interval", "1") as (port, _):
            drive(port, requests, 16, 2.0)
            quiet: list[Result] = []
            busy: list[Result] = []
            version = 1
            for _ in range(arguments.rounds):
                quiet.append(drive(port, requests, 16, arguments.seconds))
                version, result = _while_publishing(target, port, requests, arguments.seconds, version)
                busy.append(result)
    for title, results in (("without reload", quiet), ("one version per second", busy)):
        p99 = sorted(result.quantile(0.99) * 1000 for result in results)
        print(
            f"{title:>22}: {sum(result.failures for result in results)} failures of "
            f"{sum(len(result.latencies) for result in results):,}, p99 {p99[len(p99) // 2]:.1f} ms "
            f"({p99[0]:.1f} to {p99[-1]:.1f}), slowest {max(max(result.latencies) for result in results) * 1000:.0f} ms"
        )


def _while_publishing(
    target: DirectoryTarget, port: int, requests: list[bytes], seconds: float, version: int
) -> tuple[int, Result]:
    stop = threading.Event()
    published = [version]

    def publish() -> None:
        while not stop.wait(1.0):
            published[0] += 1
            target.write(onnx_model().at(f"m{published[0] % MODELS}/{published[0]}"))

    publisher = threading.Thread(target=publish)
    publisher.start()
    try:
        return published[0], drive(port, requests, 16, seconds)
    finally:
        stop.set()
        publisher.join()


if __name__ == "__main__":
    main()
