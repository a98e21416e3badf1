"""Journals read while they are written, and the files behind what was loaded."""

import json
import os
from pathlib import Path

from load.journals import Disk, JournalReader


def write(file: Path, text: str) -> None:
    """Add to a journal."""
    with file.open("a", encoding="utf-8") as journal:
        journal.write(text)


def test_half_a_line_waits_for_the_rest(tmp_path: Path) -> None:
    """Lines come once, when they are whole, from the journals of all processes."""
    reader = JournalReader(tmp_path)
    journal = tmp_path / f"{os.getpid()}.jsonl"
    write(journal, '{"event": "constructed"}\n{"event": "loa')
    assert [line["event"] for line in reader.read()] == ["constructed"]
    assert list(reader.read()) == []
    write(journal, 'ded"}\n')
    write(tmp_path / "1.jsonl", '{"event": "dropped"}\n')
    assert sorted(line["event"] for line in reader.read()) == ["dropped", "loaded"]


def test_journals_of_processes_that_are_gone_are_left_aside(tmp_path: Path) -> None:
    """What a server held that has ended since is in nobody's memory."""
    write(tmp_path / "999999999.jsonl", json.dumps({"event": "loaded"}) + "\n")
    assert list(JournalReader(tmp_path).read()) == []


def test_path_is_there_while_it_holds_its_token(tmp_path: Path) -> None:
    """A path counts until its file is gone or holds another token; loaded again, it counts again."""
    disk = Disk()
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.pkl").write_text(f"token: {name}\nrest", encoding="utf-8")
        disk.loaded(str(tmp_path / name), {"model.pkl": name, "readme": None})
    assert disk.gone() == []
    assert len(disk) == 2
    (tmp_path / "a" / "model.pkl").unlink()
    assert disk.gone() == [str(tmp_path / "a")]
    (tmp_path / "b" / "model.pkl").write_text("token: c\nother content", encoding="utf-8")
    assert disk.gone() == [str(tmp_path / "b")]
    assert disk.gone() == []
    disk.loaded(str(tmp_path / "b"), {"model.pkl": "c"})
    assert disk.gone() == []
    assert len(disk) == 1
