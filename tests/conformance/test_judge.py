"""The judge against histories written by hand, good and bad."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from conformance.judge import Request, judge, judge_by
from conformance.source_states import Change

STALENESS = 10.0


def change(at: float, versions: Mapping[str, str], event: str = "reload.version-added", model: str = "m") -> Change:
    """Write a change that took a tenth of a second; each letter of a version is a token."""
    return Change(at, at + 0.1, model, event, {name: frozenset(tokens) for name, tokens in versions.items()})


def ask(
    at: float,
    tokens: str | None,
    version: str | None = None,
    *,
    process: str = "1",
    model: str = "m",
    took: float = 0.1,
) -> Request:
    """Write a request and its answer."""
    return Request(at, at + took, model, version, process, None if tokens is None else frozenset(tokens))


ONE = change(0, {"1": "a"}, "reload.model-added")
TWO = change(20, {"1": "a", "2": "b"})
BACK = change(40, {"1": "a"}, "reload.version-removed")

GOOD = {
    "served at once": ([ONE], [ask(1, "a")]),
    "an error until the deadline": ([ONE], [ask(1, None), ask(9.9, None), ask(9.9, "a")]),
    "the version before until the deadline": ([ONE, TWO], [ask(21, "a"), ask(30, "a"), ask(31, "b")]),
    "the new version before its publication ended": ([ONE, TWO], [ask(20.05, "b", took=0.01)]),
    "a request that waited while the source changed": ([ONE, TWO], [ask(15, "b", took=10)]),
    "sent before the deadline, answered after": ([ONE, TWO], [ask(30, "a", took=10)]),
    "each process in its own time": ([ONE, TWO], [ask(21, "b"), ask(22, "a", process="2")]),
    "overlapping requests in any order": ([ONE, TWO], [ask(21, "a", took=5), ask(22, "b")]),
    "back where the newer one was removed": ([ONE, TWO, BACK], [ask(31, "b"), ask(41, "a")]),
    "an old version by its number": ([ONE, TWO], [ask(35, "a", "1"), ask(35, "b", "2"), ask(35, "b", "002")]),
    "a removed version is an error": ([ONE, TWO, BACK], [ask(51, None, "2"), ask(51, "a", "1")]),
    "versions are numbers": ([change(0, {"9": "a", "10": "b", "-1": "c"})], [ask(11, "b")]),
    "beyond 64 bit": ([change(0, {str(2**70): "a", str(2**70 + 1): "b"})], [ask(11, "b")]),
    "a model without versions": ([change(0, {"": "a"}, "reload.model-added")], [ask(11, "a")]),
    "nobody knows a model that never was": ([ONE], [ask(11, None, model="other")]),
    "an error while what is asked for goes": ([ONE, TWO, BACK], [ask(35, "b"), ask(41, None), ask(51, "a")]),
    "an error while a file of it goes": ([change(0, {"1": "ab"}), change(20, {"1": "a"})], [ask(21, None)]),
    "the same files again": ([ONE, TWO, BACK, change(60, {"1": "a", "2": "b"})], [ask(41, "b"), ask(61, "b")]),
}

BAD = {
    "reload.model-added": ([ONE], [ask(10.2, None)]),
    "reload.version-added": ([ONE, TWO], [ask(30.2, "a")]),
    "reload.version-removed": ([ONE, TWO, BACK], [ask(50.2, "b", "2")]),
    "reload.updated-in-place": ([ONE, change(20, {"1": "z"}, "reload.updated-in-place")], [ask(30.2, "a")]),
    "reload.no-gap": ([ONE, TWO], [ask(11, "a"), ask(21, None), ask(22, "b")]),
    "reload.never-back": ([ONE, TWO], [ask(21, "b"), ask(22, "a")]),
    "reload.never-mixed": ([ONE, change(20, {"1": "yz"})], [ask(21, "ay")]),
    "reload.processes": ([ONE, TWO], [ask(25, "b"), ask(30.2, "a", process="2")]),
    "layouts.latest-is-highest": ([change(0, {"9": "a", "10": "b"})], [ask(11, "a")]),
    "clients.explicit-version": ([change(0, {"1": "a", "2": "b"})], [ask(11, "b", "1")]),
    "clients.by-name": ([ONE, change(0, {"1": "x"}, model="n")], [ask(11, "x")]),
}


@pytest.mark.parametrize("history", GOOD.values(), ids=GOOD)
def test_good_histories(history: tuple[list[Change], list[Request]]) -> None:
    """A history that the contract allows has no findings."""
    assert judge(*history, STALENESS) == []


@pytest.mark.parametrize(("clause", "history"), BAD.items(), ids=BAD)
def test_bad_histories(clause: str, history: tuple[list[Change], list[Request]]) -> None:
    """A history that breaks one clause has one finding, of that clause."""
    assert [finding.clause for finding in judge(*history, STALENESS)] == [clause]


def test_older_content_of_the_latest_version() -> None:
    """A version that becomes the latest with content that was overwritten is one whose update was missed."""
    overwritten = change(20, {"9": "c", "10": "b"}, "reload.updated-in-place")
    changes = [change(0, {"9": "a", "10": "b"}), overwritten, change(21, {"9": "c"}, "reload.version-removed")]
    (finding,) = judge(changes, [ask(32, "a")], STALENESS)
    assert finding.clause == "reload.updated-in-place"
    assert "the latest version" in finding.observed


def test_new_content_of_the_version_that_was_the_latest() -> None:
    """A lower version that was the latest once is one beside which the addition of a higher one was missed."""
    overwritten = change(21, {"9": "c", "10": "b"}, "reload.updated-in-place")
    changes = [change(0, {"9": "a"}, "reload.model-added"), change(20, {"9": "a", "10": "b"}), overwritten]
    (finding,) = judge(changes, [ask(32, "c")], STALENESS)
    assert finding.clause == "reload.version-added"


def test_lower_version_that_is_left() -> None:
    """A lower version is served where the latest was removed as a higher one came in: it is that which was missed."""
    came_in = change(20, {"2": "c", "9": "a", "10": "b"})
    removed = change(21, {"2": "c", "10": "b"}, "reload.version-removed")
    (finding,) = judge([change(0, {"2": "c", "9": "a"}), came_in, removed], [ask(32, "c")], STALENESS)
    assert finding.clause == "reload.version-added"


@pytest.mark.parametrize(("removed_at", "clause"), [(21, "reload.version-added"), (40, "reload.version-removed")])
def test_lower_version_in_the_place_of_the_next_highest(removed_at: float, clause: str) -> None:
    """When the latest goes, the next highest was missed if it came in just before; else it is not fallen back to."""
    came_in = change(20, {"2": "c", "9": "a", "10": "b"})
    removed = change(removed_at, {"2": "c", "9": "a"}, "reload.version-removed")
    (finding,) = judge([change(0, {"2": "c", "10": "b"}), came_in, removed], [ask(60, "c")], STALENESS)
    assert finding.clause == clause


def test_lower_version_though_the_highest_had_been_there() -> None:
    """A lower version that is served when others go, of which none was added, is no addition that was missed."""
    changes = [change(0, {"2": "c", "9": "a", "10": "b"}), change(20, {"2": "c", "10": "b"}, "reload.version-removed")]
    (finding,) = judge(changes, [ask(32, "c")], STALENESS)
    assert finding.clause == "layouts.latest-is-highest"


@pytest.mark.parametrize(("back_at", "clause"), [(21, "reload.version-removed"), (40, "reload.model-removed")])
def test_removed_version_of_a_model_that_came_back(back_at: float, clause: str) -> None:
    """A version that is served on is one whose removal was missed: that of the model, if anyone had to see it gone."""
    changes = [
        change(0, {"9": "a", "10": "b"}, "reload.model-added"),
        change(20, {"10": "b"}, "reload.model-removed"),
        change(20.2, {}, "reload.model-removed"),
        change(back_at, {"2": "d"}),
        change(back_at + 0.2, {"2": "d", "9": "c"}, "reload.updated-in-place"),
    ]
    for version in (None, "10"):
        (finding,) = judge(changes, [ask(60, "b", version)], STALENESS)
        assert finding.clause == clause


def test_version_that_was_changed_since_it_came_in() -> None:
    """A version that is not served at all is one whose addition was missed, whatever became of its files since."""
    came_in = change(20, {"9": "a", "10": "b"})
    grown = change(21, {"9": "a", "10": "bc"}, "reload.structure-changed")
    changes = [change(0, {"9": "a"}, "reload.model-added"), came_in, grown]
    for request in (ask(32, "a"), ask(32, None, "10")):
        (finding,) = judge(changes, [request], STALENESS)
        assert finding.clause == "reload.version-added"


def test_content_from_before_a_removal() -> None:
    """A model that was gone and is served as it had been is one whose return was missed, whatever changed since."""
    changes = [
        change(0, {"": "a"}, "reload.model-added"),
        change(20, {}, "reload.model-removed"),
        change(40, {"": "b"}, "reload.removed-then-restored"),
        change(41, {"": "bc"}, "reload.structure-changed"),
    ]
    (finding,) = judge(changes, [ask(60, "a")], STALENESS)
    assert finding.clause == "reload.removed-then-restored"


def test_older_content_beside_a_version_that_went() -> None:
    """The latest version with older content is one whose update was missed, also where it was not always the latest."""
    overwritten = change(20, {"2": "b"}, "reload.updated-in-place")
    changes = [
        change(0, {"2": "a"}, "reload.model-added"),
        overwritten,
        change(21, {"2": "b", "9": "c"}),
        change(22, {"2": "b"}, "reload.version-removed"),
    ]
    (finding,) = judge(changes, [ask(33, "a")], STALENESS)
    assert finding.clause == "reload.updated-in-place"


def test_tokens_of_nobody() -> None:
    """Files that were never published are no state of the source."""
    for tokens in ("?", "a?"):
        assert [finding.clause for finding in judge([ONE], [ask(11, tokens)], STALENESS)] == ["reload.never-mixed"]


def test_a_model_that_never_was_is_served() -> None:
    """An answer under a name that was never published is from another model."""
    assert [finding.clause for finding in judge([ONE], [ask(11, "a", model="o")], STALENESS)] == ["clients.by-name"]


def test_prose() -> None:
    """A finding says what was expected by when and what was seen when, in seconds since the first change."""
    (finding,) = judge([ONE, TWO], [ask(30.2, "a")], STALENESS)
    assert finding.expected == (
        "version 2 of m, whole since 20.10 s: the source changed (reload.version-added) until 20.10 s,"
        " which every process had to serve by 30.10 s"
    )
    assert finding.observed == (
        "the latest version of m, asked for at 30.20 s and answered at 30.30 s by process 1,"
        " still version 1 of m, whole since 0.10 s"
    )


LATEST_BROKEN = replace(change(40, {"1": "a", "2": "b"}, "reload.broken-keeps-last-good"), broken={"2"})


@pytest.mark.parametrize("request_", [ask(51, "a"), ask(51, None), ask(51, None, "2")])
def test_broken_version_that_does_not_stay_as_it_was(request_: Request) -> None:
    """Neither an error nor a lower version is served where the last good content is to stay."""
    (finding,) = judge([ONE, TWO, LATEST_BROKEN], [request_], STALENESS)
    assert finding.clause == "reload.broken-keeps-last-good"


@pytest.mark.parametrize("version", [None, "2"])
def test_broken_version_of_which_an_update_was_missed(version: str | None) -> None:
    """Content from before the last good one is that of a version whose update was missed before it broke."""
    before = change(0, {"1": "a", "2": "x"}), change(20, {"1": "a", "2": "b"}, "reload.updated-in-place")
    (finding,) = judge([*before, LATEST_BROKEN], [ask(51, "x", version)], STALENESS)
    assert finding.clause == "reload.updated-in-place"


def test_removed_version_above_a_broken_one() -> None:
    """A higher version that is served on beside a broken one is one whose removal was missed."""
    changes = [change(0, {"1": "a", "2": "b", "3": "c"}), replace(LATEST_BROKEN, event="reload.version-removed")]
    (finding,) = judge(changes, [ask(51, "c")], STALENESS)
    assert finding.clause == "reload.version-removed"


def test_broken_version_that_is_served_after_all() -> None:
    """Files that were never together are mixed, also where some of them came in with what cannot be loaded."""
    (finding,) = judge([ONE, TWO, LATEST_BROKEN], [ask(51, "ab")], STALENESS)
    assert finding.clause == "reload.never-mixed"


def test_other_versions_beside_a_broken_one() -> None:
    """A version beside a broken one is judged as ever."""
    update = replace(change(60, {"1": "c", "2": "b"}, "reload.updated-in-place"), broken={"2"})
    (finding,) = judge([ONE, TWO, LATEST_BROKEN, update], [ask(71, "a", "1"), ask(71, "b")], STALENESS)
    assert finding.clause == "reload.updated-in-place"


@pytest.mark.parametrize("update", [change(20, {"1": "z"}, "reload.updated-in-place"), TWO])
def test_error_in_the_place_of_what_was_never_served(update: Change) -> None:
    """An error for ever is no gap but a change that was missed, also where something was served before it."""
    (finding,) = judge([ONE, update], [ask(11, "a"), ask(31, None)], STALENESS)
    assert finding.clause == update.event


def test_error_while_another_change_is_under_way() -> None:
    """An error is a gap where the change that is missed may have been missed because of a later one."""
    changes = [
        ONE,
        change(20, {"1": "y"}, "reload.updated-in-place"),
        change(30, {"1": "z"}, "reload.updated-in-place"),
    ]
    (finding,) = judge(changes, [ask(11, "a"), ask(31, None)], STALENESS)
    assert finding.clause == "reload.no-gap"


def test_only_what_one_process_had_overcome_is_back() -> None:
    """An answer that comes too late may be on its way, unless its process has served the change before."""
    changes = [ONE, change(20, {"1": "z"}, "reload.updated-in-place")]
    for served in ("1", "2"):
        (finding,) = judge_by(
            changes, [ask(31, "z", process=served), ask(32, "a")], lambda ended: ended + STALENESS, one_process=True
        )
        assert finding.clause == "reload.updated-in-place"
        assert finding.back == (served == "1")


def test_replaced_process() -> None:
    """Where there is one process at a time, what its successor misses is not that of several."""
    requests = [ask(25, "b"), ask(30.2, "a", process="2")]
    (finding,) = judge_by([ONE, TWO], requests, lambda ended: ended + STALENESS, one_process=True)
    assert finding.clause == "reload.version-added"
