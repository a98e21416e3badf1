"""What the inventory knows of one model: its versions on offer, their content on disk, what was left aside."""

import threading
import time
from dataclasses import dataclass, field

from reference.layout import Version
from reference.sources import File, Source
from reference.store import Revision

DOWNLOAD_RETRY_AT_MOST = 60.0
"""Seconds between two attempts to download what the source refuses."""


@dataclass(slots=True)
class Entry:
    """One version that is offered."""

    version: Version
    stamp: int
    """Changes with the content that is offered."""
    revisions: list[tuple[int, Revision]] = field(default_factory=list)
    """On disk, with their stamps. Newest first, then the last good one until the newest is proven."""
    failure: str | None = None
    """Why the newest could not be loaded."""


@dataclass(slots=True)
class Held:
    """One model of the source."""

    name: str
    source: Source
    root: str
    entries: dict[str, Entry] = field(default_factory=dict)
    aside: dict[str, str] = field(default_factory=dict)
    listed: list[File] | None = None
    """The listing that is settled; None if it has to be looked at again."""
    looked_at: float = 0.0
    """When that listing began, on the monotonic clock."""
    retry_at: float | None = None
    """When to try again what the source refused; at the next scan, then after twice the time with every refusal."""
    delay: float = 0.0
    busy: threading.Lock = field(default_factory=threading.Lock)

    def postpone(self, refused: bool) -> None:
        """Plan when to look again although the listing is the same."""
        self.retry_at = time.monotonic() + self.delay if refused else None
        self.delay = min(max(1.0, 2 * self.delay), DOWNLOAD_RETRY_AT_MOST) if refused else 0.0
