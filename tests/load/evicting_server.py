"""The reference with another eviction: `python -m tests.load.evicting_server on-request|never serve PROJECT ...`.

The change is made at import, so that the processes that the server starts, which import this module again, have it too.
"""

import os
import sys
from typing import Any

from reference.__main__ import main
from reference.eviction import Eviction
from reference.models import Models
from reference.resident import Resident

_NAME = "SERVECHECK_EVICTION"


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


_WAYS = {"on-request": _evict_on_request, "never": _never_evict}

if _NAME not in os.environ:
    os.environ[_NAME] = sys.argv.pop(1)
_WAYS[os.environ[_NAME]]()

if __name__ == "__main__":
    sys.exit(main())
