"""Runs that never were: observations of a server that evicts in some way, for what is made of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any, Literal

from conformance.source_states import Change
from load.observations import Observations, Usage
from load.popularity import Draws, shares
from load.profile import Rate, load_profile
from load.records import LATEST, Answer, Kind, Ledger, Sheet
from load.stage import Ending, Opening

Way = Literal["in runs", "all the time", "never"]

BEGUN = 1000.0
INTERVAL = 10.0
OVERRIDES = [
    *("trees.models=60", "cache.cache_size=10", "cache.disk_cache_size=60", "trees.source=local"),
    *("traffic.rate=10", "traffic.users=10", "traffic.duration=100", "traffic.warm_up=20"),
    *("validity.requests=500", "limits.prediction=0.15"),
]


@dataclass
class _Cache:
    """A cache as a server has it, with the journal that the witness writes in it."""

    way: Way
    journal: list[dict[str, Any]]
    serials: dict[int, int]

    def ask(self, model: int, at: float) -> Kind:
        """Use a model; the order of the dictionary is that of use."""
        serial = self.serials.pop(model, None)
        kind = Kind.HIT if serial is not None else Kind.COLD
        if serial is None:
            serial = len(self.journal) + 1
            files = {"model": token(model)}
            line = {"event": "loaded", "process": 1, "at": at, "serial": serial}
            self.journal.append(line | {"path": f"/store/{model}", "files": files})
        self.serials[model] = serial
        if self.way == "all the time":
            self.evict(at + 0.01)
        return kind

    def evict(self, at: float) -> None:
        """Let go of what was used least recently."""
        while len(self.serials) > 10:
            serial = self.serials.pop(next(iter(self.serials)))
            self.journal.append({"event": "dropped", "process": 1, "at": at, "serial": serial})


def token(model: int) -> str:
    """Give the token of a model."""
    return f"{model:016x}"


def observe(way: Way = "in runs", *, overrides: Sequence[str] = (), late: float = 0.0, wrong: int = 0) -> Observations:
    """Observe 120 seconds of traffic.

    Every fiftieth request starts `late` seconds too late, and `wrong` answers are those of another model.
    """
    profile = load_profile("steady", [*OVERRIDES, *overrides])
    assert isinstance(profile.traffic, Rate)
    cache = _Cache(way, [], {})
    draws = Draws(shares(profile.trees.models, profile.traffic.exponent), Random(5))
    sheet, ledger = Sheet(), Ledger()
    next_run = BEGUN + INTERVAL
    for number in range(1200):
        due = BEGUN + number / 10
        if due >= next_run:
            if way == "in runs":
                cache.evict(next_run)
            next_run += INTERVAL
        model = draws.next()
        kind = cache.ask(model, due + 0.001)
        begun = due + (late if number % 50 == 0 else 0.0)
        seconds = 0.002 if kind is Kind.HIT else 0.05
        shown = (model + 1) % 60 if number >= 1200 - wrong else model
        sheet.add((due, begun, begun + seconds), model, LATEST, Answer(200, (token(shown),), "1", number + 1, kind))
    ledger.put(sheet.take())
    ended = BEGUN + 120
    samples = [
        {"at": BEGUN + number / 5, "memory": 0, "disk": 0, "rss": 50_000_000 + number, "gone": []}
        for number in range(601)
    ]
    return Observations(
        profile=profile,
        implementation={"name": "a server of the tests", "version": "1", "url": "https://example.org"},
        host=None,
        opening=Opening(
            url="http://127.0.0.1:1",
            reload_interval=10,
            evict_interval=INTERVAL,
            staleness=25,
            staleness_formula="25 s",
        ),
        ending=Ending(),
        begun_at=BEGUN,
        measured_from=BEGUN + 20,
        ended_at=ended,
        interrupted=False,
        waves=[],
        ledger=ledger,
        changes=[
            Change(1.0, 1.0, profile.model_name(model), "reload.model-added", {"1": frozenset({token(model)})})
            for model in range(60)
        ],
        publications=[],
        journal=cache.journal,
        samples=samples,
        usage={"local": [Usage(BEGUN + second, second * 0.2) for second in range(121)]},
        locust_requests=1200,
        senders=1,
        senders_missing=0,
    )


def busy(seen: Observations, share: float) -> Observations:
    """Let the process that sends requests need this share of a processor."""
    return replace(seen, usage={"local": [Usage(BEGUN + second, second * share) for second in range(121)]})
