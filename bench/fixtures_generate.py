"""Generate 1,000 models x 3 versions of 10 kB to a directory: against plain Python that writes the same files.

    python -m bench.fixtures_generate [--models 1000] [--rounds 5] [--type onnx] [--in FOLDER]

Plain Python has the bytes in memory already, makes each folder and writes each file; generating also makes the
models, hashes them, publishes each model by rename and writes the manifest. Rounds alternate, so that what else the
machine does hits both; a ratio is that of the medians. On a disk the file system takes most of the time, in memory
(--in /dev/shm) Python does. Further: ONNX versions from the template against building each with onnx.helper, and peak
memory.
"""

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from fixtures import tokens
from fixtures.generate import generate
from fixtures.kinds import Kind
from fixtures.models import onnx_model
from fixtures.plan import Plan
from fixtures.targets import DirectoryTarget

FLOOR = 0.5
MEMORY = """\
import re, sys
from pathlib import Path
from fixtures.commands import main
assert main(sys.argv[1:]) == 0
print(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--in", dest="folder", type=Path, help="where to write (the folder for temporary files)")
    parser.add_argument("--type", type=Kind, help="only this kind of model (every one)")
    arguments = parser.parse_args()
    for kind in [arguments.type] if arguments.type else list(Kind):
        plan = Plan(kind, "bench", models=arguments.models, versions="3", size=10_000)
        with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
            against_plain(plan, Path(folder), arguments.rounds)
    templates(10_000)
    memory(arguments.folder)


def against_plain(plan: Plan, folder: Path, rounds: int) -> None:
    """Write the same files with plain Python and with generate, by turns."""
    files = [(f"{model.name}/{key}", file.read()) for model in plan for key, file in model.tree.items()]

    def plain() -> None:
        for key, data in files:
            path = folder / "plain" / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)

    def generated() -> None:
        for _ in generate(plan, DirectoryTarget(folder / "generated"), folder / "manifest.json"):
            pass

    times: dict[str, list[float]] = {"plain": [], "generated": []}
    for _ in range(rounds):
        for name, work in (("plain", plain), ("generated", generated)):
            times[name].append(seconds(work))
            shutil.rmtree(folder / name)
            (folder / "manifest.json").unlink(missing_ok=True)
    rates = {name: len(files) / statistics.median(taken) for name, taken in times.items()}
    spread = ", ".join(f"{name} {min(taken):.2f}-{max(taken):.2f} s" for name, taken in times.items())
    print(
        f"{plan.kind}: {len(files)} files, plain {rates['plain']:.0f}/s, generate {rates['generated']:.0f}/s,"
        f" ratio {rates['generated'] / rates['plain']:.2f} (at least {FLOOR}); {spread}",
        flush=True,
    )


def templates(count: int) -> None:
    """Make ONNX versions from the template and, a tenth as many, from scratch."""
    patched = seconds(lambda: [onnx_model(size=10_000)["model.onnx"].read() for _ in range(count)]) / count
    scratch = seconds(lambda: [from_scratch() for _ in range(count // 10)]) / (count // 10)
    print(
        f"{count} ONNX versions of 10 kB: {patched * 1e6:.0f} us each from the template, {scratch * 1e6:.0f} us from"
        f" scratch with onnx.helper, {scratch / patched:.1f} times as fast",
        flush=True,
    )


def from_scratch() -> bytes:
    """Build a model with the same outputs and payload by onnx.helper alone."""
    token = np.array(tokens.halves(tokens.fresh()), np.int64)
    payload = np.frombuffer(np.random.default_rng().bytes(10_000), np.uint8)
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N"])
    outputs = [
        helper.make_tensor_value_info("token", TensorProto.INT64, [2]),
        helper.make_tensor_value_info("echo", TensorProto.FLOAT, ["N"]),
    ]
    nodes = [
        helper.make_node("Identity", ["token_value"], ["token"]),
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Mul", ["shape", "zero"], ["index"]),
        helper.make_node("Gather", ["payload", "index"], ["byte"]),
        helper.make_node("Cast", ["byte"], ["number"], to=TensorProto.INT64),
        helper.make_node("Mul", ["number", "zero"], ["nothing"]),
        helper.make_node("Add", ["shape", "nothing"], ["same_shape"]),
        helper.make_node("Reshape", ["x", "same_shape"], ["echo"]),
    ]
    constants = [
        helper.make_tensor("zero", TensorProto.INT64, [1], [0]),
        numpy_helper.from_array(token, "token_value"),
        numpy_helper.from_array(payload, "payload"),
    ]
    graph = helper.make_graph(nodes, "echo", [x], outputs, initializer=constants)
    return bytes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]).SerializeToString())


def memory(place: Path | None) -> None:
    """Print the peak memory of generating few and many models, and small and large ones."""
    for text, *options in (
        ("100 models x 3 of 10 kB", "--models", "100", "--versions", "3", "--size", "10kB"),
        ("10,000 models x 3 of 10 kB", "--models", "10000", "--versions", "3", "--size", "10kB"),
        ("1 model of 1 GB", "--size", "1GB"),
    ):
        with tempfile.TemporaryDirectory(dir=place) as folder:
            command = [sys.executable, "-c", MEMORY, "generate", f"{folder}/m", "--type", "onnx", *options]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
        print(f"peak memory, {text}: {int(done.stdout.split()[-1]) / 1024:.0f} MiB", flush=True)


def seconds(work: Callable[[], object]) -> float:
    """Time one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
