"""The number of versions and models must not matter on the request path.

    python -m bench.reference_versions [--seconds 3] [--rounds 3]

One ONNX model with 1, 300 and 3,000 versions, asked for its latest at 16 connections; figures as a share of the first.
"""

import argparse
import statistics
import tempfile
from contextlib import ExitStack
from pathlib import Path

from bench import servers
from bench.clients import drive, post
from fixtures.models.onnx import onnx_model
from fixtures.targets.directory import DirectoryTarget
from fixtures.trees import Tree

SIZES = (1, 300, 3000)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    request = [post("/?model=m", b"[1.0,2.0,3.0]")]
    with tempfile.TemporaryDirectory() as name, ExitStack() as running:
        model = onnx_model()
        ports: dict[int, int] = {}
        for size in SIZES:
            folder = Path(name) / str(size)
            versions = {f"m/{number}/{key}": file for number in range(size) for key, file in model.items()}
            DirectoryTarget(folder / "models").write(Tree(versions))
            where = f"models: {{dir: {folder}/models}}"
            project = servers.project(folder / "project", "onnx", servers.ONNX_PREDICTOR, where)
            ports[size], _ = running.enter_context(servers.reference(project))
            drive(ports[size], request, 16, 0.5)
        rates: dict[int, list[float]] = {size: [] for size in SIZES}
        for _ in range(arguments.rounds):
            for size, port in ports.items():
                rates[size].append(drive(port, request, 16, arguments.seconds).per_second)
    first = statistics.median(rates[SIZES[0]])
    for size, measured in rates.items():
        median = statistics.median(measured)
        print(f"{size:5} versions: {median:8,.0f}/s, {median / first:.2f} of one version")


if __name__ == "__main__":
    main()
