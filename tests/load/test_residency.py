"""Residency: counts over time, the window over the limit, eviction runs, and what is no eviction at all."""

from typing import Any

import pytest

from conformance.source_states import Change
from load.residency import Timeline, evicting_share, excess, residency, runs

TOKENS = [f"{number:016x}" for number in range(8)]


def published(model: str, token: str, at: float, version: str = "1") -> Change:
    """Publish a model of one file."""
    return Change(at, at, model, "reload.model-added", {version: frozenset({token})})


def loaded(at: float, serial: int, token: str, path: str | None = None) -> dict[str, Any]:
    """Note a load as the witness does."""
    line = {"event": "loaded", "process": 1, "at": at, "serial": serial}
    return line | {"path": path or f"/store/{token}", "files": {"a": token, "b": None}}


def dropped(at: float, serial: int) -> dict[str, Any]:
    """Note that an object was let go, as the witness does."""
    return {"event": "dropped", "process": 1, "at": at, "serial": serial}


def sample(at: float, *gone: str) -> dict[str, Any]:
    """Note what a look at the disk saw."""
    return {"at": at, "memory": 0, "disk": 0, "rss": None, "gone": list(gone)}


def test_count_before_and_at_a_moment() -> None:
    """A step counts from its own moment on, and not just before it."""
    timeline = Timeline.of([(1.0, 1), (2.0, 1), (2.0, 1), (3.0, -3)])
    assert (timeline.at(0.5), timeline.at(2.0), timeline.before(2.0), timeline.at(9.0)) == (0, 3, 1, 0)


def test_window_over_the_limit_is_measured() -> None:
    """Peak, area, time and longest stretch over the limit are those of the staircase."""
    timeline = Timeline.of([(0, 2), (1, 3), (3, 2), (4, -5), (6, 1), (7, -1)])
    found = excess(timeline, 2, 0, 10)
    assert (found.highest, found.peak) == (7, 5)
    assert found.area == pytest.approx(2 * 3 + 1 * 5 + 1 * 1)
    assert found.seconds == pytest.approx(4)
    assert found.longest == pytest.approx(3)


def test_stretch_ends_with_a_run_that_restored_the_limit() -> None:
    """A model that is loaded in the very moment of a run does not join two windows into one."""
    timeline = Timeline.of([(0, 3), (10, -1), (10, 1), (20, -1)])
    assert excess(timeline, 2, 0, 30).longest == pytest.approx(20)
    assert excess(timeline, 2, 0, 30, [10.0]).longest == pytest.approx(10)


def test_runs_are_told_apart_by_their_gaps() -> None:
    """Evictions shortly after one another are one run, with the counts just before and after it."""
    timeline = Timeline.of([(0, 6), (10.0, -1), (10.1, -1), (15, 2), (20.0, -2)])
    found = runs([10.1, 10.0, 20.0, 20.0], timeline, 10)
    assert [(run.begun, run.ended, run.evicted, run.before, run.after) for run in found] == [
        (10.0, 10.1, 2, 6, 4),
        (20.0, 20.0, 2, 6, 4),
    ]


def test_share_tells_runs_from_eviction_on_the_request_path() -> None:
    """Runs fill about a tenth of all tenths of the interval, evictions with every request nearly all."""
    in_runs = [10.0 * number for number in range(1, 10)]
    with_requests = [0.3 * number for number in range(1, 330)]
    assert evicting_share(in_runs, 10, 0, 100) < 0.15
    assert evicting_share(with_requests, 10, 0, 100) > 0.9
    assert evicting_share([], 10, 0, 100) == 0


def test_memory_follows_the_journal_to_the_moment() -> None:
    """Each load adds an object and each drop takes one away; the drop of what is still published is an eviction."""
    changes = [published("a", TOKENS[0], 0), published("b", TOKENS[1], 0)]
    journal = [loaded(1, 1, TOKENS[0]), loaded(2, 2, TOKENS[1]), dropped(5, 1)]
    found = residency(journal, [sample(6)], changes)
    assert (found.memory.at(1), found.memory.at(2), found.memory.at(5)) == (1, 2, 1)
    assert found.memory_evictions == [5]
    assert found.loads == [(1, ("a", "1")), (2, ("b", "1"))]


def test_drop_of_what_was_replaced_is_no_eviction() -> None:
    """An object whose files have been overwritten or removed in the source is let go for that, not evicted."""
    changes = [published("a", TOKENS[0], 0), published("a", TOKENS[1], 3), published("b", TOKENS[2], 0)]
    changes.append(Change(4, 4, "b", "reload.version-removed", {}))
    journal = [loaded(1, 1, TOKENS[0]), loaded(1, 2, TOKENS[2]), dropped(6, 1), dropped(6, 2)]
    assert residency(journal, [sample(7)], changes).memory_evictions == []


def test_disk_counts_models_whose_files_are_there() -> None:
    """A path counts from its load until it is gone, half way between two looks; loading again does not count twice."""
    changes = [published("a", TOKENS[0], 0), published("b", TOKENS[1], 0)]
    journal = [loaded(1, 1, TOKENS[0]), loaded(2, 2, TOKENS[1]), dropped(2.5, 1), loaded(2.7, 3, TOKENS[0])]
    samples = [sample(4), sample(5, f"/store/{TOKENS[0]}"), sample(6)]
    found = residency(journal, samples, changes)
    assert (found.disk.at(1.5), found.disk.at(3), found.disk.at(4.4), found.disk.at(4.6)) == (1, 2, 2, 1)
    assert found.disk_evictions == [4.5]


def test_two_revisions_of_a_version_are_one_model_on_disk() -> None:
    """While the old revision of a model is still there beside the new one, the disk holds one model."""
    changes = [published("a", TOKENS[0], 0), published("a", TOKENS[1], 2)]
    journal = [loaded(1, 1, TOKENS[0]), loaded(3, 2, TOKENS[1])]
    found = residency(journal, [sample(4), sample(5, f"/store/{TOKENS[0]}")], changes)
    assert (found.disk.at(3.5), found.disk.at(6)) == (1, 1)
    assert found.disk_evictions == []
