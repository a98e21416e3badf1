"""Servers that take trouble with S3 for something else, die of it, or never get over it."""

from __future__ import annotations

import os
import threading
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError

from reference import s3
from reference.errors import ContentChangedError, SourceError, UnavailableError
from reference.holding import Held
from reference.http import Answer, Application, Environ
from reference.inventory import Inventory
from reference.keeper import Change, Keeper, ModelPath
from reference.sources import File, Source
from tests.faults.configurations import CACHED_ONNX_S3, ONNX_S3, PYTHON_S3
from tests.faults.registry import fault


@fault(
    "outage-taken-for-deletion",
    seen="https://github.com/tensorflow/serving/issues/1480: an outage is read as a deletion of all versions",
    on=[PYTHON_S3],
    breaks=["reload.source-outage"],
)
def _outage_taken_for_deletion() -> None:
    """A listing that fails is taken for an empty one, once the server has seen its models."""
    listing = s3.S3Source.listing

    def forgiving(self: s3.S3Source, below: str = "") -> list[File]:
        try:
            files = listing(self, below)
        except SourceError:
            if not getattr(self, "_seen", False):
                raise
            return []
        self._seen = True
        return files

    s3.S3Source.listing = forgiving


@fault(
    "outage-ends-polling",
    seen="plausible: the thread that polls ends with its first error",
    on=[ONNX_S3],
    breaks=["reload.source-outage"],
)
def _outage_ends_polling() -> None:
    """After a listing that failed the source is not looked at again; what was there is served for ever."""
    look = Keeper._look

    def once(self: Keeper, path: ModelPath) -> list[Change]:
        return [] if path.listed is not None and path.error is not None else look(self, path)

    Keeper._look = once


@fault(
    "refuses-while-source-is-slow",
    seen="plausible: a probe of the source decides whether requests are let in",
    on=[PYTHON_S3],
    breaks=["reload.source-outage"],
)
def _refuses_while_source_is_slow() -> None:
    """When a listing was late, requests are refused until one is not."""
    look, predict = Keeper._look, Application._predict

    def timed(self: Keeper, path: ModelPath) -> list[Change]:
        is_first, begun = path.listed is None, time.monotonic()
        changes = look(self, path)
        if not is_first and time.monotonic() - begun > 1.0:
            path.error = "it is slow"
        return changes

    def anxious(self: Application, environ: Environ) -> Answer:
        if self.prediction is not None and "it is slow" in self._obstacle():
            raise UnavailableError("the source is slow")
        return predict(self, environ)

    Keeper._look = timed
    Application._predict = anxious


@fault(
    "truncated-file-kept",
    seen="psf/requests 4956: a body shorter than its Content-Length is no error",
    on=[PYTHON_S3],
    breaks=["reload.source-outage"],
)
def _truncated_file_kept() -> None:
    """A download that ends early is kept as it is, and never repeated."""

    def fetch(self: s3.S3Source, file: File, target: Path) -> None:
        answer = self._call("get_object", {"Bucket": self._bucket, "Key": self._prefix + file.key})
        with target.open("wb") as copy, closing(answer["Body"]) as body, suppress(BotoCoreError):
            for chunk in body.iter_chunks(64):
                copy.write(chunk)

    s3.S3Source.fetch = fetch


@fault(
    "dies-on-vanished-object",
    seen="the original: an object deleted between listing and download ended the process",
    on=[PYTHON_S3, ONNX_S3],
    breaks=["reload.list-get-race"],
)
def _dies_on_vanished_object() -> None:
    """A server that finds an object gone which it has just listed ends."""
    fetch = s3.S3Source.fetch

    def fragile(self: s3.S3Source, file: File, target: Path) -> None:
        try:
            fetch(self, file, target)
        except ContentChangedError as error:
            if "NoSuchKey" in str(error):
                os._exit(70)
            raise

    s3.S3Source.fetch = fragile


@fault(
    "vanished-object-wedges-model",
    seen="plausible: a model that could not be downloaded once is given up",
    on=[ONNX_S3],
    breaks=["reload.list-get-race"],
)
def _vanished_object_wedges_model() -> None:
    """A model of which an object was gone at its download is never looked at again."""
    fetch, settle, unsettled = s3.S3Source.fetch, Inventory.settle, Inventory.unsettled
    vanished: set[str] = set()
    given_up: set[str] = set()

    def noting(self: s3.S3Source, file: File, target: Path) -> None:
        try:
            fetch(self, file, target)
        except ContentChangedError as error:
            if "NoSuchKey" in str(error):
                vanished.add(file.key)
            raise

    def resigned(self: Inventory, held: Held, listed: list[File], looked_at: float) -> bool:
        settled = settle(self, held, listed, looked_at)
        if any(file.key in vanished for file in listed):
            given_up.add(held.name)
        return settled

    def ignoring(self: Inventory, name: str, source: Source, root: str, listed: list[File]) -> Held | None:
        return None if name in given_up else unsettled(self, name, source, root, listed)

    s3.S3Source.fetch = noting
    Inventory.settle = resigned
    Inventory.unsettled = ignoring


