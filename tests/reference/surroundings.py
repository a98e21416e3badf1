"""What a slot needs from its surroundings, without processes."""

from collections.abc import Callable
from typing import Any

from reference import resident
from reference.resident import Candidate, Slot, Supply


class Content:
    """What a load gives; it can be watched."""

    def __init__(self, path: str) -> None:
        self.path = path


class Surroundings:
    """What a slot needs: `offered` is what may be loaded, `broken` the paths that cannot."""

    def __init__(self, *offered: Candidate) -> None:
        self.offered = list(offered)
        self.broken: set[str] = set()
        self.loads: list[str] = []
        self.reports: list[tuple[int, str | None]] = []
        self.on_load: Callable[[], object] = lambda: None
        self.asked: list[tuple[str, str, int]] = []
        self.supply = Supply(self.candidates, self.load, self.report)

    def candidates(self, name: str, label: str, stamp: int) -> list[Candidate]:
        """Lease what may be loaded."""
        self.asked.append((name, label, stamp))
        return list(self.offered)

    def load(self, name: str, path: str) -> Any:
        """Load one path."""
        assert name == "m"
        self.loads.append(path)
        self.on_load()
        if path in self.broken:
            raise ValueError(path)
        return Content(path)

    def report(self, slot: Slot, candidate: Candidate, started: float, failure: str | None) -> None:
        """Take in an outcome."""
        assert slot.name == "m"
        assert started <= resident.time.monotonic()
        self.reports.append((candidate.revision, failure))

    def released(self) -> list[int]:
        """Return the revisions whose lease ended since the last call."""
        queue = self.supply.released
        return [queue.get_nowait() for _ in range(queue.qsize())]  # type: ignore[misc]

    def slot(self, stamp: int) -> Slot:
        """Make a slot for the version `1`."""
        return Slot("m", "1", stamp, self.supply)


OLD, NEW = Candidate(10, 1, "old"), Candidate(20, 2, "new")
