"""One run as pytest sees it: what happens before, during and after the tests, and what becomes of their reports."""

from __future__ import annotations

import datetime as dt
import inspect
import shlex
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

import pytest
from _pytest.terminal import TerminalReporter

from conformance import selection, timing
from conformance.catalogue import Catalogue, load_catalogue
from conformance.deployment import ServerDiedError
from conformance.distribution import Handed, Role, group_by_ground, hand_over, role_of, take_over
from conformance.forest import Forest, Ground
from conformance.implementation import ClockName, Implementation, load_implementation
from conformance.known_failing import load_known_failing
from conformance.lab import Lab
from conformance.marks import PlantingMark
from conformance.outcomes import EXIT_STATUS, Outcome, TestResult, Verdict
from conformance.problems import InvalidInputError, SuiteError
from conformance.reports import (
    LEFT_OUT,
    SECONDS,
    LeftOut,
    complete_report,
    result_of,
    spare_traceback,
    test_id_of,
)
from conformance.results import results_document, results_file, write_results
from conformance.run import FAST_INTERVAL, Run
from conformance.schedule import Scenario, Schedule
from conformance.smoke import check_smoke
from conformance.stand import Stand
from conformance.terminal import write_summary
from conformance.violations import ViolationError
from fixtures.targets import TargetError

# The name of the suite among the plugins of pytest.
SUITE = "servecheck"

# What a command to reproduce a failure need not say.
OPTION_DEFAULTS = {
    "--clock": None, "--interval": FAST_INTERVAL, "--s3": "moto", "--patience": 1.0, "--matrix": "usual",
}  # fmt: skip


def _clock(chosen: str | None, implementation: Implementation, file: Path) -> ClockName:
    """Give the clock that was asked for; without one, the driven clock if the server has it."""
    if chosen == ClockName.DRIVEN and implementation.control is None:
        raise InvalidInputError(f"--clock driven: {file} declares no feature control")
    return ClockName(chosen or (ClockName.TIMED if implementation.control is None else ClockName.DRIVEN))


def suite_of(config: pytest.Config) -> Suite:
    """Give the suite of a run."""
    suite = config.pluginmanager.get_plugin(SUITE)
    assert isinstance(suite, Suite)
    return suite


