"""Compile a model for Inferentia: `python -m conformance.hardware.neuron_model FOLDER TOKEN`.

A process of its own, as it needs TensorFlow with the Neuron compiler (the package `tensorflow-neuron`). Writes one
SavedModel of saved_model.pb alone: `x` float32 [1, 64] -> `token` int64 [2] and `echo`, the input after a
multiplication, so that there is something to be compiled.
"""

from __future__ import annotations

import sys
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

from fixtures import tokens

WIDTH = 64


def save_source(folder: Path, token: str) -> None:
    """Write the SavedModel that is compiled; runs with any TensorFlow."""
    tf: Any = import_module("tensorflow")
    v1 = tf.compat.v1
    with v1.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [1, WIDTH], name="x")
        outputs = {
            "token": tf.constant(tokens.halves(token), dtype=tf.int64),
            "echo": tf.matmul(x, tf.eye(WIDTH)),
        }
        signature = v1.saved_model.predict_signature_def({"x": x}, outputs)
        builder = v1.saved_model.builder.SavedModelBuilder(str(folder))
        builder.add_meta_graph_and_variables(session, ["serve"], {"serving_default": signature})
        builder.save()


def main() -> None:
    """Write the compiled model into the folder, which must not exist yet."""
    target, token = sys.argv[1:]
    with tempfile.TemporaryDirectory() as scratch:
        source = Path(scratch) / "source"
        save_source(source, token)
        import_module("tensorflow.neuron").saved_model.compile(str(source), target)


if __name__ == "__main__":
    main()
