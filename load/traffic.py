"""Traffic: when which user asks for which model, in the process that sends the requests.

Everything waits for the conductor's word, so that users in several processes and on several machines begin together.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import gevent
from gevent.event import Event
from pydantic import BaseModel, ConfigDict

from conformance import timing
from load.clocks import machine
from load.orders import Order, Wave, part, stream
from load.profile import Profile, Waves
from load.records import LATEST, Answer, Kind, Sheet

# Seconds between two looks at how busy this process is.
_LOOK_EVERY = 1.0
# A user with nothing more to do waits to be stopped.
_FOREVER = 3600.0

_KINDS = {"hit": Kind.HIT, "disk": Kind.DISK, "cold": Kind.COLD}


class Briefing(BaseModel):
    """What a process that sends requests must know."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    profile: Profile
    predict: str
    patience: float


class Traffic:
    """The traffic of one process."""

    def __init__(self, briefing: Briefing) -> None:
        self.briefing = briefing
        self.sheet = Sheet()
        self._index = 0
        self._processes = 1
        self._users = 0
        self._busy = 0
        self._begun = Event()
        self._begun_at = 0.0
        self._news = Event()
        self._wave = Wave(0, 0, 0, same=False)
        self._over = False
        self._usage: list[tuple[float, float]] = []
        self._watching = gevent.spawn(self._watch)

    # --- what the conductor says ---

    def begin(self, index: int, processes: int) -> None:
        """Let the traffic begin; this process is one of so many, counted from 0."""
        self._index = index
        self._processes = processes
        self._begun_at = timing.now()
        self._begun.set()

    def wave(self, wave: Wave) -> None:
        """Let a wave begin."""
        self._wave = wave
        news, self._news = self._news, Event()
        news.set()

    def drain(self) -> None:
        """Send nothing more, and return when all answers are there or the patience is over."""
        self._over = True
        timing.poll(lambda: None if self._busy else True, until=timing.now() + self.briefing.patience)
        self._watching.kill()

    def report(self) -> dict[str, Any]:
        """Give what happened since the last report, as a message."""
        usage, self._usage = self._usage, self._usage[-1:]
        return {**self.sheet.take(), "usage": usage, "machine": machine()}

    # --- what users do ---

    def orders(self) -> Iterator[Order]:
        """Give the requests of one more user, each at the moment at which it is due."""
        user = self._users
        self._users += 1
        self._begun.wait()
        for order in self._own_orders(user):
            gevent.sleep(max(0.0, order.due - timing.now()))
            if self._over:
                break
            yield order
        while True:
            gevent.sleep(_FOREVER)

    def send(self, order: Order, post: Callable[[str], Answer]) -> None:
        """Send a request and note what became of it."""
        asked: dict[str, str] = {"name": self.briefing.profile.model_name(order.model)}
        if order.version != LATEST:
            asked["version"] = str(order.version)
        body = json.dumps(asked)
        self._busy += 1
        begun = timing.now()
        try:
            answer = post(body)
            self.sheet.add((order.due, begun, timing.now()), order.model, order.version, answer)
        finally:
            self._busy -= 1

    def _own_orders(self, user: int) -> Iterator[Order]:
        profile = self.briefing.profile
        if not isinstance(profile.traffic, Waves):
            return stream(profile, profile.traffic, sender=self._index, user=user, begun=self._begun_at)
        return self._wave_orders(profile.traffic, user * self._processes + self._index)

    def _wave_orders(self, traffic: Waves, place: int) -> Iterator[Order]:
        models = self.briefing.profile.trees.models
        seen = 0
        while True:
            while self._wave.number == seen:
                self._news.wait()
            wave = self._wave
            seen = wave.number
            yield from part(wave, place=place, users=traffic.users, models=models, due=timing.now())

    def _watch(self) -> None:
        while True:
            self._usage.append((timing.now(), time.process_time()))
            gevent.sleep(_LOOK_EVERY)


def read_answer(status: int, text: str | None) -> Answer:
    """Read what the witness answered; anything else is an error."""
    if status == 200 and text:
        try:
            body = json.loads(text)
            kind = _KINDS.get(body.get("kind"), Kind.UNTOLD)
            return Answer(status, tuple(body["tokens"]), str(body["process"]), int(body.get("served", 0)), kind)
        except (ValueError, KeyError, TypeError, AttributeError):
            pass
    return Answer(status)
