"""Command line: `python -m reference serve PROJECT`."""

import argparse
import gc
import sys
from pathlib import Path

from reference.errors import ConfigurationError
from reference.options import Options

# What a process makes while it starts stays, and looking for garbage in it takes a fifth of that time: each begins to
# collect when it has started. A serving process imports this file first, too.
gc.disable()


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError("must be greater than 0")
    return value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="reference", description=__doc__)
    command = parser.add_subparsers(dest="command", required=True).add_parser(
        "serve", help="serve the API that PROJECT/cortex.yaml describes"
    )
    command.add_argument("project", type=Path, help="folder with cortex.yaml and the predictor")
    command.add_argument("--host", default="127.0.0.1")
    command.add_argument("--port", type=int, default=8888)
    command.add_argument(
        "--reload-interval", type=_positive, default=10.0, metavar="SECONDS", help="between two scans (default: 10)"
    )
    command.add_argument(
        "--evict-interval", type=_positive, default=10.0, metavar="SECONDS", help="of eviction runs (default: 10)"
    )
    command.add_argument(
        "--body-limit", type=int, default=100_000_000, metavar="BYTES", help="largest request body (default: 100 MB)"
    )
    command.add_argument(
        "--request-timeout",
        type=_positive,
        metavar="SECONDS",
        help="until a request that waits for its turn is answered 503. Each process then has one thread more than"
        " predict, which also answers GET / and /healthz during long predictions, and makes those of tiny models slower"
        " (default: requests wait until it is their turn)",
    )
    command.add_argument(
        "--store", type=Path, help="folder for models on disk (default: one for this user in the temporary folder)"
    )
    command.add_argument(
        "--control",
        action="store_true",
        help="look at the source and evict only on POST /-/reload and POST /-/evict, never by itself",
    )
    return parser


def main() -> int:
    """Run the command line; return the exit status."""
    arguments = vars(_parser().parse_args())
    del arguments["command"]
    from reference.serve import serve  # noqa: PLC0415 - each serving process imports this file too, and needs none of it

    try:
        serve(Options(**arguments))
    except ConfigurationError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
