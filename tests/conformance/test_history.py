"""The timeline of a deployment."""

import re

from conformance.history import History
from conformance.s3.ledger import Entry


def test_timeline_shows_what_concerns_a_model() -> None:
    """Events about other models are left out, those about none are shown."""
    history = History()
    history.note("server ready")
    history.note("asked for a", about="a")
    history.note("asked for b", about="b")
    assert [line.partition("s  ")[2] for line in history.timeline({"a"})] == ["server ready", "asked for a"]


def test_equal_events_in_a_row_are_one_line() -> None:
    """A question that is asked again and again with the same answer takes one line, which counts them."""
    history = History()
    for answer in ("old", "old", "old", "new"):
        history.note(f"asked -> {answer}", about="a")
    first, second = history.timeline({"a"})
    assert re.search(r"asked -> old \(3 times, until \d+\.\d{3} s\)$", first)
    assert second.endswith("asked -> new")


def test_long_timeline_keeps_its_end() -> None:
    """Of many lines the last are shown, and the others counted."""
    history = History()
    for number in range(10):
        history.note(f"event {number}")
    lines = history.timeline(set(), most=3)
    assert lines[0] == "(7 earlier lines left out)"
    assert [line.partition("s  ")[2] for line in lines[1:]] == ["event 7", "event 8", "event 9"]


def test_requests_seen_by_s3_are_lines_of_the_same_time() -> None:
    """What the ledger holds is written with the seconds of the history, and says what was done to it for a test."""
    history = History()
    history.note("server started")
    begun = history.begun
    polls = [Entry(begun + n, begun + n + 0.5, "GET", "b", "", "p/", 0, 0, "outage") for n in (1, 2)]
    read = Entry(begun + 3, begun + 4, "GET", "b", "p/m/1/model.pkl", None, 200, 45)
    assert history.lines([entry.to_event() for entry in (*polls, read)], most=5) == [
        "   1.000 s  LIST p/ -> no answer (outage for the test) (2 times, until 2.500 s)",
        "   3.000 s  GET p/m/1/model.pkl -> 200, 45 bytes",
    ]
