"""The ledger: what servers asked of S3, as the recording proxy saw it."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from http import HTTPStatus
from pathlib import Path

from conformance.growing_file import GrowingFile
from conformance.history import Event
from conformance.s3.faults import LATE, FaultKind


@dataclass(frozen=True)
class Entry:
    """One request of a server and what S3 answered.

    `begun` and `ended` are moments of `timing.now`; `prefix` is that of a listing, None for other requests.
    `status` is 0 when the connection was broken off before there was an answer: by the proxy for a test, or by the
    server, at `ended`. `fault` is what the suite had the proxy do to the request.
    """

    begun: float
    ended: float
    method: str
    bucket: str
    key: str
    prefix: str | None
    status: int
    size: int
    fault: FaultKind | None = None

    def to_event(self) -> Event:
        """Write the request for a timeline."""
        asked = f"{self.method} {self.key}" if self.prefix is None else f"LIST {self.prefix}"
        got = "no answer" if self.status == 0 else f"{self.status}, {self.size} bytes"
        done = f" ({self.fault} for the test)" if self.fault is not None else ""
        return Event(self.begun, self.ended, f"{asked} -> {got}{done}", about=None)

    def to_line(self) -> str:
        """Write the entry as one line of JSON."""
        return json.dumps(asdict(self), ensure_ascii=False) + "\n"

    @classmethod
    def from_line(cls, line: bytes) -> Entry:
        """Read what `to_line` wrote."""
        return cls(**json.loads(line))


@dataclass(frozen=True)
class Request:
    """A request of a server as a test sees it: an entry of the ledger, and the models of the test that it concerns.

    A GET or HEAD concerns one model, and `key` is that of the file within the model; a listing concerns each model
    that may be in it, and has no key.
    """

    entry: Entry
    models: tuple[str, ...]
    key: str | None

    @property
    def is_download(self) -> bool:
        """Whether the content of a file was given, in whole or in part."""
        return self.entry.method == "GET" and not self.is_listing and self.entry.status in {200, 206}

    @property
    def is_listing(self) -> bool:
        """Whether keys were asked for, and not an object."""
        return self.entry.prefix is not None

    @property
    def is_failure_of_s3(self) -> bool:
        """Whether S3 failed by itself, and not for a test: it answered with an error, or not before the server gave up.

        A server has to wait at least for as long as a slow S3 takes, `LATE`; one that gives up before fails by itself.
        """
        entry = self.entry
        if entry.fault in {"outage", "refusal"}:
            return False
        meant = LATE if entry.fault == "slowness" else 0.0
        was_waited_for = entry.status == 0 and entry.ended - entry.begun > meant + LATE
        return entry.status >= HTTPStatus.INTERNAL_SERVER_ERROR or was_waited_for


class Ledger:
    """Reads what the proxy writes. Thread-safe."""

    def __init__(self, file: Path) -> None:
        self._file = GrowingFile(file, Entry.from_line)

    def entries(self, since: float = 0.0) -> list[Entry]:
        """Give all requests of servers that ended since a moment of `timing.now`, in the order in which they ended."""
        late = itertools.takewhile(lambda entry: entry.ended >= since, reversed(self._file.lines()))
        return [*late][::-1]


def requests_about(models: Mapping[str, str], entries: Iterable[Entry]) -> list[Request]:
    """Choose the requests that concern models, given as the name of each by its prefix, which ends with a slash."""
    return [request for entry in entries if (request := _about(models, entry)) is not None]


def _about(models: Mapping[str, str], entry: Entry) -> Request | None:
    if entry.prefix is None:
        own = next((prefix for prefix in models if entry.key.startswith(prefix)), None)
        return Request(entry, (models[own],), entry.key.removeprefix(own)) if own is not None else None
    listed = entry.prefix
    names = tuple(name for prefix, name in models.items() if prefix.startswith(listed) or listed.startswith(prefix))
    return Request(entry, names, None) if names else None
