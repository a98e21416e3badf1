"""Servers that look at their source at other times, or in another way, than the reference."""

from __future__ import annotations

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from reference import s3, server
from reference.holding import Held
from reference.inventory import Inventory
from reference.keeper import Change, Keeper, ModelPath
from reference.local import LocalSource
from reference.sources import File, Source
from tests.faults.registry import variation

Changes = list[Change]


@variation("listed-backwards", allowed="a listing has no order")
def _listed_backwards() -> None:
    """Files are listed, and so models and versions found, in the opposite order."""
    for kind in (s3.S3Source, LocalSource):
        _reverse(kind)


def _reverse(kind: Any) -> None:
    listing = kind.listing
    kind.listing = lambda self, below="": listing(self, below)[::-1]


@variation("half-an-interval-late", allowed="the deadline has two intervals", clock="timed")
def _half_an_interval_late() -> None:
    """Each scan begins half an interval later than it might; one that is asked for, a quarter of a second."""
    scan, moment = Keeper._scan, threading.Event()

    def late(self: Keeper) -> None:
        if self._ready:
            moment.wait(0.25 if self._interval is None else self._interval / 2)
        scan(self)

    Keeper._scan = late


@variation(
    "waits-for-two-equal-scans",
    allowed="it declares three passes in its implementation file",
    intervals={"passes": 3},
    clock="timed",
)
def _waits_for_two_equal_scans() -> None:
    """What a scan finds is taken in when the next one finds the same, but for the first that is complete."""
    look, scan = Inventory.unsettled, Keeper._scan
    seen: dict[str, list[File]] = {}
    ready: list[bool] = []

    def noting(self: Keeper) -> None:
        scan(self)
        ready[:] = [self._ready]

    Keeper._scan = noting

    def when_seen_twice(self: Inventory, name: str, source: Source, root: str, listed: list[File]) -> Held | None:
        held = look(self, name, source, root, listed)
        if held is None or ready != [True]:
            return held
        again = seen.get(name) == listed
        seen[name] = listed
        return held if again else None

    Inventory.unsettled = when_seen_twice


@variation("scans-at-a-fixed-rate", allowed="the interval may count from scan to scan, or between them", clock="timed")
def _scans_at_a_fixed_rate() -> None:
    """The next scan begins an interval after the last one began, however long that took."""
    scan, pause = Keeper._scan, Keeper._pause

    def timed(self: Keeper) -> None:
        self._begun = time.monotonic()
        scan(self)

    def rest(self: Keeper) -> float | None:
        whole = pause(self)
        return None if whole is None else max(0.0, whole - (time.monotonic() - self._begun))

    Keeper._scan = timed
    Keeper._pause = rest


@variation("scans-at-random-moments", allowed="an interval is the most that passes between two scans", clock="timed")
def _scans_at_random_moments() -> None:
    """Between two scans lies some random part of the interval."""
    pause = Keeper._pause

    def some(self: Keeper) -> float | None:
        whole = pause(self)
        return None if whole is None else whole * random.random()

    Keeper._pause = some


@variation(
    "paths-side-by-side",
    allowed="it declares parallel scans in its implementation file",
    intervals={"scan": "parallel"},
    clock="timed",
)
def _paths_side_by_side() -> None:
    """All configured paths are listed at the same time."""
    look, scan = Keeper._look, Keeper._scan
    found: dict[int, Changes] = {}

    def ahead(self: Keeper) -> None:
        with ThreadPoolExecutor(max(1, len(self._paths))) as pool:
            for path, changes in zip(self._paths, pool.map(lambda path: look(self, path), self._paths), strict=True):
                found[id(path)] = changes
        scan(self)

    def looked_at(self: Keeper, path: ModelPath) -> Changes:
        return found.pop(id(path))

    Keeper._scan = ahead
    Keeper._look = looked_at


@variation("downloads-when-asked", allowed="it is not said when a model is downloaded")
def _downloads_when_asked() -> None:
    """Nothing is downloaded before it is asked for, with and without a cache."""
    make = server.Inventory
    server.Inventory = lambda store, kind, lazy: make(store, kind, lazy=True)


@variation("slow-downloads", allowed="a request may have to download a model of many files first")
def _slow_downloads() -> None:
    """Models are downloaded when they are asked for; of many files in a folder each takes some 50 ms longer."""
    _downloads_when_asked()
    fetch = s3.S3Source.fetch

    def slowly(self: s3.S3Source, file: File, target: Path) -> None:
        if len(list(target.parent.iterdir())) > 20:
            threading.Event().wait(0.05)
        fetch(self, file, target)

    s3.S3Source.fetch = slowly


@variation("more-requests-to-s3", allowed="a server may ask S3 for more than it needs")
def _more_requests_to_s3() -> None:
    """Before each download the object is asked for its head, and before each listing the bucket is."""
    listing, fetch = s3.S3Source.listing, s3.S3Source.fetch

    def list_twice(self: s3.S3Source, below: str = "") -> list[File]:
        self._call("head_bucket", {"Bucket": self._bucket})
        self._call("list_objects_v2", {"Bucket": self._bucket, "Prefix": self._prefix, "Delimiter": "/"})
        return listing(self, below)

    def fetch_after_head(self: s3.S3Source, file: File, target: Path) -> None:
        with suppress(s3.ClientError, s3.BotoCoreError):  # the download will meet the same
            self._client.head_object(Bucket=self._bucket, Key=self._prefix + file.key)
        fetch(self, file, target)

    s3.S3Source.listing = list_twice
    s3.S3Source.fetch = fetch_after_head


@variation("small-pages", allowed="a server may choose the size of its pages")
def _small_pages() -> None:
    """S3 is listed by pages of 50 keys."""
    call = s3.S3Source._call

    def paged(self: s3.S3Source, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        return call(self, operation, request | ({"MaxKeys": 50} if operation == "list_objects_v2" else {}))

    s3.S3Source._call = paged


@variation("downloads-in-ranges", allowed="a download may be made of several requests")
def _downloads_in_ranges() -> None:
    """Objects are downloaded in ranges of 512 bytes at the beginning and the rest at the end."""
    first = 512

    def in_ranges(self: s3.S3Source, file: File, target: Path) -> None:
        request = {"Bucket": self._bucket, "Key": self._prefix + file.key, "IfMatch": file.tag}
        with target.open("wb") as copy:
            for begin, end in ((0, min(first, file.size) - 1), (first, file.size - 1)):
                if begin <= end:
                    answer = self._call("get_object", request | {"Range": f"bytes={begin}-{end}"})
                    try:
                        copy.write(answer["Body"].read())
                    except s3.BotoCoreError as error:
                        raise s3.SourceError(f"{file.key}: {error}") from error
        if target.stat().st_size != file.size:
            raise s3.SourceError(f"{file.key}: the download is incomplete")

    s3.S3Source.fetch = in_ranges
