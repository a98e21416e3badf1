"""A server that does as little as each stage of plugging in needs: `stub_server.py MODE PROJECT PORT`.

Modes: `exits` ends at once; `deaf` never listens; `unready` answers 503; `empty` answers without a token;
`crashes` dies on the first request; `stubborn` serves its one model but ignores SIGTERM; `minimal` serves it and ends.
"""

import json
import os
import signal
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import yaml


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
    api = yaml.safe_load(Path(project, "cortex.yaml").read_text(encoding="utf-8"))[0]
    model = Path(api["predictor"]["model_path"])

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.answer(503 if mode == "unready" else 200, {})

        def do_POST(self) -> None:
            if mode == "crashes":
                os._exit(9)
            self.rfile.read(int(self.headers["Content-Length"]))
            self.answer(200, {"process": os.getpid(), "tokens": [] if mode == "empty" else tokens_below(model)})

        def answer(self, status: int, body: object) -> None:
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Say nothing about single requests."""

    HTTPServer(("127.0.0.1", int(port)), Handler).serve_forever()


if __name__ == "__main__":
    main()
