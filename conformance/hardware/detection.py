"""Which hardware this machine has, which is where the server under test runs."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

_DRIVER = "libcuda.so.1"
_DEVICES = Path("/dev")


@cache
def missing_gpu() -> str | None:
    """Say why there is no NVIDIA GPU to be used here; None when there is one."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return "no NVIDIA GPU: there is no nvidia-smi"
    listed = subprocess.run([tool, "--list-gpus"], capture_output=True, text=True, check=False)
    if "GPU" not in listed.stdout:
        return f"no NVIDIA GPU: nvidia-smi lists none ({(listed.stderr or listed.stdout).strip()})"
    try:
        ctypes.CDLL(_DRIVER)
    except OSError:
        return f"no NVIDIA GPU: there is no CUDA driver library {_DRIVER}"
    return None


@cache
def missing_inferentia() -> str | None:
    """Say why there is no Inferentia to be used here; None when there is one."""
    if not any(_DEVICES.glob("neuron*")):
        return f"no AWS Inferentia: there is no {_DEVICES / 'neuron*'}, which the Neuron driver makes"
    return None


# By the marker of the tests that need it.
MISSING: Mapping[str, Callable[[], str | None]] = {"gpu": missing_gpu, "inferentia": missing_inferentia}


def device_memory() -> int:
    """Give the bytes in use on all NVIDIA GPUs, by whichever process."""
    asked = ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits"]
    listed = subprocess.run(asked, capture_output=True, text=True, check=True)
    return sum(int(line) << 20 for line in listed.stdout.splitlines())
