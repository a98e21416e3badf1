"""The reference with a change: `python -m tests.load.changed_server CHANGE serve PROJECT ...`.

The change is made at import, so that the processes that the server starts, which import this module again, have it too.
"""

import itertools
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

from reference.__main__ import main
from reference.eviction import Eviction
from reference.models import Models
from reference.resident import Resident

_NAME = "SERVECHECK_CHANGE"

# Requests until a change shows.
_MANY = 60


def _evict_on_request() -> None:
    """Evict whatever is too much inside the request that has loaded a model, and never between requests."""
    start, load = Eviction.start, Models._load  # noqa: SLF001 - what a change is about lies inside
    evictions: list[Eviction] = []

    def start_without_runs(self: Eviction, _: float | None) -> None:
        evictions.append(self)
        start(self, None)

    def load_and_evict(self: Models, name: str | None, version: object) -> Resident:
        resident = load(self, name, version)
        for eviction in evictions:
            eviction.run()
        return resident

    Eviction.start = start_without_runs  # type: ignore[method-assign]
    Models._load = load_and_evict  # type: ignore[method-assign]  # noqa: SLF001 - as above


def _never_evict() -> None:
    """Let the runs come, and do nothing in them."""

    def run(self: Eviction, *_: Any) -> None:
        del self

    Eviction.run = run  # type: ignore[method-assign]


def _answer_from_another_model() -> None:
    """Give every sixtieth request the model that the one before it asked for."""
    get = Models.get
    numbers = itertools.count(1)
    last: list[str | None] = []

    def get_or_confuse(self: Models, name: str | None, version: str | None) -> Resident:
        asked = last.pop() if last and next(numbers) % _MANY == 0 else name
        last[:] = [name]
        return get(self, asked, version)

    Models.get = get_or_confuse  # type: ignore[method-assign]


def _die() -> None:
    """End after sixty requests."""
    get = Models.get
    numbers = itertools.count(1)

    def get_or_die(self: Models, name: str | None, version: str | None) -> Resident:
        if next(numbers) > _MANY:
            os._exit(70)
        return get(self, name, version)

    Models.get = get_or_die  # type: ignore[method-assign]


CHANGES: Mapping[str, Callable[[], None]] = {
    "evicts-on-request": _evict_on_request,
    "never-evicts": _never_evict,
    "answers-from-another-model": _answer_from_another_model,
    "dies": _die,
}

if _NAME not in os.environ:
    os.environ[_NAME] = sys.argv.pop(1)
CHANGES[os.environ[_NAME]]()

if __name__ == "__main__":
    sys.exit(main())
