"""Observations: all that was seen of a load run, before anything is made of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from conformance.source_states import Change
from load.profile import Profile
from load.records import Ledger
from load.stage import Ending, Opening


class Usage(NamedTuple):
    """How many seconds of processor time a process that sends requests had used by a moment."""

    at: float
    seconds: float


@dataclass(frozen=True)
class Observations:
    """A run as it was seen; all moments are those of `timing.now` on the machine of the conductor.

    `changes` are all there ever were, `publications` those made under traffic, each with all that it consists of;
    `locust_requests` is Locust's own count, and `senders_missing` of the `senders` gave no last report.
    """

    profile: Profile
    implementation: Mapping[str, str]
    host: str | None
    opening: Opening
    ending: Ending
    begun_at: float
    measured_from: float
    ended_at: float
    interrupted: bool
    waves: Sequence[float]
    ledger: Ledger
    changes: Sequence[Change]
    publications: Sequence[tuple[Change, ...]]
    journal: Sequence[Mapping[str, Any]]
    samples: Sequence[Mapping[str, Any]]
    usage: Mapping[str, Sequence[Usage]]
    locust_requests: int
    senders: int
    senders_missing: int

    @property
    def lasted_until(self) -> float:
        """The moment of the last sample, when the traffic had ended."""
        return float(self.samples[-1]["at"]) if self.samples else self.ended_at
