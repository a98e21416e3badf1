"""Orders: what all users together ask for, and when."""

import itertools
from collections import Counter

import pytest

from load.orders import Order, Wave, part, stream
from load.popularity import shares
from load.profile import Profile, Ramp, Rate, load_profile
from load.records import LATEST

SECONDS = 200.0


def orders(profile: Profile, *, seconds: float = SECONDS, sender: int = 0) -> list[Order]:
    """Give what all users ask for within some seconds after the beginning at 1000."""
    assert isinstance(profile.traffic, (Rate, Ramp))
    found: list[Order] = []
    for user in range(profile.traffic.users):
        own = stream(profile, profile.traffic, sender=sender, user=user, begun=1000.0)
        found += itertools.takewhile(lambda order: order.due < 1000.0 + seconds, own)
    return sorted(found, key=lambda order: order.due)


def test_users_together_keep_the_rate() -> None:
    """However many users share it, the promised rate is kept over any ten seconds, from the first moment on."""
    profile = load_profile("steady", ["traffic.rate=25", "traffic.users=40", "validity.requests=800"])
    dues = [order.due for order in orders(profile)]
    assert min(dues) >= 1000.0
    for start in range(1000, 1190, 10):
        assert sum(start <= due < start + 10 for due in dues) == pytest.approx(250, abs=40)
    assert len(dues) == pytest.approx(25 * SECONDS, abs=40)


def test_popularity_is_that_of_the_profile() -> None:
    """The share of the most popular models in many requests is what Zipf's law gives them."""
    profile = load_profile("steady", ["traffic.rate=100", "traffic.exponent=1.0", "trees.models=50"])
    asked = Counter(order.model for order in orders(profile))
    total = sum(asked.values())
    for model, share in enumerate(shares(50, 1.0)[:5]):
        assert asked[model] / total == pytest.approx(share, rel=0.1)
    assert max(asked) < 50


def test_explicit_versions_have_their_share() -> None:
    """So many of the requests name a version that was there at the beginning; the others ask for the latest."""
    profile = load_profile("churn", ["traffic.rate=50", "traffic.explicit_versions=0.3", "trees.versions=3"])
    asked = Counter(order.version for order in orders(profile))
    assert asked.keys() == {LATEST, 1, 2, 3}
    assert 1 - asked[LATEST] / sum(asked.values()) == pytest.approx(0.3, abs=0.03)


def test_ramp_grows_from_step_to_step() -> None:
    """The first rate lasts through the warm-up and the first step; each step after that has more, by the factor."""
    profile = load_profile("ramp", ["traffic.first_rate=20", "traffic.factor=2", "traffic.warm_up=20"])
    dues = [order.due - 1000.0 for order in orders(profile, seconds=60)]
    counts = [sum(start <= due < start + 10 for due in dues) for start in range(0, 60, 10)]
    # A user goes on with the period of the step in which its last request was due.
    assert counts[0] == counts[1] == pytest.approx(200, abs=40)
    assert counts[2] == pytest.approx(200, abs=40)
    assert counts[3] == pytest.approx(400, abs=120)
    assert counts[5] == pytest.approx(1600, abs=300)


def test_equal_seeds_ask_the_same_and_senders_do_not() -> None:
    """A run can be repeated, and two senders do not send the same requests twice."""
    profile = load_profile("steady")
    assert orders(profile, seconds=5) == orders(profile, seconds=5)
    assert orders(profile, seconds=5) != orders(profile, seconds=5, sender=1)


@pytest.mark.parametrize(("count", "users"), [(40, 40), (61, 40), (5, 12), (100, 7)])
def test_users_share_a_wave(count: int, users: int) -> None:
    """All users together ask for each model of a wave once, beginning anew where the models end."""
    wave = Wave(2, first=90, count=count, same=False)
    asked = [order.model for place in range(users) for order in part(wave, place=place, users=users, models=120, due=0)]
    assert sorted(asked) == sorted((90 + number) % 120 for number in range(count))


def test_everyone_asks_for_the_same_model_in_a_stampede() -> None:
    """In a wave for one model, each user sends one request for it."""
    wave = Wave(2, first=130, count=1, same=True)
    asked = [list(part(wave, place=place, users=5, models=120, due=3)) for place in range(5)]
    assert asked == [[Order(3, 10)]] * 5
