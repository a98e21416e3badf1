"""The ledger as a witness: what servers asked, and which models it was about."""

from dataclasses import replace
from pathlib import Path

from conformance.s3.faults import LATE, FaultKind
from conformance.s3.ledger import Entry, Ledger, requests_about

STATUSES: list[tuple[int, FaultKind | None]] = [
    (200, None), (404, None), (500, None), (502, None), (503, "refusal"), (0, "outage"),
    (200, "slowness"), (500, "slowness"), (502, "truncation"), (404, "disappearance"),
]  # fmt: skip
MODELS = {"place/000-bert/": "bert", "place/000-bert-large/": "bert-large"}


def entry(method: str = "GET", key: str = "", prefix: str | None = None, begun: float = 1.0) -> Entry:
    """Make an entry of an answered request."""
    return Entry(begun, begun + 1, method, "bucket", key, prefix, 200, 10)


def failures_of_s3(entries: list[Entry]) -> list[Entry]:
    """Choose the entries that are a failure of S3 to the models."""
    return [request.entry for request in requests_about(MODELS, entries) if request.is_failure_of_s3]


def test_entries_are_read_as_they_come(tmp_path: Path) -> None:
    """Each question gives all entries that are complete by then, in their order."""
    file = tmp_path / "ledger.jsonl"
    ledger = Ledger(file)
    assert ledger.entries() == []
    first, second = entry(key="a\n½"), entry(prefix="b")
    half = second.to_line()[:20]
    file.write_text(first.to_line() + half, encoding="utf-8")
    assert ledger.entries() == [first]
    file.write_text(first.to_line() + second.to_line(), encoding="utf-8")
    assert ledger.entries() == [first, second]


def test_entries_can_be_had_since_a_moment(tmp_path: Path) -> None:
    """Since a moment are the requests that ended no earlier, also one that began before."""
    file = tmp_path / "ledger.jsonl"
    asked = [entry(begun=float(begun)) for begun in range(5)]
    file.write_text("".join(each.to_line() for each in asked), encoding="utf-8")
    ledger = Ledger(file)
    assert ledger.entries(since=3.0) == asked[2:]
    assert ledger.entries(since=5.5) == []
    assert ledger.entries() == asked


def test_object_is_of_one_model() -> None:
    """A GET or HEAD is about the model whose files it asks for, and of none when names only begin the same."""
    asked = [
        entry("HEAD", "place/000-bert/1/a"),
        entry("GET", "place/000-bert-large/b"),
        entry("GET", "place/000-be/c"),
    ]
    requests = requests_about(MODELS, asked)
    assert [(request.entry.method, request.models, request.key) for request in requests] == [
        ("HEAD", ("bert",), "1/a"),
        ("GET", ("bert-large",), "b"),
    ]
    assert not any(request.is_listing for request in requests)


def test_listing_is_of_every_model_that_may_be_in_it() -> None:
    """A listing is about the models below its prefix, with or without a slash at its end, or the one that it is in."""
    prefixes = ["place/", "place/000-bert", "place/000-bert/", "place/000-bert/1/", "place/001-other/"]
    requests = requests_about(MODELS, [entry(prefix=prefix) for prefix in prefixes])
    assert [request.models for request in requests] == [
        ("bert", "bert-large"),
        ("bert", "bert-large"),
        ("bert",),
        ("bert",),
    ]
    assert all(request.is_listing and request.key is None for request in requests)


def test_failure_of_s3_is_one_that_no_test_asked_for() -> None:
    """An error of the endpoint is a failure of S3; what a test had it do, what was not found and an answer are not."""
    answered = entry(key="place/000-bert/a")
    entries = [replace(answered, status=status, fault=fault) for status, fault in STATUSES]
    failures = [(500, None), (502, None), (500, "slowness"), (502, "truncation")]
    assert [(failure.status, failure.fault) for failure in failures_of_s3(entries)] == failures


def test_answer_that_a_server_has_waited_for_in_vain_is_a_failure_of_s3() -> None:
    """An endpoint that was given up after more than the time of a slow one failed; one given up before did not."""

    def waited(seconds: float, status: int, fault: FaultKind | None = None) -> Entry:
        return replace(entry(prefix="place/"), ended=1.0 + seconds, status=status, fault=fault)

    in_vain = [waited(1.1 * LATE, 0), waited(2.1 * LATE, 0, "slowness"), waited(1.1 * LATE, 0, "disappearance")]
    too_early = [waited(0.9 * LATE, 0), waited(1.9 * LATE, 0, "slowness")]
    meant = [waited(9 * LATE, 0, "outage"), waited(9 * LATE, 503, "refusal")]
    assert failures_of_s3([*in_vain, *too_early, *meant, waited(9 * LATE, 200)]) == in_vain
