"""Predict over HTTP, tiny ONNX model, one process: the reference against the same HTTP server with a bare session.run.

    python -m bench.reference_http [--seconds 4] [--rounds 3]

Rounds alternate between the two so that what else the machine does hits both; the ratio is that of the medians.
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
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        DirectoryTarget(folder / "models").write(onnx_model().at("tiny"))
        served = servers.project(
            folder / "project", "onnx", servers.ONNX_PREDICTOR, f"model_path: {folder}/models/tiny"
        )
        with (
            servers.baseline(folder / "models/tiny/model.onnx", 1) as (bare, _),
            servers.reference(served) as (ours, _),
        ):
            for connections in FLOORS:
                compare(bare, ours, connections, seconds=arguments.seconds, rounds=arguments.rounds)


def compare(bare: int, ours: int, connections: int, *, seconds: float, rounds: int) -> None:
    """Print requests per second of both and their ratio."""
    request = [post("/", BODY)]
    figures: dict[int, list[float]] = {bare: [], ours: []}
    for port in figures:
        drive(port, request, connections, 0.5)
    for _ in range(rounds):
        for port, measured in figures.items():
            measured.append(drive(port, request, connections, seconds).per_second)
    base, own = (statistics.median(figures[port]) for port in (bare, ours))
    print(
        f"{connections:3} connections: bare session.run {base:8,.0f}/s, reference {own:8,.0f}/s, "
        f"ratio {own / base:.2f} (floor {FLOORS[connections]}); "
        f"bare {_all(figures[bare])}, reference {_all(figures[ours])}"
    )


def _all(values: list[float]) -> str:
    return "/".join(f"{value:,.0f}" for value in values)


if __name__ == "__main__":
    main()
