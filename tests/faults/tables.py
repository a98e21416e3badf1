"""What `nox -s faults` prints: every change with what became of it, and every clause with the faults that kill it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from rich.console import Console
from rich.table import Table

from tests.faults.judging import CATALOGUE, Judgement
from tests.faults.registry import Change

WRITTEN_FOR, BESIDES, WRONG, MISSED = "●", "○", "✗", "?"


def print_faults(console: Console, changes: Iterable[Change], judgements: Mapping[str, Judgement]) -> None:
    """Print faults against clauses, and how many of the faults were killed."""
    faults = [change for change in changes if change.is_fault and change.name in judgements]
    if not faults:
        return
    columns = _columns(faults, judgements)
    # One column for all clauses, of one character each: with a column to each, most of them would be cut off.
    grid = Table(title="faulty servers", title_justify="left")
    grid.add_column("fault", no_wrap=True)
    grid.add_column("s", justify="right", no_wrap=True)
    grid.add_column(_ruler(len(columns)), overflow="fold")
    grid.add_column("", no_wrap=True)
    for change in faults:
        judgement = judgements[change.name]
        marks = "".join(_mark(change, judgement, clause) for clause in columns)
        end = "[green]killed" if judgement.is_right else "[red]NOT RIGHT"
        grid.add_row(change.name, f"{judgement.seconds:.0f}", marks, end)
    console.print(grid)
    console.print(f"{WRITTEN_FOR} written for  {BESIDES} broken besides  {WRONG} wrongly accused  {MISSED} not caught")
    _print_clauses(console, columns, faults, judgements)
    killed = sum(judgements[change.name].is_right for change in faults)
    console.print(f"kill rate: {killed} of {len(faults)} faults, each with exactly the clauses that it breaks")


def print_variations(console: Console, changes: Iterable[Change], judgements: Mapping[str, Judgement]) -> None:
    """Print harmless variations, and how many of them the suite accepted."""
    variations = [change for change in changes if not change.is_fault and change.name in judgements]
    if not variations:
        return
    table = Table(title="harmless variations", title_justify="left")
    for column in ("variation", "s", "verdict", "", "why the contract allows it"):
        table.add_column(column)
    for change in variations:
        judgement = judgements[change.name]
        end = "[green]accepted" if judgement.is_right else "[red]ACCUSED"
        table.add_row(change.name, f"{judgement.seconds:.0f}", ", ".join(judgement.verdicts.values()), end, change.seen)
    console.print(table)
    accepted = sum(judgements[change.name].is_right for change in variations)
    console.print(f"accepted: {accepted} of {len(variations)} variations")


def print_problems(console: Console, judgements: Iterable[Judgement]) -> None:
    """Print what was not right."""
    for judgement in judgements:
        for problem in judgement.problems:
            console.print(f"[red]{judgement.name}[/]: {problem}", highlight=False)


def _columns(faults: Sequence[Change], judgements: Mapping[str, Judgement]) -> list[str]:
    shown = {clause for change in faults for clause in (*change.clauses, *judgements[change.name].failed)}
    return [clause for clause in CATALOGUE if clause in shown]


def _ruler(length: int) -> str:
    """Give a line in which the last digit of 10, 20 and so on stands at that place."""
    return "".join(f"....+{number:.>5}" for number in range(10, length + 10, 10))[:length]


def _mark(change: Change, judgement: Judgement, clause: str) -> str:
    if clause in judgement.failed:
        if clause not in change.clauses:
            return f"[red]{WRONG}[/]"
        return f"[green]{WRITTEN_FOR if clause in change.breaks else BESIDES}[/]"
    return f"[red]{MISSED}[/]" if clause in change.clauses else "·"


def _print_clauses(
    console: Console, columns: Sequence[str], faults: Sequence[Change], judgements: Mapping[str, Judgement]
) -> None:
    table = Table(title="clauses", title_justify="left")
    for column in ("", "clause", "killed by", "and by faults not written for it"):
        table.add_column(column)
    unhit: list[str] = []
    besides = 0
    for clause in CATALOGUE:
        killers = [change for change in faults if clause in judgements[change.name].failed]
        if not killers:
            unhit.append(clause)
            continue
        own = [change.name for change in killers if clause in change.breaks]
        others = [change.name for change in killers if clause not in change.breaks and clause in change.clauses]
        besides += bool(others)
        table.add_row(str(columns.index(clause) + 1), clause, ", ".join(own), ", ".join(others))
    console.print(table)
    console.print(f"{besides} clauses are killed by a fault that was not written for them too")
    if unhit:
        console.print(f"killed by none of these faults: {', '.join(unhit)}", highlight=False)
