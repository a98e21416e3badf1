"""Which folders are versions, and which of them is the latest."""

import pytest

from conformance.marks import Grow, Planting, clause, planting
from conformance.stand import Stand
from fixtures.trees import versions


def _numbered(grow: Grow, *names: str) -> Planting:
    return Planting({"model": versions({name: grow() for name in names})})


def _two_versions(grow: Grow) -> Planting:
    return _numbered(grow, "1", "2")


@clause("layouts.versioned")
@planting(_two_versions)
def test_every_version_is_served(stand: Stand) -> None:
    """Each integer folder is a version of its own."""
    stand.expect_served("model", "1", version="1")
    stand.expect_served("model", "2", version="2")


# Strings order 9 last and 1523423423 before 9; the highest is uploaded first, so that the order of time misleads too.
def _latest_contradicts_strings(grow: Grow) -> Planting:
    return _numbered(grow, "1523423423", "10", "9")


def _latest_contradicts_length(grow: Grow) -> Planting:
    return _numbered(grow, "100", "99", "20")


@clause("layouts.latest-is-highest")
@planting(_latest_contradicts_strings)
def test_latest_is_the_highest_number(stand: Stand) -> None:
    """Of 9, 10 and 1523423423 the latest is 1523423423, though it was published first."""
    stand.expect_served("model", "1523423423")


@clause("layouts.latest-is-highest")
@planting(_latest_contradicts_length)
def test_latest_is_not_the_last_by_string(stand: Stand) -> None:
    """Of 20, 99 and 100 the latest is 100."""
    stand.expect_served("model", "100")


ANY_INTEGERS = ("0", "7", "1523423423", str(2**63), str(2**64 + 1), "1" + "0" * 40)


def _any_integer(grow: Grow) -> Planting:
    return _numbered(grow, *ANY_INTEGERS)


@pytest.mark.parametrize("version", ANY_INTEGERS)
@clause("layouts.any-integer")
@planting(_any_integer)
def test_any_integer_is_a_version(stand: Stand, version: str) -> None:
    """0, a small number, a timestamp and numbers beyond 64 bit are versions."""
    stand.expect_served("model", version, version=version)


def _zero_alone(grow: Grow) -> Planting:
    return _numbered(grow, "0")


@clause("layouts.any-integer")
@planting(_zero_alone)
def test_zero_can_be_the_latest(stand: Stand) -> None:
    """A model whose only version is 0 has a latest version."""
    stand.expect_served("model", "0")


def _below_zero(grow: Grow) -> Planting:
    return _numbered(grow, "-1", "1")


@clause("layouts.negative-integer")
@planting(_below_zero)
def test_negative_integer_is_a_version(stand: Stand) -> None:
    """Folder -1 is a version that can be asked for, and 1 is above it."""
    stand.expect_served("model", "-1", version="-1")
    stand.expect_served("model", "1")


def _all_negative(grow: Grow) -> Planting:
    return _numbered(grow, "-10", "-9")


@clause("layouts.negative-integer")
@planting(_all_negative)
def test_negative_integers_order_as_numbers(stand: Stand) -> None:
    """-9 is above -10."""
    stand.expect_served("model", "-9")


NOT_INTEGERS = ("v2", "1.0", "+1", "1e3", "½", "\N{ARABIC-INDIC DIGIT ONE}", "1_000", "0x10")


def _not_integers_beside_a_version(grow: Grow) -> Planting:
    # For the python predictor such a mixture is unspecified: any structure is a model.
    if grow.predictor == "python":
        return Planting({"model": versions({name: grow() for name in NOT_INTEGERS})})
    return _numbered(grow, "5", *NOT_INTEGERS)


@clause("layouts.not-an-integer")
@planting(_not_integers_beside_a_version)
def test_other_names_are_not_versions(stand: Stand) -> None:
    """v2, 1.0, +1, 1e3, ½, an Arabic 1, 1_000 and 0x10 are no versions, and what else the level holds is served.

    To the python predictor a level of such folders alone is one unversioned model; to the others 5 is its one version.
    """
    stand.expect_served("model", "" if stand.predictor == "python" else "5")


@clause("layouts.not-an-integer")
@planting(_not_integers_beside_a_version, predictors=("onnx", "tensorflow"))
def test_other_names_cannot_be_asked_for(stand: Stand) -> None:
    """Asking for a folder that is no integer as a version never serves its content."""
    for name in NOT_INTEGERS:
        stand.expect_refused("model", version=name)


def _leading_zeros(grow: Grow) -> Planting:
    return _numbered(grow, "007")


@pytest.mark.parametrize("version", ["007", "7", "latest"])
@clause("layouts.leading-zeros")
@planting(_leading_zeros)
def test_leading_zeros_do_not_count(stand: Stand, version: str) -> None:
    """Folder 007 is version 7: found as 007, as 7 and as the latest."""
    stand.expect_served("model", "007", version=version)
