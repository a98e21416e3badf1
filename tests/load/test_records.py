"""Records on their way from those who send requests to the judge, and what other clocks make of them."""

import pytest

from conformance.source_states import Change
from load.clocks import SAME_CLOCK, Offset
from load.records import LATEST, Answer, Kind, Ledger, Sheet, judge_rows

A1, A2, B1 = "a1" * 8, "a2" * 8, "b1" * 8
NAMES = ["a", "b"]
CHANGES = [
    Change(0, 0, "a", "reload.model-added", {"1": frozenset({A1})}),
    Change(0, 0, "b", "reload.model-added", {"1": frozenset({B1})}),
    Change(50, 50, "a", "reload.version-added", {"1": frozenset({A1}), "2": frozenset({A2})}),
]


def answered(*tokens: str, process: str = "7") -> Answer:
    """Answer from files with these tokens."""
    return Answer(200, tokens, process, 1, Kind.HIT)


def sheet_of(*requests: tuple[float, int, int, Answer]) -> Sheet:
    """Note requests, by moment, model, version and answer."""
    sheet = Sheet()
    for at, model, version, answer in requests:
        sheet.add((at, at + 0.1, at + 0.2), model, version, answer)
    return sheet


def test_batches_of_several_senders_come_together() -> None:
    """Tables of different senders refer to the same answers and processes afterwards, in the order of the requests."""
    ledger = Ledger()
    ledger.put(sheet_of((20, 0, LATEST, answered(A1)), (22, 1, 1, answered(B1, process="8"))).take())
    ledger.put(sheet_of((21, 1, LATEST, answered(B1, process="8")), (23, 0, LATEST, Answer(500))).take())
    rows = ledger.rows()
    answers, processes = list(ledger.answers), list(ledger.processes)
    seen = [
        (row["due"], answers[row["answer"]] if row["answer"] >= 0 else None, processes[row["process"]]) for row in rows
    ]
    assert seen == [(20, (A1,), "7"), (21, (B1,), "8"), (22, (B1,), "8"), (23, None, "")]


def test_sheet_gives_every_row_once() -> None:
    """What was taken does not come again, and later rows find their answers in the tables that come with them."""
    sheet, ledger = sheet_of((20, 0, LATEST, answered(A1))), Ledger()
    assert ledger.put(sheet.take()) == 1
    assert ledger.put(sheet.take()) == 0
    sheet.add((30, 30, 31), 1, LATEST, answered(B1))
    assert ledger.put(sheet.take()) == 1
    assert [list(ledger.answers)[place] for place in ledger.rows()["answer"]] == [(A1,), (B1,)]


def test_right_answers_are_not_accused() -> None:
    """Answers from what was published, old and new within the deadline, are neither failed nor wrong."""
    ledger = Ledger()
    requests = [(20, 0, LATEST, answered(A1)), (52, 0, LATEST, answered(A1)), (70, 0, LATEST, answered(A2))]
    ledger.put(sheet_of(*requests, (70, 0, 1, answered(A1)), (71, 0, 9, Answer(404))).take())
    verdicts = judge_rows(ledger.rows(), ledger, CHANGES, NAMES, staleness=5)
    assert not verdicts.failed
    assert not verdicts.wrong


def test_wrong_and_failed_answers_are_found() -> None:
    """An answer of another model, one too old and an error without a reason are told apart, each with its clause."""
    ledger = Ledger()
    ledger.put(sheet_of((20, 0, LATEST, answered(B1)), (80, 0, LATEST, answered(A1))).take())
    ledger.put(sheet_of((85, 1, LATEST, answered(B1)), (90, 1, LATEST, Answer(500))).take())
    verdicts = judge_rows(ledger.rows(), ledger, CHANGES, NAMES, staleness=5)
    assert [finding.clause for finding in verdicts.wrong] == ["clients.by-name", "reload.version-added"]
    assert [finding.clause for finding in verdicts.failed] == ["reload.no-gap"]


def test_moments_of_another_clock_become_ours() -> None:
    """Rows of another machine are moved onto our clock, and widened by what is not known of theirs."""
    ledger = Ledger()
    ledger.put(sheet_of((1020, 0, LATEST, answered(A1))).take(), offset=-1000, uncertainty=0.2)
    (row,) = ledger.rows()
    assert (row["due"], row["begun"], row["ended"]) == pytest.approx((19.9, 20.0, 20.3))


def test_offset_narrows_with_every_answer() -> None:
    """Each answer bounds what our clock shows more than theirs; the fastest one bounds it best."""
    offset = Offset().heard(asked=100, theirs=40, answered=104).heard(asked=110, theirs=49.7, answered=111)
    assert (offset.low, offset.high) == pytest.approx((60.3, 61.3))
    assert offset.middle == pytest.approx(60.8)
    assert offset.uncertainty == pytest.approx(1)
    assert SAME_CLOCK.uncertainty == 0
