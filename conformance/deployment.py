"""A deployment: one server process on one project, and the requests that the suite sends to it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import urllib3

from conformance import timing
from conformance.clock import Clock, Driven, Timed
from conformance.history import History
from conformance.implementation import ClockName, Implementation
from conformance.journals import Journals
from conformance.ports import ClaimedPort, claim_ports
from conformance.problems import HarnessError
from conformance.processes import LeashedProcess, describe_exit
from conformance.project import Api, write_project
from conformance.timing import Pace

_HOST = "127.0.0.1"

# What a server may say that has looked at its source and could not read it.
_CANNOT_NOW = frozenset({502, 503, 504})

# Seconds to wait for one answer to the readiness call, of which there are many.
_READY_CALL = 2.0


class ServerDiedError(Exception):
    """The server ended by itself, never got ready, or stopped answering: a suspect, not yet a failure."""


@dataclass(frozen=True)
class Answer:
    """What the server said to one request; `body` is the decoded JSON, empty when it was no JSON object."""

    status: int
    text: str
    body: Mapping[str, Any]

    @property
    def is_served(self) -> bool:
        """Whether this is an answer of the witness, which always says something, and not an error."""
        return self.status == 200 and bool(self.body)

    @property
    def tokens(self) -> frozenset[str]:
        """The tokens of the files behind this answer; none when it is an error."""
        return frozenset(self.body.get("tokens", ())) if self.is_served else frozenset()


class Deployment:
    """A server on a project of its own.

    `clock` says how it is run, `env` is added to the environment of the server. Every request is noted in `history`.
    """

    def __init__(
        self,
        implementation: Implementation,
        api: Api,
        *,
        clock: ClockName,
        pace: Pace,
        folder: Path,
        env: Mapping[str, str],
    ) -> None:
        self.api = api
        self._clock_name = clock
        self.folder = folder
        self.history = History()
        self._implementation = implementation
        self._go_at(pace)
        self._env = env
        self._process: LeashedProcess | None = None
        self._claim: ClaimedPort | None = None
        self.journal_folder = folder / "journals"
        self._journals = Journals(self.journal_folder)
        self.ready_at = 0.0

    def spawn(self) -> None:
        """Write the project and start the command; raises `CommandMissingError`."""
        write_project(self.api, self.folder / "project", self.journal_folder)
        (self._claim,) = claim_ports(1)
        places = {
            "project": str(self.folder / "project"),
            "host": _HOST,
            "port": str(self._port),
            "reload_interval": f"{self.pace.intervals.reload:g}",
            "evict_interval": f"{self.pace.intervals.evict:g}",
        }
        command = [part.format_map(places) for part in self._implementation.command(self._clock_name)]
        self._process = LeashedProcess(
            command, log=self.folder / "server.log", errors=self.folder / "server.err", env=self._environment()
        )
        self._spawned_at = timing.now()
        self.history.note(f"server started: {' '.join(command)}")

    def _environment(self) -> dict[str, str]:
        """Give what the server is started with: no way around the S3 that it is given, and to that no detour."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        direct = {name: ",".join(filter(None, (inherited.get(name), _HOST))) for name in ("NO_PROXY", "no_proxy")}
        return {**inherited, **direct, **self._env}

    def await_ready(self) -> None:
        """Wait for 200 to the readiness call; raises `ServerDiedError` when the server ends first or takes too long."""
        last: int | None = None

        def ready() -> bool | None:
            nonlocal last
            last = self.readiness()
            return True if last == 200 else None

        if timing.poll(ready, until=timing.now() + self.pace.start) is None:
            gave = "no answer" if last is None else f"status {last}"
            call = self._implementation.process.ready
            raise ServerDiedError(f"the server was not ready after {self.pace.start:g} s: {call} gave {gave}")
        self.ready_at = timing.now()
        self._go_at(replace(self.pace, started=self.ready_at - self._spawned_at))
        self.history.note("server ready")

    def _go_at(self, pace: Pace) -> None:
        """Judge the server at a pace from now on."""
        self.pace = pace
        self.clock: Clock = Timed(pace)
        if self._clock_name is ClockName.DRIVEN and (control := self._implementation.control) is not None:
            self.clock = Driven(pace, partial(self._control, control.reload), partial(self._control, control.evict))

    def readiness(self) -> int | None:
        """Make the readiness call once; gives the status, None without an answer.

        Raises `ServerDiedError` when the server has ended.
        """
        if self.process.status is not None:
            raise ServerDiedError(f"the server {describe_exit(self.process.status)} before it was ready")
        method, path = self._implementation.process.ready.split(" ", 1)
        try:
            return self._request(method, path, timeout=_READY_CALL).status
        except urllib3.exceptions.HTTPError:
            return None

    @property
    def url(self) -> str:
        """Where the server listens; only after `spawn`."""
        return f"http://{_HOST}:{self._port}"

    @property
    def _port(self) -> int:
        assert self._claim is not None, "the server was not started"
        return self._claim.number

    @property
    def process(self) -> LeashedProcess:
        """The running command; only after `spawn`."""
        assert self._process is not None, "the server was not started"
        return self._process

    def call(
        self,
        method: str,
        path: str,
        *,
        payload: object = None,
        headers: Mapping[str, str] | None = None,
        about: str | None = None,
        timeout: float | None = None,
    ) -> Answer:
        """Send one request, with the payload as JSON; raises `ServerDiedError` when there is no answer.

        It has `timeout` seconds for that, or else as long as any request. `about` names the model that the request
        concerns, for the timeline.
        """
        begun = timing.now()
        if timeout is None:
            timeout = self.pace.answer
        try:
            response = self._request(method, path, headers=headers, payload=payload, timeout=timeout)
        except urllib3.exceptions.HTTPError as error:
            # The process may take a moment to end after its socket has gone.
            status = timing.poll(lambda: self.process.status, until=timing.now() + 1)
            within = f" in {timeout:g} s" if isinstance(error, urllib3.exceptions.TimeoutError) else ""
            how = describe_exit(status) if status is not None else f"gave no answer{within} ({type(error).__name__})"
            raise ServerDiedError(f"the server {how} on {method} {path}") from error
        text = response.data.decode(errors="replace")
        try:
            decoded = response.json()
        except ValueError:
            decoded = None
        answer = Answer(response.status, text, decoded if isinstance(decoded, dict) else {})
        self.history.note(f"{method} {path} {about or ''} -> {answer.status} {text[:200]}", since=begun, about=about)
        return answer

    def _request(
        self,
        method: str,
        path: str,
        *,
        timeout: float,
        payload: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> urllib3.BaseHTTPResponse:
        # A connection for each request: one kept open may be closed by the server just as the next request leaves, and
        # would lead to the same one of several processes.
        with urllib3.HTTPConnectionPool(_HOST, self._port, retries=False, timeout=timeout) as connections:
            sent = {**(headers or {}), "Connection": "close"}
            return connections.request(method, path, headers=sent, json=payload)

    def predict(
        self,
        payload: object,
        *,
        query: str = "",
        headers: Mapping[str, str] | None = None,
        about: str | None = None,
        timeout: float | None = None,
    ) -> Answer:
        """Send one payload to the predict call; see `call`."""
        method, path = self._implementation.process.predict.split(" ", 1)
        return self.call(method, path + query, payload=payload, headers=headers, about=about, timeout=timeout)

    def _control(self, call: str) -> None:
        # It may wait for scans, loads, and requests under way.
        answer = self.call(*call.split(" ", 1), timeout=self.pace.start + self.pace.settle)
        if answer.status >= 300 and answer.status not in _CANNOT_NOW:
            raise HarnessError(f"{call} of the feature control was answered {answer.status}: {answer.text[:300]}")

    def summary(self) -> Answer:
        """Ask for the summary, `GET /`."""
        return self.call("GET", "/")

    def journals(self) -> list[dict[str, Any]]:
        """Read what the witness noted in all processes so far."""
        return self._journals.lines()

    def stop(self) -> None:
        """End the server by SIGTERM; raises `ServerDiedError` when it ignores that, and leaves nothing running."""
        status = self.process.terminate(self.pace.stop)
        self.close()
        if status is None:
            raise ServerDiedError(f"the server still ran {self.pace.stop:g} s after SIGTERM")
        if status not in {0, -15, 143}:
            raise ServerDiedError(f"the server {describe_exit(status)} after SIGTERM")

    def close(self) -> None:
        """End the server at once, with everything that it started; harmless when it never ran.

        The history stays in the folder, for a run that keeps it.
        """
        if self._process is not None:
            self._process.kill()
            (self.folder / "history.txt").write_text("\n".join(self.history.everything()) + "\n", encoding="utf-8")
        if self._claim is not None:
            self._claim.release()

    def last_log_lines(self, count: int | None = 15) -> list[str]:
        """Give the end of what the server printed, or with None all of it."""
        return self._process.last_log_lines(count) if self._process is not None else []
