"""Predict over HTTP, tiny ONNX model, one process: the reference against the same HTTP server with a bare session.run.

    python -m bench.reference_http [--seconds 0.5] [--rounds 25]

The reference runs twice: as it is by default, which is what the floors are about, and with a request time-out, which
takes one thread more. Short rounds alternate between the servers, and the ratio is the median of the
ratios within each round, so that what else the machine does hits all alike.
"""

import argparse
import statistics
import tempfile
from pathlib import Path

from bench import servers
from bench.clients import drive, post
from fixtures.models.onnx import onnx_model
from fixtures.targets.directory import DirectoryTarget

BODY = b'{"x":[1.0,2.0,3.0]}'
FLOORS = {1: 0.7, 16: 0.75}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--rounds", type=int, default=25)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        DirectoryTarget(folder / "models").write(onnx_model().at("tiny"))
        served = servers.project(
            folder / "project", "onnx", servers.ONNX_PREDICTOR, f"model_path: {folder}/models/tiny"
        )
        with (
            servers.baseline(folder / "models/tiny/model.onnx", 1) as (bare, _),
            servers.reference(served) as (plain, _),
            servers.reference(served, "--request-timeout", "60") as (timed, _),
        ):
            ports = {"bare session.run": bare, "reference": plain, "reference, with a time-out": timed}
            for connections in FLOORS:
                compare(ports, connections, arguments.seconds, arguments.rounds)


def compare(ports: dict[str, int], connections: int, seconds: float, rounds: int) -> None:
    """Print requests per second of all, and their ratio to the first."""
    request = [post("/", BODY)]
    figures: dict[str, list[float]] = {title: [] for title in ports}
    for port in ports.values():
        drive(port, request, connections, 0.5)
    for _ in range(rounds):
        for title, port in ports.items():
            figures[title].append(drive(port, request, connections, seconds).per_second)
    base = next(iter(figures.values()))
    print(f"{connections} connections (floor {FLOORS[connections]}):")
    for title, measured in figures.items():
        ratios = [own / bare for own, bare in zip(measured, base, strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4)
        print(
            f"{title:>25}: {statistics.median(measured):8,.0f}/s, ratio {middle:.2f} "
            f"(half of the rounds {low:.2f} to {high:.2f})"
        )


if __name__ == "__main__":
    main()
