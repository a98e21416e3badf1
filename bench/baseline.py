"""The baseline: the HTTP server of the reference with nothing but `session.run` on a fixed input behind it."""

import multiprocessing
import os
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import onnxruntime
import orjson
from granian.constants import Interfaces
from granian.server import Server

from reference.process import die_with_parent


def application(parent: int, model: str) -> Callable[..., list[bytes]]:
    """Build the WSGI application in the serving process."""
    die_with_parent(parent)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    feed = {"x": np.array([1.0, 2.0, 3.0], dtype=np.float32)}
    headers = [("content-type", "application/json")]

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        environ["wsgi.input"].read()
        outputs = session.run(None, feed)
        start_response("200 OK", headers)
        return [orjson.dumps(outputs[1], option=orjson.OPT_SERIALIZE_NUMPY)]

    return answer


def main() -> None:
    """Serve MODEL on PORT with THREADS threads."""
    model, port, threads = sys.argv[1:]
    multiprocessing.set_start_method("spawn")
    server = Server(
        "baseline",
        port=int(port),
        interface=Interfaces.WSGI,
        blocking_threads=int(threads),
        log_enabled=False,
    )
    server.serve(target_loader=partial(application, os.getpid(), model), wrap_loader=False)


if __name__ == "__main__":
    main()
