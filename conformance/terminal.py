"""The terminal summary of a run, made from its results document."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from _pytest.terminal import TerminalReporter

_COLOURS = {
    "pass": "green",
    "conformant": "green",
    "fail": "red",
    "not conformant": "red",
    "error": "red",
    "blocked": "yellow",
    "partial": "yellow",
    "untested": "light",
    "deselected": "light",
}

# Reasons of a verdict that the terminal shows; results.json has all of them.
_REASONS = 10


def write_summary(terminal: TerminalReporter, document: Mapping[str, Any]) -> None:
    """Write every clause with its level and outcome, family by family, then the profiles and the verdict."""
    implementation = document["implementation"]
    name = f"{implementation['name']} {implementation['version']}"
    if any(
        test["outcome"] not in {"error", "deselected"} for clause in document["clauses"] for test in clause["tests"]
    ):
        _write_clauses(terminal, name, document)
    terminal.section("verdict")
    for error in document["run"]["errors"]:
        terminal.write_line(f"error: {error}", red=True)
    for note in document["run"]["notes"]:
        terminal.write_line(f"seen, and no failure: {note}")
    for profile, result in document["profiles"].items():
        terminal.write_line(f"  {profile:<12}{result['verdict']}")
        for reason in result["reasons"][:_REASONS]:
            terminal.write_line(f"              {reason}")
        if len(result["reasons"]) > _REASONS:
            terminal.write_line(f"              and {len(result['reasons']) - _REASONS} more")
    terminal.write(f"{name}: ")
    terminal.write_line(document["verdict"], **{_COLOURS[document["verdict"]]: True, "bold": True})
    run = document["run"]
    terminal.write_line(
        f"{run['seconds']:g} s, seed {run['seed']}, reload interval {run['interval']:g} s, S3: {run['s3']}"
    )
    if untested := sum(clause["outcome"] == "untested" for clause in document["clauses"]):
        judged = sum(clause["outcome"] in {"pass", "fail", "blocked"} for clause in document["clauses"])
        terminal.write_line(f"(the verdict rests on {judged} clauses; {untested} have no test in this suite yet)")


def _write_clauses(terminal: TerminalReporter, name: str, document: Mapping[str, Any]) -> None:
    terminal.section(f"{name}, clause by clause")
    for family, clauses in _families(document):
        counts: dict[str, int] = {}
        for clause in clauses:
            counts[clause["outcome"]] = counts.get(clause["outcome"], 0) + 1
        terminal.write_line(
            f"{family}: {', '.join(f'{count} {outcome}' for outcome, count in counts.items())}", bold=True
        )
        for clause in clauses:
            terminal.write(f"  {clause['level']:<12}{clause['id']:<36}")
            terminal.write(clause["outcome"], **{_COLOURS.get(clause["outcome"], "yellow"): True})
            terminal.write_line(_note(clause))


def _families(document: Mapping[str, Any]) -> Iterator[tuple[str, list[Mapping[str, Any]]]]:
    families: dict[str, list[Mapping[str, Any]]] = {}
    for clause in document["clauses"]:
        families.setdefault(clause["family"], []).append(clause)
    yield from families.items()


def _note(clause: Mapping[str, Any]) -> str:
    tests = clause["tests"]
    if clause["outcome"] == "fail":
        failed = [test for test in tests if test["outcome"] == "fail"]
        run = [test for test in tests if test["outcome"] != "not-supported"]
        note = f"  {len(failed)} of {len(run)} tests: {', '.join(test['id'].rpartition('::')[2] for test in failed)}"
        return note + ("  (differs in reading)" if clause["level"] == "INTERPRETED" else "")
    if clause["outcome"] == "pass":
        passed = sum(test["outcome"] == "pass" for test in tests)
        return f"  {passed} test{'s' if passed > 1 else ''}"
    messages = sorted(
        {test["message"] for test in tests if test["outcome"] == clause["outcome"] and test.get("message")}
    )
    return f"  {messages[0].splitlines()[0][:100]}" if messages else ""
