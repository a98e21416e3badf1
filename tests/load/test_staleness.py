"""Staleness: what the answers say of a publication from both sides."""

from conformance.source_states import Change
from load.records import LATEST, Answer, Kind, Ledger, Sheet
from load.staleness import staleness

OLD, NEW, NEWER = "01" * 8, "02" * 8, "03" * 8


def change(ended: float, event: str, versions: dict[str, str]) -> Change:
    """Publish versions of one file each."""
    return Change(ended - 0.1, ended, "a", event, {name: frozenset({token}) for name, token in versions.items()})


def asked(*answers: tuple[float, str, int]) -> Ledger:
    """Answer requests of a tenth of a second, by moment, token and version."""
    sheet, ledger = Sheet(), Ledger()
    for at, token, version in answers:
        sheet.add((at, at, at + 0.1), 0, version, Answer(200, (token,), "1", 1, Kind.HIT))
    ledger.put(sheet.take())
    return ledger


def test_truth_lies_between_the_last_old_and_the_first_new_answer() -> None:
    """The last request answered from before counts when it is sent, the first that shows it when it is answered."""
    publication = (change(10, "reload.version-added", {"1": OLD, "2": NEW}),)
    ledger = asked((9, OLD, LATEST), (11, OLD, LATEST), (12, OLD, LATEST), (14, NEW, LATEST), (15, OLD, 1))
    (found,) = staleness([publication], ledger.rows(), ledger, ["a"])
    assert round(found.last_old, 6) == 2
    assert found.first_new is not None
    assert round(found.first_new, 6) == 4.1


def test_publication_counts_until_the_next_one() -> None:
    """A publication that no answer showed before the model changed again is not measured by later answers."""
    first = (change(10, "reload.updated-in-place", {"1": NEW}),)
    second = (change(20, "reload.updated-in-place", {"1": NEWER}),)
    ledger = asked((11, OLD, LATEST), (25, NEW, LATEST), (26, NEWER, LATEST))
    one, two = staleness([first, second], ledger.rows(), ledger, ["a"])
    assert one.first_new is None
    assert round(two.last_old, 6) == 5


def test_publication_of_several_keys_is_whole_with_the_last() -> None:
    """Time counts from the end of the last key, and what was half there is not yet what was published."""
    half = Change(9, 9.1, "a", "reload.version-added", {"1": frozenset({OLD}), "2": frozenset({NEW})})
    whole = Change(9.8, 10, "a", "reload.version-added", {"1": frozenset({OLD}), "2": frozenset({NEW, NEWER})})
    ledger = asked((10.5, NEW, LATEST))
    (found,) = staleness([(half, whole)], ledger.rows(), ledger, ["a"])
    assert found.first_new is None
    assert round(found.last_old, 6) == 0.5
