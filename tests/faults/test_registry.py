"""What there is of changed servers: enough to show that each clause can fail, and how several make one."""

from dataclasses import replace

import pytest

from conformance.hardware.detection import MISSING
from tests.faults import registry
from tests.faults.judging import CATALOGUE
from tests.faults.registry import ChangeError, changes, find

FAULTS = {name: change for name, change in changes().items() if change.is_fault}
VARIATIONS = {name: change for name, change in changes().items() if not change.is_fault}


def test_there_are_enough_of_them() -> None:
    """At least sixty faulty servers and twenty harmless variations are judged."""
    assert len(FAULTS) >= 60
    assert len(VARIATIONS) >= 20


def test_every_clause_has_a_fault_of_its_own() -> None:
    """For every clause that needs no special hardware there is a fault that was written to break it."""
    broken = {clause for change in FAULTS.values() for clause in change.breaks}
    judged = [clause for clause, entry in CATALOGUE.items() if entry.family not in MISSING]
    assert [clause for clause in judged if clause not in broken] == []


def test_clauses_are_broken_by_faults_of_others_too() -> None:
    """At least ten clauses are broken by a fault that was not written for them."""
    assert len({clause for change in FAULTS.values() for clause in change.also}) >= 10


def test_faults_break_what_their_servers_are_judged_by() -> None:
    """Every clause that a fault breaks is in the catalogue, once in its list, and speaks of one of its servers."""
    for change in FAULTS.values():
        assert not change.breaks & change.also, change.name
        assert change.clauses <= CATALOGUE.keys(), change.name
        for clause in change.clauses:
            assert any(server.concerns(CATALOGUE[clause]) for server in change.on), (change.name, clause)


def test_changes_say_where_they_come_from() -> None:
    """Every change tells what it does, where it was seen or why it is allowed, and on what it is judged."""
    for change in changes().values():
        assert change.description, change.name
        assert change.seen.strip(), change.name
        assert change.on, change.name


def test_variations_go_together() -> None:
    """Two variations make one server, judged in time if one of them shows only then."""
    both = find("slow-loads+waits-for-two-equal-scans+paths-side-by-side")
    assert both.name == "slow-loads+waits-for-two-equal-scans+paths-side-by-side"
    assert both.clock == "timed"
    assert both.intervals == {"passes": 3, "scan": "parallel"}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("latest-by-strin", "there is no change 'latest-by-strin'; did you mean 'latest-by-string'?"),
        ("slow-loads+latest-by-string", "'latest-by-string' is a fault, and only variations go together"),
        ("one-thread+slow-loads", "are judged on different servers: without-threads, everything"),
    ],
)
def test_what_cannot_be_judged_is_refused(name: str, message: str) -> None:
    """A name that means no server is refused with the reason."""
    with pytest.raises(ChangeError) as refusal:
        find(name)
    assert message in str(refusal.value)


def test_variations_must_declare_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two variations that declare different figures of one kind do not go together."""
    slower = replace(VARIATIONS["slow-loads"], intervals={"passes": 4})
    monkeypatch.setattr(registry, "changes", lambda: VARIATIONS | {"slow-loads": slower})
    with pytest.raises(ChangeError, match="do not declare the same 'passes'"):
        find("slow-loads+waits-for-two-equal-scans")
