"""The WSGI application: routes, status codes, and one prediction."""

import os
import queue
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import parse_qsl

from reference import log, metrics
from reference.errors import InputError, LoadError, UnavailableError, UnknownModelError
from reference.payload import Headers, encode, payload, to_json
from reference.resident import begin_request, end_request

Environ = dict[str, Any]
StartResponse = Callable[[str, Headers], Any]
Answer = tuple[int, Headers, bytes]

_REASONS = {
    200: "200 OK",
    400: "400 Bad Request",
    404: "404 Not Found",
    405: "405 Method Not Allowed",
    413: "413 Content Too Large",
    500: "500 Internal Server Error",
    503: "503 Service Unavailable",
}
# The HTTP server adds the environment of the process to that of the request: HTTP_PROXY is no header.
_OF_THIS_PROCESS = frozenset(os.environ)
_JSON: Headers = [("content-type", "application/json")]


@dataclass(frozen=True, slots=True)
class Prediction:
    """A predictor that is ready, and which arguments its `predict()` asks for."""

    predict: Callable[..., Any]
    arguments: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """What one request may take."""

    body: int
    """Largest body in bytes (413)."""
    wait: float | None
    """Seconds until its turn to predict (503), or None: for ever. A prediction that runs is never interrupted."""
    predictions: int
    """How many predictions run at once."""


class Application:
    """Answers requests; 503 until `prediction` is set, to GET / until all processes are `ready`.

    `summary` gives the body of GET /, `obstacle` says what keeps it from being ready; `reload` and `evict` are None
    unless the server was started with control.
    """

    def __init__(
        self,
        summary: Callable[[], dict[str, Any]],
        obstacle: Callable[[], str],
        limits: RequestLimits,
        reload: Callable[[], dict[str, Any]] | None = None,
        evict: Callable[[], dict[str, Any]] | None = None,
    ) -> None:
        self.prediction: Prediction | None = None
        self.ready = False
        self._obstacle = obstacle
        self._body_limit = limits.body
        self._patience = limits.wait
        # Handed round by the predictions that may run at once, which there may be more threads than.
        self._turns: queue.SimpleQueue[None] = queue.SimpleQueue()
        for _ in range(limits.predictions):
            self._turns.put(None)
        self._routes: dict[str, dict[str, Callable[[Environ], Answer]]] = {
            "/": {"POST": self._predict, "GET": lambda _: self._when_ready(summary)},
            "/healthz": {"GET": lambda _: (200, _JSON, b'{"status":"alive"}')},
            "/metrics": {"GET": lambda _: (200, [("content-type", metrics.CONTENT_TYPE)], metrics.exposition())},
        }
        for path, action in (("/-/reload", reload), ("/-/evict", evict)):
            if action is not None:
                self._routes[path] = {"POST": partial(_control, action)}

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request (PEP 3333)."""
        try:
            status, headers, body = self._route(environ)(environ)
        except (_RefusalError, UnavailableError) as error:
            status, headers, body = _decline(error)
        except Exception:  # noqa: BLE001 - the last line of defence: an answer, and the cause in the log
            log.failure("request_failed", exc_info=True)
            status, headers, body = 500, _JSON, _error("internal error")
        start_response(_REASONS.get(status) or f"{status} Status", headers)
        return [body]

    def _route(self, environ: Environ) -> Callable[[Environ], Answer]:
        methods = self._routes.get(environ["PATH_INFO"])
        if methods is None:
            raise _RefusalError(404, f"there is nothing at {environ['PATH_INFO']}")
        action = methods.get(environ["REQUEST_METHOD"])
        if action is None:
            raise _RefusalError(405, f"use {' or '.join(methods)}")
        return action

    def _when_ready(self, summary: Callable[[], dict[str, Any]]) -> Answer:
        if not self.ready:
            raise UnavailableError(self._obstacle())
        return 200, _JSON, to_json(summary())

    def _predict(self, environ: Environ) -> Answer:
        prediction = self.prediction
        if prediction is None:
            raise UnavailableError("the first scan of the models is not complete yet")
        begin_request()
        try:
            answer = self._answer(prediction, environ)
        finally:
            end_request()
        metrics.count_request(answer[0])
        return answer

    def _answer(self, prediction: Prediction, environ: Environ) -> Answer:
        try:
            arguments = self._arguments(prediction.arguments, environ)
            self._await_turn()
            try:
                result = prediction.predict(**arguments)
            finally:
                self._turns.put(None)
            return encode(result)
        except UnknownModelError as error:
            return 404, _JSON, _error(str(error))
        except InputError as error:
            return 400, _JSON, _error(str(error))
        except LoadError as error:
            return 500, _JSON, _error(f"the model cannot be loaded: {error}")
        except (_RefusalError, UnavailableError) as error:
            return _decline(error)
        except Exception:  # noqa: BLE001 - predictor code may raise anything
            log.failure("prediction_failed", exc_info=True)
            return 500, _JSON, _error("the predictor failed; the log of the server says why")

    def _arguments(self, wanted: tuple[str, ...], environ: Environ) -> dict[str, Any]:
        body = self._body(environ)
        arguments: dict[str, Any] = {}
        for name in wanted:
            if name == "payload":
                arguments[name] = payload(environ.get("CONTENT_TYPE") or "", body)
            elif name == "query_params":
                query = environ["QUERY_STRING"]
                arguments[name] = dict(parse_qsl(query, keep_blank_values=True)) if query else {}
            else:
                arguments[name] = _headers(environ)
        return arguments

    def _await_turn(self) -> None:
        try:
            self._turns.get(timeout=self._patience)
        except queue.Empty:
            raise UnavailableError(f"no prediction ended within {self._patience:g} s, the server is busy") from None

    def _body(self, environ: Environ) -> bytes:
        limit = self._body_limit
        length = environ.get("CONTENT_LENGTH")
        if length:
            if int(length) > limit:
                raise _RefusalError(413, f"the body is larger than {limit} bytes")
            body: bytes = environ["wsgi.input"].read()
            return body
        body = environ["wsgi.input"].read(limit + 1)
        if len(body) > limit:
            raise _RefusalError(413, f"the body is larger than {limit} bytes")
        return body


class _RefusalError(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def _control(action: Callable[[], dict[str, Any]], _: Environ) -> Answer:
    return 200, _JSON, to_json(action())


def _decline(error: _RefusalError | UnavailableError) -> Answer:
    if isinstance(error, UnavailableError):
        return 503, [*_JSON, ("retry-after", "1")], _error(str(error))
    return error.status, _JSON, _error(str(error))


def _error(message: str) -> bytes:
    return to_json({"error": message})


def _headers(environ: Environ) -> dict[str, str]:
    headers = {
        name[5:].replace("_", "-").lower(): value
        for name, value in environ.items()
        if name.startswith("HTTP_") and name not in _OF_THIS_PROCESS
    }
    for name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        if environ.get(name):
            headers[name.replace("_", "-").lower()] = environ[name]
    return headers