class Suite:
    """One run: it prepares the server's world, calls the tests, and turns their reports into results."""

    def __init__(self, config: pytest.Config, file: Path) -> None:
        self.config = config
        self.file = file
        self.catalogue: Catalogue = load_catalogue()
        self.chosen = selection.Choice(config.getoption("--clause"), config.getoption("--profile"), self.catalogue)
        self.known_failing = load_known_failing(config.getoption("--known-failing"), self.catalogue)
        self.strict = bool(config.getini("strict"))
        implementation = load_implementation(file)
        # With nothing but TensorFlow to judge, the usual part of its product would leave core clauses out.
        only_tensorflow = implementation.declares.predictors == ["tensorflow"]
        self.full_matrix = config.getoption("--matrix") == "full" or only_tensorflow
        self.report_folder: Path = config.getoption("--report-dir")
        try:
            self.report_folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InvalidInputError(f"--report-dir {self.report_folder}: {error.strerror}") from error
        self.run = Run(
            implementation,
            clock=_clock(config.getoption("--clock"), implementation, file),
            interval=config.getoption("--interval"),
            patience=config.getoption("--patience"),
            seed=config.getoption("--seed"),
            s3_endpoint=config.getoption("--s3"),
            keep=config.getoption("--keep"),
        )
        self.role = role_of(config)
        # A worker has only some of the grounds, and does not know which before it is asked for them.
        self.schedule = Schedule(self.run, ahead=self.role is Role.ALONE)
        self.started = dt.datetime.now(dt.UTC)
        self.begun = timing.now()
        self.results: list[TestResult] = []
        self.errors: list[str] = []
        self.notes: list[str] = []
        self.kept = [str(self.run.folder)] if self.run.keep else []
        self.document: dict[str, Any] | None = None

    # --- before the tests ---

    def pytest_report_header(self) -> list[str]:
        """Say what is judged, and how to repeat it."""
        identity = self.run.implementation.implementation
        pace = self.run.pace.intervals
        return [
            f"servecheck: {identity.name} {identity.version} ({self.file}), catalogue {self.catalogue.version}",
            f"seed {self.run.seed}, {self.run.clock} clock, reload interval {pace.reload:g} s",
            f"S3 endpoint {self.run.s3_endpoint}",
        ]

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, session: pytest.Session, items: list[pytest.Item]) -> None:
        """Check the clause of every test and leave those that are not asked for."""
        kept: list[pytest.Item] = []
        deselected: list[pytest.Item] = []
        try:
            for item in items:
                clause = selection.clause_of(item, self.catalogue)
                if not selection.is_about(item, clause) or not selection.is_in_matrix(
                    item, self.run.implementation, full=self.full_matrix
                ):
                    continue
                (kept if self.chosen.includes(clause) else deselected).append(item)
                selection.replant(item, clause, self.run.implementation)
                if missing := selection.missing_for(item, clause, self.run.implementation):
                    item.stash[LEFT_OUT] = LeftOut(Outcome.NOT_SUPPORTED, f"not declared: {', '.join(missing)}")
                elif (reason := selection.missing_hardware(item)) is not None:
                    item.stash[LEFT_OUT] = LeftOut(Outcome.SKIPPED, reason)
        except SuiteError as error:
            self.errors.append(str(error))
            session.shouldfail = str(error)
            items.clear()
            return
        items[:] = selection.by_ground(kept)
        if self.role is Role.WORKER:
            group_by_ground(items)
        if deselected:
            self.config.hook.pytest_deselected(items=deselected)

    def pytest_deselected(self, items: Sequence[pytest.Item]) -> None:
        """Note the tests that the caller did not want."""
        self._note_items(items, Outcome.DESELECTED, "not asked for")

    def _note_items(self, items: Sequence[pytest.Item], outcome: Outcome, message: str) -> None:
        for item in items:
            clause = selection.clause_of(item, self.catalogue)
            self.results.append(TestResult(item.nodeid, clause.id, outcome, message=message))

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Announce all scenarios, so that a forest is complete when it is published."""
        for item in session.items:
            ground, mark = selection.ground_of(item), selection.planting_of(item)
            if ground is not None and mark is not None and LEFT_OUT not in item.stash:
                assert isinstance(item, pytest.Function)
                self.schedule.expect(self._scenario(item, ground, mark))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        """Open the S3 endpoint and see the server work once; without that no test runs."""
        if session.config.option.collectonly or self.errors or session.testsfailed:
            return None
        try:
            self.run.open()
            if self.role is not Role.WORKER:
                check_smoke(self.run)
        except (SuiteError, TargetError) as error:
            self.errors.append(str(error))
            self._note_items(session.items, Outcome.ERROR, "no test was run")
            return True
        return None

    # --- the tests ---

    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Leave out what the implementation does not declare, and what this machine has no hardware for."""
        if (left_out := item.stash.get(LEFT_OUT, None)) is not None:
            pytest.skip(left_out.reason)

    @pytest.hookimpl(tryfirst=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> bool | None:
        """Wait for a test that has a stand, which runs beside others; call one that has a lab."""
        if selection.ground_of(pyfuncitem) is None:
            return self._call_in_lab(pyfuncitem)
        pyfuncitem.stash[SECONDS] = self.schedule.result(pyfuncitem.nodeid)
        return True

    def _scenario(self, item: pytest.Function, ground: Ground, mark: PlantingMark) -> Scenario:
        clause = selection.clause_of(item, self.catalogue)
        parameters = {name: value for name, value in item.callspec.params.items() if name != "setting"}

        def call(forest: Forest) -> None:
            stand = Stand(forest, mark.plant, clause)
            try:
                item.obj(**parameters, stand=stand)
            except ViolationError as violation:
                violation.evidence = violation.evidence or stand.evidence()
                raise

        return Scenario(
            item.nodeid,
            ground,
            mark.plant,
            call,
            lambda forest: Stand(forest, mark.plant, clause).evidence(),
            exclusive=mark.is_exclusive,
        )

    def _call_in_lab(self, item: pytest.Function) -> bool | None:
        lab = item.funcargs.get("lab")
        if not isinstance(lab, Lab):
            return None
        try:
            self._call_with_lab(item, lab)
        except ServerDiedError:
            another = Lab(self.run, item.name)
            try:
                self._call_with_lab(item, another)
            except ServerDiedError as death:
                raise ViolationError(
                    "the server lives on and answers", f"{death}, twice", another.evidence()
                ) from death
            finally:
                another.close()
        return True

    def _call_with_lab(self, item: pytest.Function, lab: Lab) -> None:
        arguments = {name: item.funcargs[name] for name in inspect.signature(item.obj).parameters}
        try:
            item.obj(**arguments | {"lab": lab})
        except ViolationError as violation:
            violation.evidence = violation.evidence or lab.evidence()
            raise

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Turn what happened into an outcome of the suite, and an error into words."""
        error = call.excinfo.value if call.excinfo is not None else None
        spare_traceback(call)
        report = yield
        complete_report(
            report,
            item,
            error,
            clause=selection.clause_of(item, self.catalogue),
            known_failing=self.known_failing,
            reproduce=lambda: self._reproduce(item),
        )
        return report

    def _reproduce(self, item: pytest.Item) -> str:
        words = ["nox", "-s", "conformance", "--", "--implementation", str(self.file), "--seed", str(self.run.seed)]
        for option, default in OPTION_DEFAULTS.items():
            value = self.config.getoption(option)
            if value != default:
                words += [option, str(value)]
        return shlex.join([*words, test_id_of(item)])

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Collect the outcome of a test."""
        if (result := result_of(report)) is not None and self.role is not Role.WORKER:
            self.results.append(result)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        """Take over what a worker knows, and note one that died."""
        handed = take_over(getattr(node, "workeroutput", {}))
        known = {result.id for result in self.results}
        self.results += [result for result in handed.results if result.id not in known]
        self.notes += handed.notes
        self.kept += handed.kept
        self.errors += [*handed.errors] + ([f"a worker ended: {error}"] if error else [])

    # --- after the tests ---

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """End all servers, write the results, and let pytest exit with the status of the verdict."""
        try:
            self.schedule.close()
        finally:
            self.run.close()
        self.errors += self.schedule.unrepeated(explained=False)
        self.notes += [*self.schedule.unrepeated(explained=True), *self.schedule.spoilt]
        self.errors += self.known_failing.unexpected_passes(self.results)
        if session.config.option.collectonly:
            return
        if self.role is Role.WORKER:
            hand_over(self.config, Handed(self.results, self.errors, self.notes, self.kept))
            return
        if exitstatus == pytest.ExitCode.INTERRUPTED:
            self.errors.append("the run was interrupted")
        elif exitstatus == pytest.ExitCode.INTERNAL_ERROR:
            self.errors.append("the suite itself failed")
        seen = {result.id for result in self.results}
        left_out = [item for item in session.items if item.nodeid not in seen]
        self._note_items(left_out, Outcome.DESELECTED, "the run was stopped before")
        self.document = results_document(
            catalogue=self.catalogue,
            implementation=self.run.implementation,
            tests=self.results,
            errors=self.errors,
            notes=self.notes,
            run={
                "started": self.started.isoformat(timespec="seconds"),
                "seconds": round(timing.now() - self.begun, 1),
                "s3": self.run.s3_endpoint,
                "seed": self.run.seed,
                "clock": self.run.clock,
                "interval": self.run.pace.intervals.reload,
                "patience": self.run.pace.patience,
                "strict": self.strict,
                "clauses": list(self.chosen.clauses),
                "profiles": list(self.chosen.profiles),
            },
            strict=self.strict,
            profiles=self.chosen.profiles,
            without_tests=self._without_tests(),
        )
        write_results(self.document, self.report_folder)
        session.exitstatus = EXIT_STATUS[Verdict(self.document["verdict"])]

    def _without_tests(self) -> dict[str, Outcome]:
        implementation = self.run.implementation
        known = {
            clause.id: Outcome.NOT_SUPPORTED for clause in self.catalogue.values() if implementation.missing_for(clause)
        }
        here = Path(__file__).parent
        if any(Path(argument).resolve() != here for argument in self.config.args):
            # Only some of the tests were looked at, so that nothing can be said about the clauses of the others.
            return dict.fromkeys(self.catalogue, Outcome.DESELECTED) | known
        return known

    def pytest_terminal_summary(self, terminalreporter: TerminalReporter) -> None:
        """Print the summary and say where the results are."""
        if self.document is not None:
            write_summary(terminalreporter, self.document)
            terminalreporter.write_line(f"results: {results_file(self.report_folder)}")
            for folder in self.kept:
                terminalreporter.write_line(f"kept: {folder}")
