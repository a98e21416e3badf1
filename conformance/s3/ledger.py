"""The ledger: what servers asked of S3, as the recording proxy saw it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Entry:
    """One request of a server and what S3 answered.

    `begun` and `ended` are moments of `timing.now`; `prefix` is that of a listing, None for other requests.
    """

    begun: float
    ended: float
    method: str
    bucket: str
    key: str
    prefix: str | None
    status: int
    size: int

    def to_line(self) -> str:
        """Write the entry as one line of JSON."""
        return json.dumps(asdict(self), ensure_ascii=False) + "\n"


def read_ledger(file: Path) -> list[Entry]:
    """Read the entries written so far, in the order in which their requests ended."""
    if not file.exists():
        return []
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    return [Entry(**json.loads(line)) for line in lines if line.endswith("\n")]
