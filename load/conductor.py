"""The conductor of a load run: sets the stage, says when what begins, and brings together what was seen.

Runs where Locust's master runs, or the only process. Everything that it waits for goes on meanwhile, as Locust's are
cooperative threads.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gevent
from locust.env import Environment
from locust.runners import LocalRunner, MasterRunner

from conformance import timing
from load.clocks import SAME_CLOCK, Offset, machine
from load.ground import Plan, read_implementation
from load.observations import Observations, Usage
from load.options import REFERENCE
from load.profile import Ramp, Rate, Waves, load_profile
from load.progress import Progress, State
from load.records import Ledger
from load.stage import Ending
from load.staging import Staging
from load.traffic import Briefing

# What runs where Locust is told no profile.
_PROFILE = "steady"

# Eviction intervals that a wave waits for an eviction run, if none comes; and the time after a run of traffic in which
# the last eviction run is awaited.
_RUN_PATIENCE = 2.5
_REST = 1.3

# How often other machines are asked what their clocks show, and how long a user may take to be there.
_CLOCK_QUESTIONS = 20
_SPAWN_RATE = 100.0

_ERROR_STATUS = 3
EXIT_STATUS = {"PASS": 0, "FAIL": 1, "INVALID": 2}


class Conductor:
    """One load run. Raises `SuiteError` when it cannot begin."""

    def __init__(self, environment: Environment, runner: MasterRunner | LocalRunner) -> None:
        options = environment.parsed_options
        assert options is not None, "Locust has read its command line"
        self._environment = environment
        self._runner = runner
        name = options.profile or _PROFILE
        self.profile = load_profile(name, options.set)
        self._plan = Plan(
            profile=self.profile,
            implementation=Path(options.implementation or REFERENCE),
            host=options.host or None,
            prepared=Path(options.prepared) if options.prepared else None,
            s3_endpoint=options.s3,
            patience=options.patience,
        )
        self._implementation = read_implementation(self._plan)
        self._report_folder = Path(options.report_dir or f"report/load/{Path(name).stem}")
        self._ledger = Ledger()
        self._offsets: dict[str, Offset] = {}
        self._usage: dict[str, list[Usage]] = {}
        self._counted: dict[str, int] = {}
        self._without_clock: set[str] = set()
        self._waves: list[float] = []
        self._begun_at = self._measured_from = self._ended_at = 0.0
        self._over = False
        self._finished = False
        self._last_words = ""
        self._interrupted = True
        self._state = State()
        self._missing = 0
        print(self.profile.about, f"setting the stage: {self.profile.trees.models} models", sep="\n", file=sys.stderr)
        self._staging = Staging(self._plan)
        self._interval = self._staging.opening.evict_interval
        environment.host = self._staging.opening.url
        briefing = Briefing(
            profile=self.profile,
            predict=self._implementation.process.predict,
            patience=timing.ANSWER_ALLOWANCE * options.patience,
        )
        # Locust hands the options of the master to its workers, on whichever machine.
        options.briefing = briefing.model_dump_json()

    # --- what Locust asks ---

    def users(self) -> tuple[int, float] | None:
        """Give the number of users and how many may come in a second; None when the run is over."""
        if self._over:
            return None
        count = self.profile.traffic.users
        return count, min(float(count), _SPAWN_RATE)

    def stop(self) -> None:
        """Let the run be over before its time."""
        self._over = True

    def begin(self) -> None:
        """Begin, once all users are there."""
        if not self._begun_at:
            self._begun_at = timing.now()
            gevent.spawn(self._conduct)
            gevent.spawn(self._show)

    def receive(self, sender: str, report: dict[str, Any]) -> None:
        """Take in what a process that sends requests reports."""
        offset = SAME_CLOCK if report["machine"] == machine() else self._offsets.get(sender, Offset())
        known = offset.high < float("inf") and offset.low > float("-inf")
        middle, uncertainty = (offset.middle, offset.uncertainty) if known else (0.0, 0.0)
        if not known and report["rows"]:
            self._without_clock.add(sender)
        self._ledger.put(report, middle, uncertainty)
        usage = self._usage.setdefault(sender, [])
        usage.extend(Usage(at + middle, seconds) for at, seconds in report["usage"])
        if "counted" in report:
            self._counted[sender] = report["counted"]

    def heard(self, sender: str, answer: dict[str, Any]) -> None:
        """Take in what the clock of another process shows."""
        if answer["machine"] == machine():
            self._offsets[sender] = SAME_CLOCK
            return
        known = self._offsets.get(sender, Offset())
        self._offsets[sender] = known.heard(answer["asked"], answer["now"], timing.now())

    def drain(self) -> None:
        """Let all requests under way be answered, and collect what is still on its way here."""
        if self._ended_at or not self._begun_at:
            return
        self._ended_at = timing.now()
        self._staging.publish(on=False)
        senders = self._senders()
        self._runner.send_message("drain")
        patience = timing.ANSWER_ALLOWANCE * self._plan.patience + 5
        timing.poll(lambda: True if senders <= self._counted.keys() else None, until=timing.now() + patience)
        self._missing = len((senders - self._counted.keys()) | self._without_clock)
        if not self._interrupted and not self._staging.has_ended:
            timing.wait_until(timing.now() + _REST * self._interval)

    def finish(self) -> None:
        """End the server, judge, write the report, and set the exit status."""
        if self._finished:
            return
        self.drain()
        self._over = True
        self._finished = True
        self._environment.process_exit_code = _ERROR_STATUS
        with contextlib.closing(self._staging):
            ending = self._staging.strike()
            if self._begun_at:
                self._report(ending)

    def _report(self, ending: Ending) -> None:
        # Drawing libraries take a second to import, which no process has to spare that sends requests.
        from load.reporting import report_on, write_report  # noqa: PLC0415

        observations = self._observations(ending)
        report = report_on(observations)
        files = write_report(report, observations, self._report_folder)
        self._environment.process_exit_code = EXIT_STATUS[report.outcome]
        self._last_words = f"{report.summary()}\nreport: {files[0]}"
        if self._environment.web_ui is not None:
            self.say()

    def say(self) -> None:
        """Say how the run ended; at the terminal that comes after what Locust has to say."""
        if self._last_words:
            print(f"\n{self._last_words}", file=sys.stderr, flush=True)
        self._last_words = ""

    def leave(self) -> None:
        """Leave nothing behind, also where no test was ever started."""
        self.say()
        self._staging.close()

    # --- what happens meanwhile ---

    def _conduct(self) -> None:
        try:
            if isinstance(self._runner, MasterRunner):
                for _ in range(_CLOCK_QUESTIONS):
                    self._runner.send_message("ask-time", {"asked": timing.now()})
                    gevent.sleep(0.05)
            self._begun_at = timing.now()
            self._send_begin()
            traffic = self.profile.traffic
            if isinstance(traffic, Waves):
                self._conduct_waves(traffic)
            else:
                self._conduct_stream(traffic)
            self._interrupted = bool(self._ended_at)
        finally:
            self._over = True

    def _send_begin(self) -> None:
        if not isinstance(self._runner, MasterRunner):
            self._runner.send_message("begin", {"index": 0, "processes": 1})
            return
        workers = [client.id for client in self._runner.clients.all]
        for index, worker in enumerate(workers):
            self._runner.send_message("begin", {"index": index, "processes": len(workers)}, worker)

    def _conduct_stream(self, traffic: Rate | Ramp) -> None:
        self._measured_from = self._begun_at + traffic.warm_up
        self._wait(_never, self._measured_from)
        self._staging.publish(on=True)
        self._wait(_never, self._measured_from + traffic.duration)

    def _conduct_waves(self, traffic: Waves) -> None:
        """Fill memory and disk with one model too many, so that an eviction run is seen; a wave follows each run."""
        first = self.profile.cache.disk_cache_size + 1
        self._send_wave(1, 0, first, same=False)
        self._await_run()
        self._measured_from = timing.now()
        count = traffic.users if traffic.models == "different" else 1
        for number in range(2, traffic.waves + 2):
            if self._ended_at:
                return
            self._waves.append(timing.now())
            self._send_wave(number, first, count, same=traffic.models == "same")
            first += count
            self._await_run()

    def _send_wave(self, number: int, first: int, count: int, *, same: bool) -> None:
        self._runner.send_message("wave", {"number": number, "first": first, "count": count, "same": same})

    def _await_run(self) -> None:
        """Wait until an eviction run has brought memory back to its limit; not for ever, as none need come."""
        self._look()
        before = self._state.dropped
        until = timing.now() + _RUN_PATIENCE * self._interval
        limit = self.profile.cache.cache_size

        def has_come() -> bool:
            self._look()
            return self._state.dropped > before and self._state.memory <= limit

        self._wait(has_come, until)

    def _wait(self, condition: Callable[[], bool], until: float) -> None:
        """Wait for a condition up to a moment; ends at once when the stage has, or the run is over."""

        def met() -> bool | None:
            ended = self._staging.has_ended or bool(self._ended_at)
            return True if ended or condition() else None

        timing.poll(met, until=until)

    def _look(self) -> None:
        """Take in the last sample of the probe."""
        sample = self._staging.last_sample()
        if sample is not None:
            self._state = State(sample["memory"], sample["disk"], sample["dropped"])

    def _show(self) -> None:
        with Progress(self.profile, self._begun_at, self._longest()) as progress:
            while not self._over:
                self._look()
                total = self._environment.stats.total
                progress.show(self._state, total.num_requests, total.num_failures)
                gevent.sleep(progress.period)

    def _longest(self) -> float:
        traffic = self.profile.traffic
        if isinstance(traffic, Waves):
            return (traffic.waves + 1) * self._interval
        return traffic.warm_up + traffic.duration

    def _senders(self) -> set[str]:
        if isinstance(self._runner, MasterRunner):
            return {client.id for client in self._runner.clients.all} | set(self._usage)
        return {"local"}

    # --- at the end ---

    def _observations(self, ending: Ending) -> Observations:
        changes, publications = self._staging.changes()
        return Observations(
            profile=self.profile,
            implementation=self._implementation.implementation.model_dump(),
            host=self._plan.host,
            opening=self._staging.opening,
            ending=ending,
            begun_at=self._begun_at,
            measured_from=self._measured_from or self._ended_at,
            ended_at=self._ended_at,
            interrupted=self._interrupted,
            waves=self._waves,
            ledger=self._ledger,
            changes=changes,
            publications=publications,
            journal=self._staging.lines("journal"),
            samples=self._staging.lines("samples"),
            usage=self._usage,
            locust_requests=sum(self._counted.values()),
            senders=len(self._senders()),
            senders_missing=self._missing,
        )


def _never() -> bool:
    return False
