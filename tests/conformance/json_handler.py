"""What the HTTP servers of these tests have in common."""

import json
from http.server import BaseHTTPRequestHandler


class JsonHandler(BaseHTTPRequestHandler):
    """Answers JSON, and says nothing about single requests."""

    def payload(self) -> object:
        """Read the body of the request."""
        return json.loads(self.rfile.read(int(self.headers["Content-Length"])))

    def answer(self, status: int, body: object) -> None:
        """Send a whole answer in JSON."""
        self.send(status, json.dumps(body).encode())

    def send(self, status: int, content: bytes) -> None:
        """Send a whole answer."""
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""