@fault(
    "ready-before-first-scan",
    seen="the original: requests before the first scan failed",
    on=[PYTHON_S3],
    breaks=["reload.ready-is-complete"],
)
def _ready_before_first_scan() -> None:
    """The server says that it is ready as soon as it listens."""
    _answer_until_ready(200, b'{"message":"soon"}')


def _answer_until_ready(status: int, body: bytes) -> None:
    """Answer the readiness call otherwise than by 503 until the server is ready."""
    when_ready = Application._when_ready

    def answer(self: Application, summary: Any) -> Answer:
        try:
            return when_ready(self, summary)
        except UnavailableError:
            return status, [("content-type", "application/json")], body

    Application._when_ready = answer


@fault(
    "not-ready-is-500",
    seen="plausible: whatever keeps a server from being ready is an internal error",
    on=[ONNX_S3],
    breaks=["reload.ready-is-complete"],
)
def _not_ready_is_500() -> None:
    """Until a server is ready it answers the readiness call with status 500."""
    _answer_until_ready(500, b'{"error":"not ready"}')


@fault(
    "ready-after-failed-scan",
    seen="plausible: the first scan counts, whatever became of it",
    on=[ONNX_S3],
    breaks=["reload.ready-is-complete"],
)
def _ready_after_failed_scan() -> None:
    """The server is ready after its first scan, also when that failed."""
    scan = Keeper._scan

    def generous(self: Keeper) -> None:
        scan(self)
        with self._changed:
            self._ready = True
            self._changed.notify_all()

    Keeper._scan = generous


@fault(
    "unreachable-source-ends-start",
    seen="plausible: a start that cannot list its source gives up",
    on=[PYTHON_S3],
    breaks=["reload.ready-is-complete"],
)
def _unreachable_source_ends_start() -> None:
    """A server that cannot reach its source as it starts ends."""
    look = Keeper._look

    def strict(self: Keeper, path: ModelPath) -> list[Change]:
        changes = look(self, path)
        if path.listed is None and not path.refused:
            os._exit(70)
        return changes

    Keeper._look = strict


@fault(
    "start-is-not-retried",
    seen="plausible: the first scan is made once, before polling begins",
    on=[ONNX_S3],
    breaks=["reload.ready-is-complete"],
)
def _start_is_not_retried() -> None:
    """A server that could not reach its source as it started waits for ever."""
    look = Keeper._look

    def resigned(self: Keeper, path: ModelPath) -> list[Change]:
        return [] if path.listed is None and path.error is not None else look(self, path)

    Keeper._look = resigned


@fault(
    "first-page-only",
    seen="plausible: the continuation token of a listing is not followed",
    on=[PYTHON_S3],
    breaks=["layouts.many-keys"],
    needs=["many keys"],
)
def _first_page_only() -> None:
    """Of a listing only the first page is read."""
    call = s3.S3Source._call

    def first_page(self: s3.S3Source, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        answer = call(self, operation, request)
        return answer | {"IsTruncated": False} if operation == "list_objects_v2" else answer

    s3.S3Source._call = first_page


@fault(
    "three-pages-only",
    seen="plausible: a limit on the keys of one listing that nobody was expected to reach",
    on=[CACHED_ONNX_S3],
    breaks=["layouts.many-keys"],
    needs=["many keys"],
)
def _three_pages_only() -> None:
    """Of a listing only the first three pages are read."""
    call, listing = s3.S3Source._call, s3.S3Source.listing
    pages = threading.local()

    def listed(self: s3.S3Source, below: str = "") -> list[File]:
        pages.read = 0
        return listing(self, below)

    def at_most_three(self: s3.S3Source, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        answer = call(self, operation, request)
        if operation != "list_objects_v2":
            return answer
        pages.read += 1
        return answer if pages.read < 3 else answer | {"IsTruncated": False}

    s3.S3Source.listing = listed
    s3.S3Source._call = at_most_three


@fault(
    "failed-download-is-not-repeated",
    seen="plausible: a listing is done with when it has been gone through, whatever became of it",
    on=[PYTHON_S3],
    breaks=["reload.source-outage"],
)
def _failed_download_is_not_repeated() -> None:
    """A download that failed is not repeated while the listing stays the same."""
    settle = Inventory._settle

    def once(self: Inventory, held: Held, listed: list[File], looked_at: float) -> bool:
        complete = settle(self, held, listed, looked_at)
        held.listed, held.retry_at = listed, None
        return complete

    Inventory._settle = once


@fault(
    "later-pages-given-up-too-early",
    seen="plausible: a time limit for the rest of a listing, in milliseconds where seconds were meant",
    on=[CACHED_ONNX_S3],
    breaks=["layouts.many-keys"],
    needs=["many keys"],
)
def _later_pages_given_up_too_early() -> None:
    """When a source has been listed once, only its first page is waited for; any other one is given up after 1 ms."""
    listing, call = s3.S3Source.listing, s3.S3Source._call
    listed: set[str] = set()

    def noting(self: s3.S3Source, below: str = "") -> list[File]:
        found = listing(self, below)
        listed.add(self.location)
        return found

    def given_up(self: s3.S3Source, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        if "ContinuationToken" in request and self.location in listed:
            return call(s3.S3Source(self.location, s3.connect(0.001)), operation, request)
        return call(self, operation, request)

    s3.S3Source.listing = noting
    s3.S3Source._call = given_up
