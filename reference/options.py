"""What the command line says."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Options:
    """The command line; intervals in seconds."""

    project: Path
    host: str
    port: int
    reload_interval: float
    evict_interval: float
    body_limit: int
    request_timeout: float | None
    store: Path | None
    control: bool
