"""Clocks of other machines: what ours shows when theirs shows something, from questions and answers between them."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from pathlib import Path

_BOOT = Path("/proc/sys/kernel/random/boot_id")


def machine() -> str:
    """Name the machine whose clock `timing.now` reads, the same in all of its processes; empty if it has no name."""
    return _BOOT.read_text(encoding="ascii").strip() if _BOOT.exists() else ""


@dataclass(frozen=True)
class Offset:
    """What our clock shows more than another one: some value between `low` and `high`, in seconds."""

    low: float = -inf
    high: float = inf

    def heard(self, asked: float, theirs: float, answered: float) -> Offset:
        """Narrow it down by one answer: their clock showed `theirs` between two moments of ours."""
        return Offset(max(self.low, asked - theirs), min(self.high, answered - theirs))

    @property
    def middle(self) -> float:
        """The best guess."""
        return (self.low + self.high) / 2

    @property
    def uncertainty(self) -> float:
        """How far apart the bounds are, in seconds."""
        return max(0.0, self.high - self.low)


SAME_CLOCK = Offset(0.0, 0.0)
