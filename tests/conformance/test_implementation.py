"""Implementation files: what is read from them, and what is said of faulty ones."""

from pathlib import Path

import pytest

from conformance.catalogue import load_catalogue
from conformance.implementation import load_implementation
from conformance.problems import InvalidInputError
from tests.conformance.suite_runs import REFERENCE, write_implementation


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("[implementation", "not TOML"),
        ("", "implementation: Field required"),
        ("[process]\ncommand = ['serve', '{prot}']", "process.command: unknown placeholder {prot}"),
        (
            "[process]\ncommand = ['sh', '-c', 'serve {project} {port} {evict_interval}']",
            "process.command: the placeholder {port} stands in one part with an interval",
        ),
        ("[process]\ncommand = ['serve', '{port}']", "process.command: the placeholder {project} is missing"),
        ("[process]\nready = 'PING /'", "process.ready: 'PING /' is no call"),
        ("[declares]\nsources = ['ftp']", "declares.sources.0: Input should be 's3' or 'local'"),
        ("[intervals]\nreload = -1", "intervals.reload: Input should be greater than 0"),
        ("[servers]\n", "servers: Extra inputs are not permitted"),
    ],
)
def test_fault_in_an_implementation_file_is_named(content: str, words: str, tmp_path: Path) -> None:
    """What is wrong with an implementation file is said with the file and the key, in words."""
    file = tmp_path / "server.toml"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(InvalidInputError) as caught:
        load_implementation(file)
    assert str(caught.value).startswith(f"implementation file {file}:")
    assert words in str(caught.value)


def test_missing_implementation_file_is_named(tmp_path: Path) -> None:
    """A file that does not exist is an error that says so."""
    with pytest.raises(InvalidInputError, match=r"nowhere\.toml: No such file or directory"):
        load_implementation(tmp_path / "nowhere.toml")


def test_reference_is_described() -> None:
    """The implementation file of the reference server can be read, and lets the suite choose the intervals."""
    assert load_implementation(REFERENCE).chosen_intervals == ["reload", "evict"]


def test_undeclared_needs_of_a_clause_are_named(tmp_path: Path) -> None:
    """A clause is supported when a predictor and a source of it and all of its features are declared."""
    implementation = load_implementation(write_implementation(tmp_path, ["serve", "{project}", "{port}"]))
    catalogue = load_catalogue()
    assert implementation.missing_for(catalogue["layouts.versioned"]) == []
    assert implementation.missing_for(catalogue["layouts.onnx"]) == ["predictor onnx"]
    assert implementation.missing_for(catalogue["layouts.source-s3"]) == ["source s3"]
    assert implementation.missing_for(catalogue["layouts.inferentia"])[0] == "feature inferentia"
    assert implementation.missing_for(catalogue["layouts.versioned"], predictor="tensorflow") == [
        "predictor tensorflow"
    ]
