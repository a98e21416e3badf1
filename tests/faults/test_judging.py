"""What a judgement says of the runs of the suite, without a run."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tests.faults import judging
from tests.faults.configurations import ONNX_S3, PYTHON_LOCAL, PYTHON_S3
from tests.faults.judging import Judgement, Options, judge, key_of, recall
from tests.faults.registry import Change, changes

VANISHED = "reload.list-get-race"

Saying = Callable[[Mapping[str, Sequence[str]]], Options]


@pytest.fixture
def fault() -> Change:
    """Give a fault that is judged on two configurations."""
    change = changes()["dies-on-vanished-object"]
    assert change.on == (PYTHON_S3, ONNX_S3)
    return change


@pytest.fixture
def saying(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Saying:
    """Let the suite say, by configuration, which clauses failed."""

    def say(failed: Mapping[str, Sequence[str]]) -> Options:
        def run(_: Path, folder: Path, __: Sequence[str], options: Options) -> bool:
            tests = [{"id": "test_of_it[onnx]", "outcome": "fail"}]
            clauses = [{"id": clause, "outcome": "fail", "tests": tests} for clause in failed[folder.name]]
            accused = any(judging.CATALOGUE[clause["id"]].level == "MUST" for clause in clauses)
            said = {
                "verdict": "not conformant" if accused else "partial",
                "run": {"errors": [], "clock": options.clock},
                "clauses": clauses,
            }
            (folder / "results.json").write_text(json.dumps(said))
            return True

        monkeypatch.setattr(judging, "_run_suite", run)
        return Options(tmp_path)

    return say


def test_fault_is_caught_where_each_configuration_turns_red(fault: Change, saying: Saying) -> None:
    """A fault is judged rightly when every one of its configurations shows it."""
    judgement = judge(fault, saying({"python-s3": [VANISHED], "onnx-s3": [VANISHED]}))
    assert judgement.is_right
    assert judgement.failed == (VANISHED,)


def test_fault_that_one_configuration_misses_is_not_caught(fault: Change, saying: Saying) -> None:
    """What one configuration shows does not make up for another one, which is named."""
    judgement = judge(fault, saying({"python-s3": [], "onnx-s3": [VANISHED]}))
    assert judgement.problems == (f"python-s3: not caught: {VANISHED}",)


def test_clause_that_is_accused_in_one_configuration_is_named_with_it(fault: Change, saying: Saying) -> None:
    """A clause that should not turn red is reported with the configuration that turned it."""
    judgement = judge(fault, saying({"python-s3": [VANISHED], "onnx-s3": [VANISHED, "layouts.onnx"]}))
    assert judgement.problems == ("onnx-s3: wrongly accused: layouts.onnx",)


def test_fault_of_random_programs_is_found_by_nothing_else(saying: Saying) -> None:
    """A fault that only random programs are to find is not judged rightly where another test shows it."""
    fault = changes()["removal-hides-an-update"]
    judgement = judge(fault, saying({"onnx-local": ["reload.updated-in-place"]}))
    assert judgement.problems == ("onnx-local: found without random programs, by test_of_it[onnx]",)


def test_clause_is_expected_only_where_it_speaks_of_the_server(fault: Change, saying: Saying) -> None:
    """A clause about S3 need not turn red where there is no S3."""
    elsewhere = replace(fault, breaks=frozenset({"layouts.source-s3"}), on=(PYTHON_S3, PYTHON_LOCAL))
    assert judge(elsewhere, saying({"python-s3": ["layouts.source-s3"], "python-local": []})).is_right


def test_change_is_judged_on_its_clock(fault: Change, saying: Saying, tmp_path: Path) -> None:
    """The suite runs on the clock of the change, unless another one is asked for."""
    options = saying({"python-s3": [VANISHED], "onnx-s3": [VANISHED]})
    for asked, clock in ((None, "timed"), ("driven", "driven")):
        judge(replace(fault, clock="timed"), replace(options, clock=asked))
        said = json.loads((tmp_path / fault.name / "python-s3" / "results.json").read_text())
        assert said["run"]["clock"] == clock


def test_judgement_is_recalled_as_long_as_nothing_changed(fault: Change, saying: Saying) -> None:
    """A judgement is kept for the same clock, configurations and clauses, and for no others."""
    options = saying({"python-s3": [VANISHED], "onnx-s3": [VANISHED]})
    judgement: Judgement = judge(fault, options)
    assert recall(fault, options) == judgement
    others = [
        replace(fault, clock="timed"),
        replace(fault, on=(PYTHON_S3,)),
        replace(fault, also=frozenset({"layouts.versioned"})),
    ]
    assert [recall(other, options) for other in others] == [None, None, None]
    assert key_of(others[0], options) == key_of(fault, replace(options, clock="timed"))
