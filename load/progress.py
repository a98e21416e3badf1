"""What a load run shows at the terminal while it lasts."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from conformance import timing
from load.profile import Profile

_ON_TERMINAL = 0.5
_IN_LOG = 10.0


@dataclass(frozen=True)
class State:
    """What the probe saw last: models in memory and on disk, and all that was ever let go of."""

    memory: int = 0
    disk: int = 0
    dropped: int = 0


class Progress:
    """A bar with the rate, errors and models over the limit; where there is no terminal, a line now and then."""

    def __init__(self, profile: Profile, begun: float, seconds: float) -> None:
        self._profile = profile
        self._begun = begun
        self._seconds = seconds
        self._console = Console(stderr=True)
        self._last = (begun, 0)
        columns = (BarColumn(bar_width=20), TimeElapsedColumn(), TextColumn("{task.description}"))
        self._bar = Bar(*columns, console=self._console, auto_refresh=False, transient=True)
        self._task = self._bar.add_task("", total=seconds)

    @property
    def period(self) -> float:
        """Seconds between two looks."""
        return _ON_TERMINAL if self._console.is_terminal else _IN_LOG

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._bar.stop()

    def show(self, state: State, requests: int, failures: int) -> None:
        """Show what is known now."""
        now = timing.now()
        before, counted = self._last
        rate = (requests - counted) / (now - before) if now > before else 0.0
        self._last = (now, requests)
        text = f"{rate:,.0f} requests/s, {requests:,} in all, {failures:,} errors{self._cache(state)}"
        if self._console.is_terminal:
            self._bar.update(self._task, completed=min(now - self._begun, self._seconds), description=text)
            self._bar.refresh()
        else:
            print(f"{now - self._begun:6.0f} s of {self._seconds:.0f} s: {text}", file=sys.stderr, flush=True)

    def _cache(self, state: State) -> str:
        cache = self._profile.cache
        over = max(0, state.memory - cache.cache_size)
        over_disk = max(0, state.disk - cache.disk_cache_size)
        told = f", {state.memory} models in memory ({over} over the limit)"
        return f"{told}, {state.disk} on disk ({over_disk} over)" if self._profile.trees.source == "s3" else told
