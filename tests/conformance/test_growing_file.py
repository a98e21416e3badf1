"""Files that grow while they are read, and the journals of several processes."""

import json
from pathlib import Path

import pytest

from conformance.growing_file import GrowingFile
from conformance.journals import Journals


def test_each_line_is_parsed_once_when_it_is_complete(tmp_path: Path) -> None:
    """There may be no file yet, a half-written line is left for later, and what was parsed is not parsed again."""
    file = tmp_path / "lines"
    parsed: list[bytes] = []

    def parse(line: bytes) -> str:
        parsed.append(line)
        return line.decode()

    growing = GrowingFile(file, parse)
    assert growing.lines() == []
    first, second = "a\u2028½\n".encode(), b"b\n"
    file.write_bytes(first[:5])
    assert growing.lines() == []
    file.write_bytes(first + second[:1])
    assert growing.lines() == ["a\u2028½"]
    file.write_bytes(first + second)
    assert growing.lines() == ["a\u2028½", "b"]
    assert parsed == [line.rstrip(b"\n") for line in (first, second)]


def test_line_that_cannot_be_parsed_is_met_again(tmp_path: Path) -> None:
    """A line that is wrong is an error each time, and lines before it are there once when it is right."""
    file = tmp_path / "lines"
    growing = GrowingFile(file, int)
    file.write_bytes(b"1\nx\n")
    for _ in range(2):
        with pytest.raises(ValueError, match="x"):
            growing.lines()
    file.write_bytes(b"1\n2\n")
    assert growing.lines() == [1, 2]


def test_journals_of_all_processes_are_read_as_they_come(tmp_path: Path) -> None:
    """The lines of each process are in order, also of one that starts later; other files are no journals."""
    journals = Journals(tmp_path)
    assert journals.lines() == []

    def note(process: int, event: str) -> None:
        with (tmp_path / f"{process}.jsonl").open("a", encoding="utf-8") as journal:
            journal.write(json.dumps({"process": process, "event": event}) + "\n")

    (tmp_path / "go-on-1").touch()
    note(2, "first")
    assert [line["event"] for line in journals.lines()] == ["first"]
    note(1, "of another")
    note(2, "second")
    assert [line["event"] for line in journals.lines()] == ["of another", "first", "second"]
