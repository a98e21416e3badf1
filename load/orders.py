"""Orders: which user asks for which model when, as far as that is settled beforehand; pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from load.popularity import Draws, shares
from load.profile import Profile, Ramp, Rate
from load.records import LATEST


@dataclass(frozen=True)
class Order:
    """One request to be sent: the moment at which it is due, the number of the model, and the version or LATEST."""

    due: float
    model: int
    version: int = LATEST


@dataclass(frozen=True)
class Wave:
    """Requests due at once: one for each of `count` models from `first` on, or one of each user for that model."""

    number: int
    first: int
    count: int
    same: bool


def stream(profile: Profile, traffic: Rate | Ramp, *, sender: int, user: int, begun: float) -> Iterator[Order]:
    """Give the requests of one user for ever; equal seeds, senders and users give equal ones.

    They are evenly spaced, so that all users together keep the rate, and begin anywhere in the first period. A request
    that cannot be sent in time is to be sent late: none is left out.
    """
    random = Random(f"{profile.seed} {sender} {user}")
    draws = Draws(shares(profile.trees.models, traffic.exponent), random)
    due = begun + random.random() * traffic.users / traffic.rate_at(0.0)
    while True:
        is_explicit = random.random() < traffic.explicit_versions
        yield Order(due, draws.next(), random.randint(1, profile.trees.versions) if is_explicit else LATEST)
        due += traffic.users / traffic.rate_at(due - begun)


def part(wave: Wave, *, place: int, users: int, models: int, due: float) -> Iterator[Order]:
    """Give what one of so many users has to ask for in a wave; `place` counts the users of all senders from 0."""
    if wave.same:
        yield Order(due, wave.first % models)
        return
    for offset in range(place, wave.count, users):
        yield Order(due, (wave.first + offset) % models)
