"""The schedule of a run: which forests stand when, and the tests on them side by side.

A test mostly waits, so that those on one server run together, and a few servers stand at the same time. What goes wrong
on a shared server may be the work of another test: the test is then repeated on a server for its own trees alone, and
only what goes wrong again is held against the server. The same goes for a server that plantings have in turns.
What does not is explained by a fault of the same kind that was, if there is one: a server that dies when an object goes
between listing and download dies of that wherever it happens by chance.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from math import ceil, inf
from typing import NamedTuple

from conformance import timing
from conformance.deployment import ServerDiedError
from conformance.forest import Forest, Ground
from conformance.implementation import ClockName
from conformance.marks import Plant
from conformance.problems import HarnessError
from conformance.run import Run
from conformance.violations import Evidence, ViolationError, evidence_text


class _Crowd(NamedTuple):
    servers: int
    tests: int
    turns: float


# With short intervals the processors are the limit, with long ones it is patience: seconds between two scans from
# which on a server idles most of the time, how many servers and how many tests on one there are at once, and how many
# plantings whose tests have a server one after the other share one.
_IDLING_INTERVAL = 5.0
_FEW = _Crowd(3, 8, inf)
_MANY = _Crowd(24, 64, 5)


@dataclass(frozen=True)
class Scenario:
    """A test on a forest: `call` raises what it finds, `evidence` is what there is to show when the server died.

    One that is `exclusive` has the server for itself meanwhile.
    """

    id: str
    ground: Ground
    plant: Plant
    call: Callable[[Forest], None]
    evidence: Callable[[Forest], Evidence]
    exclusive: bool = False


class _Suspicion(NamedTuple):
    """What went wrong on a shared server first."""

    what: str
    is_death: bool
    evidence: Evidence


class Schedule:
    """All scenarios of a run. Expect them first; the first `result` sets everything going, in the order expected.

    Where it may not work `ahead`, each ground is begun when the first result of it is asked for.
    """

    def __init__(self, run: Run, *, ahead: bool = True) -> None:
        self._run = run
        self._ahead = ahead
        self._scenarios: dict[Ground, list[Scenario]] = {}
        self._ground_of: dict[str, Ground] = {}
        self._results: dict[str, Future[float]] = {}
        self._standing: set[Forest] = set()
        self._begun: set[Ground] = set()
        self._executors = {
            crowd: ThreadPoolExecutor(crowd.servers, thread_name_prefix="forest") for crowd in (_FEW, _MANY)
        }
        # Servers for one test alone come on top of the others, as many again at the most.
        self._alone = {crowd: threading.Semaphore(crowd.servers) for crowd in (_FEW, _MANY)}
        self._closed = threading.Event()
        self._suspicions: dict[Ground, _Suspicion] = {}
        self.spoilt: list[str] = []
        """What went wrong with a scenario in its turn on a server, and not on a new one."""
        # What was held against the server: where, and whether it was its death.
        self._attributed: set[tuple[Ground, bool]] = set()

    def expect(self, scenario: Scenario) -> None:
        """Announce a scenario, so that the forest of its ground is complete when it is published."""
        self._scenarios.setdefault(scenario.ground, []).append(scenario)
        self._results[scenario.id] = Future()
        self._ground_of[scenario.id] = scenario.ground

    def result(self, scenario_id: str) -> float:
        """Wait for a scenario; gives the seconds that it took, and raises what it raised."""
        for ground in self._scenarios if self._ahead else [self._ground_of[scenario_id]]:
            if ground not in self._begun:
                self._begun.add(ground)
                crowd = self._crowd(ground)
                for scenarios in self._parts(ground, crowd):
                    self._executors[crowd].submit(self._judge, ground, scenarios, crowd.tests)
        return self._results[scenario_id].result()

    def _clock(self, ground: Ground) -> ClockName:
        return ground.clock or self._run.clock

    def _crowd(self, ground: Ground) -> _Crowd:
        clock = self._clock(ground)
        idles = clock is not ClockName.DRIVEN and self._run.pace_of(clock).intervals.reload >= _IDLING_INTERVAL
        return _MANY if idles else _FEW

    def _parts(self, ground: Ground, crowd: _Crowd) -> list[list[Scenario]]:
        """Share the scenarios of a ground among as many servers as it takes; those of one planting stay together."""
        scenarios = self._scenarios[ground]
        if ground.takes_turns and self._clock(ground) is not ClockName.DRIVEN:
            # To see one model go and the next one come takes a server longer than a start.
            return [[scenario] for scenario in scenarios]
        taking_turns = dict.fromkeys(scenario.plant for scenario in scenarios if scenario.exclusive)
        servers = max(1, ceil(len(taking_turns) / crowd.turns))
        part_of = {plant: number % servers for number, plant in enumerate(taking_turns)}
        return [
            [scenario for scenario in scenarios if part_of.get(scenario.plant, 0) == part] for part in range(servers)
        ]

    def _judge(self, ground: Ground, scenarios: list[Scenario], side_by_side: int) -> None:
        """Let a forest stand for as long as its scenarios take."""
        try:
            if ground.takes_turns:
                self._judge_in_turns(ground, scenarios)
            else:
                self._judge_together(ground, scenarios, side_by_side)
        except BaseException as error:  # noqa: BLE001 - whoever waits for a result gets it
            for scenario in scenarios:
                if not self._results[scenario.id].done():
                    self._results[scenario.id].set_exception(error)

    def _judge_together(self, ground: Ground, scenarios: list[Scenario], side_by_side: int) -> None:
        forest = Forest(self._run, ground, list(dict.fromkeys(scenario.plant for scenario in scenarios)))
        try:
            start = self._begin(forest)
            for scenario in scenarios:
                if scenario.exclusive:
                    self._settle(scenario, forest, start)
            with ThreadPoolExecutor(side_by_side, thread_name_prefix="scenario") as pool:
                for scenario in scenarios:
                    if not scenario.exclusive:
                        pool.submit(self._settle, scenario, forest, start)
        finally:
            self._end(forest)

    def _judge_in_turns(self, ground: Ground, scenarios: list[Scenario]) -> None:
        """Let one server do for all, each scenario with its planting in the place of the one before.

        Where something goes wrong with one that is not its first, nothing is held against the server: it may be the
        work of those before. The scenario is judged on a new server, which takes over, as does one after a failure.
        """
        forest: Forest | None = None
        try:
            for scenario in scenarios:
                spoilt = None
                if forest is not None:
                    if (spoilt := self._take_turn(scenario, forest)) is None:
                        continue
                    self._end(forest)
                forest = Forest(self._run, ground, [scenario.plant])
                self._settle(scenario, forest, self._begin(forest))
                if self._results[scenario.id].exception() is not None:
                    self._end(forest)
                    forest = None
                elif spoilt is not None:
                    self.spoilt.append(f"{ground}: {spoilt} ({scenario.id}, in its turn, and not on a new server)")
        finally:
            if forest is not None:
                self._end(forest)

    def _take_turn(self, scenario: Scenario, forest: Forest) -> ServerDiedError | ViolationError | None:
        """Run a scenario on a server that others had before it; gives what went wrong, and else its result is there."""
        self._check_open()
        begun = timing.now()
        try:
            forest.turn_to(scenario.plant)
            scenario.call(forest)
        except (ServerDiedError, ViolationError) as error:
            return error
        except BaseException as error:  # noqa: BLE001 - whoever waits for the result gets it
            self._results[scenario.id].set_exception(error)
        else:
            self._results[scenario.id].set_result(timing.now() - begun)
        return None

    def _begin(self, forest: Forest) -> ServerDiedError | None:
        """Start the server of a forest; gives its death, which is a matter of each scenario."""
        self._check_open()
        self._standing.add(forest)
        try:
            forest.start()
        except ServerDiedError as death:
            return death
        return None

    def _end(self, forest: Forest) -> None:
        self._standing.discard(forest)
        forest.close()

    def _settle(self, scenario: Scenario, forest: Forest, death: ServerDiedError | None) -> None:
        """Run a scenario, and give whoever waits for it its time or what it raised."""
        begun = timing.now()
        try:
            self._run_shared(scenario, forest, death)
        except BaseException as error:  # noqa: BLE001 - whoever waits for the result gets it
            self._results[scenario.id].set_exception(error)
        else:
            self._results[scenario.id].set_result(timing.now() - begun)

    def _run_shared(self, scenario: Scenario, forest: Forest, death: ServerDiedError | None) -> None:
        self._check_open()
        try:
            if death is not None:
                raise death
            scenario.call(forest)
        except ServerDiedError as error:
            self._check_open()
            evidence = scenario.evidence(forest)
            self._suspicions.setdefault(scenario.ground, _Suspicion(str(error), is_death=True, evidence=evidence))
            self._run_alone(scenario)
        except ViolationError as violation:
            if scenario.ground.alone or scenario.ground.takes_turns:
                self._attributed.add((scenario.ground, False))
                raise
            what, evidence = f"{violation} ({scenario.id})", violation.evidence or scenario.evidence(forest)
            self._suspicions.setdefault(scenario.ground, _Suspicion(what, is_death=False, evidence=evidence))
            self._run_alone(scenario)

    def _run_alone(self, scenario: Scenario) -> None:
        """Run a scenario on a server for its own trees, where whatever goes wrong is its own."""
        with self._alone[self._crowd(scenario.ground)]:
            forest = Forest(self._run, scenario.ground, [scenario.plant])
            try:
                if (death := self._begin(forest)) is not None:
                    raise death
                scenario.call(forest)
            except ViolationError:
                self._attributed.add((scenario.ground, False))
                raise
            except ServerDiedError as error:
                self._check_open()
                self._attributed.add((scenario.ground, True))
                evidence = scenario.evidence(forest)
                raise ViolationError("the server lives on and answers", f"{error}, twice", evidence) from error
            finally:
                self._end(forest)

    def _check_open(self) -> None:
        if self._closed.is_set():
            raise HarnessError("the run was stopped")

    def unrepeated(self, *, explained: bool) -> list[str]:
        """Say of each shared server what went wrong on it, if nothing went wrong with any test of it alone.

        Either what is `explained` by a fault of its kind that the server was found to have elsewhere, or what is not;
        that has its evidence below it, as nothing else will tell how it came about.
        """
        grounds = {ground for ground, _ in self._attributed}
        kinds = {is_death for _, is_death in self._attributed}
        return [
            f"{ground}: {suspicion.what}" + ("" if explained else f"\n{evidence_text(suspicion.evidence)}")
            for ground, suspicion in self._suspicions.items()
            if ground not in grounds and (suspicion.is_death in kinds) is explained
        ]

    def close(self) -> None:
        """End every server that still stands, and every scenario with it."""
        self._closed.set()
        for executor in self._executors.values():
            executor.shutdown(wait=False, cancel_futures=True)
        for forest in list(self._standing):
            forest.close()
        for executor in self._executors.values():
            executor.shutdown()
