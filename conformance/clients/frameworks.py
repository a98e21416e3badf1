"""Models of the frameworks that the document names for the python predictor, for witness/frameworks.py to load."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

import pytest

from conformance.stand import Stand
from fixtures.models import onnx_model, python_model
from fixtures.models.frameworks import pandas_model, sklearn_model, torch_model
from fixtures.trees import File, Tree


@dataclass(frozen=True)
class Kind:
    """Models of one form: `make` takes their size in bytes, `packages` are those that load them."""

    name: str
    packages: tuple[str, ...]
    make: Callable[[int, Random], Tree]


def numpy_model(size: int, random: Random) -> Tree:
    """Make an array of so many bytes."""
    return python_model(files=("array.bin",), size=size, random=random)


def _pandas(size: int, random: Random) -> Tree:
    return pandas_model(size=size, random=random)


def _sklearn(size: int, random: Random) -> Tree:
    return sklearn_model(size=size, random=random)


def _onnx(size: int, random: Random) -> Tree:
    return onnx_model(size=size, random=random)


def _torch(size: int, random: Random) -> Tree:
    return torch_model(size=size, random=random)


def _list(size: int, random: Random) -> Tree:
    return numpy_model(size // 2, random) | _onnx(size // 2, random) | Tree({"container.txt": File("list")})


def _dict(size: int, random: Random) -> Tree:
    return _pandas(size // 2, random) | _sklearn(size // 2, random) | Tree({"container.txt": File("dict")})


KINDS = (
    Kind("numpy", ("numpy",), numpy_model),
    Kind("pandas", ("pandas",), _pandas),
    Kind("scikit-learn", ("sklearn",), _sklearn),
    Kind("ONNX Runtime", ("onnxruntime",), _onnx),
    Kind("PyTorch", ("torch",), _torch),
    Kind("list of numpy and ONNX Runtime", ("numpy", "onnxruntime"), _list),
    Kind("dict of pandas and scikit-learn", ("pandas", "sklearn"), _dict),
)


def skip_unless_there(stand: Stand, packages: Sequence[str]) -> None:
    """Skip a test where the suite cannot make such models, or the server cannot load them."""
    if missing := [name for name in packages if importlib.util.find_spec(name) is None]:
        pytest.skip(f"{' and '.join(missing)} not installed: `nox -s conformance-frameworks` installs them")
    answer = stand.deployment.predict({"has": list(packages)})
    if missing := [name for name in packages if name not in answer.body.get("has", ())]:
        pytest.skip(
            f"the server's Python has no {' and '.join(missing)}: `nox -s conformance-frameworks` judges the reference"
        )
