"""A server that does as little as each stage of plugging in needs.

`-m tests.conformance.stub_server MODE PROJECT PORT`.

Modes: `exits` ends at once; `deaf` never listens; `unready` answers 503; `empty` answers without a token;
`crashes` dies on the first request; `mute` never answers one; `garbled` prints and answers bytes that are no text and
no HTTP; `stubborn` serves its one model but ignores SIGTERM; `minimal` serves it and ends; `curt` closes each
connection without having said so.
"""

import os
import signal
import sys
import threading
from http.server import HTTPServer
from pathlib import Path

import yaml

from tests.conformance.json_handler import JsonHandler

GARBAGE = bytes(range(256))


def tokens_below(folder: Path) -> list[str]:
    """Read the tokens of a python model as the suite's fixtures write them."""
    lines = (file.read_text(encoding="utf-8").splitlines()[0] for file in folder.rglob("*") if file.is_file())
    return [line.removeprefix("token: ") for line in lines]


def main() -> None:
    """Serve in the given mode until the process is told to end."""
    mode, project, port = sys.argv[1:]
    print(f"stub server in mode {mode}", file=sys.stderr, flush=True)
    if mode == "exits":
        raise SystemExit(7)
    if mode == "deaf":
        threading.Event().wait()
    if mode == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if mode == "garbled":
        sys.stdout.buffer.write(GARBAGE)
        sys.stdout.flush()
    api = yaml.safe_load(Path(project, "cortex.yaml").read_text(encoding="utf-8"))[0]
    model = Path(api["predictor"]["model_path"])

    class Handler(JsonHandler):
        # With this version it closes a connection when the request asks for that, and says nothing about it.
        protocol_version = "HTTP/1.1" if mode == "curt" else "HTTP/1.0"

        def do_GET(self) -> None:  # noqa: N802 - named by http.server
            self.answer(503 if mode == "unready" else 200, {})

        def do_POST(self) -> None:  # noqa: N802 - named by http.server
            if mode == "crashes":
                os._exit(9)
            if mode == "mute":
                threading.Event().wait()
            self.payload()
            if mode == "garbled":
                self.wfile.write(GARBAGE)
                return
            self.answer(200, {"process": os.getpid(), "tokens": [] if mode == "empty" else tokens_below(model)})

    HTTPServer(("127.0.0.1", int(port)), Handler).serve_forever()


if __name__ == "__main__":
    main()
