"""What `nox -s faults` prints, without a run."""

import io

from rich.console import Console

from tests.faults.judging import CATALOGUE, Judgement
from tests.faults.registry import Change, changes
from tests.faults.tables import print_faults


def judged(fault: Change, *failed: str) -> Judgement:
    """Judge a fault by the clauses that failed."""
    problems = () if fault.clauses == set(failed) else ("not right",)
    return Judgement(fault.name, "", 123.0, failed, (), {}, problems)


def printed(judgements: dict[str, Judgement]) -> list[str]:
    """Give the lines that are printed where the output is no terminal."""
    file = io.StringIO()
    print_faults(Console(file=file, width=200), changes().values(), judgements)
    return file.getvalue().splitlines()


def cells(lines: list[str], first: str) -> list[str]:
    """Give the cells of the row that begins with a text."""
    rows = ([cell.strip() for cell in line[1:-1].split("│")] for line in lines if line.startswith("│"))
    return next(row for row in rows if row[0] == first)


def test_every_clause_of_every_fault_can_be_read() -> None:
    """The table of all faults has a mark for every clause, at the place that the clause has in the list below it."""
    faults = {change.name: change for change in changes().values() if change.is_fault}
    lines = printed({name: judged(fault, *fault.clauses) for name, fault in faults.items()})
    shown = [clause for clause in CATALOGUE if any(clause in fault.clauses for fault in faults.values())]
    for place, clause in enumerate(shown, 1):
        assert cells(lines, str(place))[1] == clause
    for name, fault in faults.items():
        _, seconds, marks, end = cells(lines, name)
        assert (seconds, end) == ("123", "killed")
        assert [mark != "·" for mark in marks] == [clause in fault.clauses for clause in shown]


def test_wrong_judgement_is_marked() -> None:
    """A clause that was not caught and one that was wrongly accused are marked each in its way."""
    fault = changes()["one-model-too-many"]
    caught, missed = sorted(fault.breaks)
    lines = printed({fault.name: judged(fault, caught, "reload.never-back")})
    shown = sorted([caught, missed, "reload.never-back"], key=list(CATALOGUE).index)
    marks = dict(zip(shown, cells(lines, fault.name)[2], strict=True))
    assert marks == {caught: "●", missed: "?", "reload.never-back": "✗"}
    assert "kill rate: 0 of 1 faults, each with exactly the clauses that it breaks" in lines


def test_ruler_numbers_the_places() -> None:
    """In the head of the table the last digit of each number stands at the place of the clause of that number."""
    faults = {change.name: change for change in changes().values() if change.is_fault}
    lines = printed({name: judged(fault, *fault.clauses) for name, fault in faults.items()})
    ruler = next(line for line in lines if line.startswith("┃ fault")).split("┃")[3].strip()
    marks = cells(lines, next(iter(faults)))[2]
    assert len(ruler) == len(marks)
    assert all(ruler[:place].endswith(str(place)) for place in range(10, len(ruler), 10))
