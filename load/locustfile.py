"""What Locust runs: `locust -f load/locustfile.py --profile burst`, with all that Locust offers.

Options of Locust work as ever: `--headless`, `--processes 2`, `--master` and `--worker` on several machines. How many
users there are, for how long, and what they ask for is up to the profile.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))  # Locust looks for modules beside this file

import gevent
from locust import FastHttpUser, LoadTestShape, events, task
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment
from locust.event import EventHook
from locust.runners import LocalRunner, MasterRunner, Runner, WorkerRunner

from conformance import timing
from conformance.problems import SuiteError
from load.clocks import machine
from load.conductor import Conductor
from load.options import add_options
from load.orders import Order, Wave
from load.records import Answer, Kind
from load.traffic import Briefing, Traffic, read_answer

# Seconds between two reports of a process that runs by itself; workers have Locust's own.
_REPORT_EVERY = 1.0

_ERROR_STATUS = 3

_CONDUCTORS: dict[Environment, Conductor] = {}
_SENDERS: dict[Environment, Sender] = {}


class Sender:
    """The part of a run that sends requests: does what the conductor says, and tells it what happened."""

    def __init__(self, environment: Environment, runner: WorkerRunner | LocalRunner) -> None:
        self.environment = environment
        self.runner = runner
        self.traffic: Traffic | None = None
        self.counted = 0
        _on(events.test_start, self.start)
        _on(events.request, self.count)
        runner.register_message("begin", lambda msg, **_: self.playing.begin(**msg.data))
        runner.register_message("wave", lambda msg, **_: self.playing.wave(Wave(**msg.data)))
        runner.register_message("drain", self.drain, concurrent=isinstance(runner, WorkerRunner))

    @property
    def playing(self) -> Traffic:
        """The traffic of this process; only after the start."""
        assert self.traffic is not None, "the test has not started"
        return self.traffic

    def start(self, **_: Any) -> None:
        """Get ready; the options of the conductor have come with the order to start."""
        options = self.environment.parsed_options
        assert options is not None
        self.traffic = Traffic(Briefing.model_validate_json(options.briefing))

    def count(self, **_: Any) -> None:
        """Count what Locust counts, whose own sums reach the conductor late, or not at all."""
        self.counted += 1

    def drain(self, **_: Any) -> None:
        """Send nothing more, and report for the last time."""
        if self.traffic is not None:
            self.traffic.drain()
            self.send({**self.traffic.report(), "counted": self.counted})

    def send(self, report: dict[str, Any]) -> None:
        """Send a report to the conductor."""
        self.runner.send_message("report", report)


class Worker(Sender):
    """A process that sends requests for a master, on this machine or another one; it reports when Locust does."""

    def __init__(self, environment: Environment, runner: WorkerRunner) -> None:
        super().__init__(environment, runner)
        runner.register_message("ask-time", self.tell_time)
        _on(events.report_to_master, self.add_report)
        # Interrupted at the terminal, a worker ends by itself.
        _on(events.quitting, self.drain)

    def add_report(self, client_id: str, data: dict[str, Any]) -> None:  # noqa: ARG002 - as Locust calls it
        """Let a report travel with one of Locust."""
        if self.traffic is not None:
            data["servecheck"] = self.traffic.report()

    def tell_time(self, msg: Any, **_: Any) -> None:
        """Say what the clock shows here."""
        answer = {"asked": msg.data["asked"], "now": timing.now(), "machine": machine()}
        self.runner.send_message("time", answer)


class Alone(Sender):
    """The only process of a run, which is its own conductor."""

    def start(self, **how: Any) -> None:
        """Get ready, and report now and then."""
        super().start(**how)
        gevent.spawn(self._report_for_ever)

    def _report_for_ever(self) -> None:
        while True:
            gevent.sleep(_REPORT_EVERY)
            self.send(self.playing.report())


class ModelUser(FastHttpUser):
    """Somebody who asks for models, one after the other."""

    network_timeout = 60.0
    connection_timeout = 10.0

    def on_start(self) -> None:
        """Take part in the traffic of this process."""
        self._traffic = _SENDERS[self.environment].playing
        self._orders = self._traffic.orders()
        self._method, self._path = self._traffic.briefing.predict.split(" ", 1)

    @task
    def ask(self) -> None:
        """Send the next request when it is due."""
        order: Order = next(self._orders)
        self._traffic.send(order, self._post)

    def _post(self, body: str) -> Answer:
        headers = {"Content-Type": "application/json"}
        with self.client.request(
            self._method, self._path, data=body, headers=headers, name="error", catch_response=True
        ) as response:
            answer = read_answer(response.status_code, response.text)
            response.request_meta["name"] = "answer" if answer.kind is Kind.UNTOLD else answer.kind.name.lower()
            if answer.tokens is not None or (answer.status and '"version"' in body):
                # Whether a version could be had is for the judge to say.
                response.success()
            elif answer.status == 200:
                response.failure("no answer of the witness")
            return answer


class WholeProfile(LoadTestShape):
    """All users of the profile at once, until the conductor has seen enough."""

    def tick(self) -> tuple[int, float] | None:
        """Tell Locust how many users there are."""
        assert self.runner is not None
        return _CONDUCTORS[self.runner.environment].users()


def _on(hook: EventHook, listener: Callable[..., object]) -> None:
    hook.add_listener(listener)  # type: ignore[no-untyped-call]  # Locust leaves it untyped


def _add_options(parser: LocustArgumentParser) -> None:
    add_options(parser.add_argument_group("servecheck", "Load profiles of model servers"))


def _init(environment: Environment, runner: Runner, **_: Any) -> None:
    if isinstance(runner, WorkerRunner):
        _SENDERS[environment] = Worker(environment, runner)
        return
    assert isinstance(runner, (MasterRunner, LocalRunner))
    # The stage is set before anybody is told to send anything; what is wrong with it ends the run here.
    try:
        conductor = Conductor(environment, runner)
    except SuiteError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(_ERROR_STATUS)
    except KeyboardInterrupt:
        print("interrupted before anything was sent", file=sys.stderr)
        sys.exit(_ERROR_STATUS)
    _CONDUCTORS[environment] = conductor
    # Locust listens to this signal only after a run that has a shape.
    gevent.signal_handler(signal.SIGTERM, conductor.stop)
    runner.register_message("report", lambda msg, **_: conductor.receive(msg.node_id, msg.data))
    runner.register_message("time", lambda msg, **_: conductor.heard(msg.node_id, msg.data))
    _on(
        events.worker_report,
        lambda client_id, data: conductor.receive(client_id, data["servecheck"]) if "servecheck" in data else None,
    )
    _on(events.spawning_complete, lambda **_: conductor.begin())
    _on(events.test_stopping, lambda **_: conductor.drain())
    _on(events.test_stop, lambda **_: conductor.finish())
    # Told to end by a signal, Locust asks for the exit status before it stops the test.
    _on(events.quitting, lambda **_: conductor.finish())
    _on(events.quit, lambda **_: conductor.leave())
    if isinstance(runner, LocalRunner):
        _SENDERS[environment] = Alone(environment, runner)


_on(events.init_command_line_parser, _add_options)
_on(events.init, _init)
