"""A run of the suite: the server under test, the pace at which it is judged, and the places that trees go to."""

from __future__ import annotations

import contextlib
import itertools
import shutil
import tempfile
import threading
from collections.abc import Callable, Hashable, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from conformance.catalogue import Source
from conformance.deployment import Deployment
from conformance.implementation import ClockName, Implementation
from conformance.project import Api
from conformance.s3.endpoint import S3, open_s3
from conformance.s3.ledger import Entry
from conformance.timing import Pace
from fixtures.targets import DirectoryTarget, S3Target, Target, TargetError
from fixtures.trees import Tree

T = TypeVar("T")

# Seconds between two scans of a server that lets the suite choose.
FAST_INTERVAL = 0.5


class Run:
    """What all tests of one run share; `close` ends what it started and deletes its folder, unless told to keep it."""

    def __init__(
        self,
        implementation: Implementation,
        *,
        clock: ClockName = ClockName.TIMED,
        interval: float = FAST_INTERVAL,
        patience: float,
        seed: int,
        s3_endpoint: str,
        keep: bool,
    ) -> None:
        self.implementation = implementation
        self.clock = clock
        chosen = dict.fromkeys(implementation.chosen_intervals, interval)
        self._default_pace = Pace(implementation.intervals, patience)
        self.pace = Pace(implementation.intervals.model_copy(update=chosen), patience)
        self.seed = seed
        self.s3_endpoint = s3_endpoint
        self.keep = keep
        self.folder = Path(tempfile.mkdtemp(prefix="servecheck-"))
        self._stack = contextlib.ExitStack()
        if not keep:
            self._stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
        self._s3: S3 | None = None
        self._numbers = itertools.count(1)
        self._found: dict[Hashable, Future[Any]] = {}
        self._finding = threading.Lock()

    def open(self) -> None:
        """Open the S3 endpoint, if the implementation reads from S3; raises `SuiteError` when it cannot be used."""
        if "s3" in self.implementation.declares.sources:
            self._s3 = self._stack.enter_context(open_s3(self.s3_endpoint, self.folder / "s3", self.pace.start))

    def close(self) -> None:
        """End the endpoint and give the folder back."""
        self._stack.close()

    def target(self, source: Source, place: str) -> Target:
        """Give the place of this name in the source, which nothing else uses."""
        if source == "local":
            return DirectoryTarget(self.folder / "trees" / place)
        return S3Target(self.s3.client, self.s3.bucket, place)

    def leave(self, source: Source, place: str, published: Iterable[tuple[str, Tree]]) -> None:
        """Delete what lies in a place of the source, or keep it where the run keeps its trees.

        `published` are the trees in it, each with its place in that; they are copied to the folder of the run from an
        endpoint, which may end with the run. Raises `TargetError` for what cannot be deleted.
        """
        if not self.keep:
            self.target(source, place).clear()
        elif source == "s3":
            folder = self.target("local", place)
            for below, tree in published:
                # A key that no directory can hold is to be seen in the timeline only.
                with contextlib.suppress(TargetError):
                    folder.write(tree, at=below)

    @property
    def s3(self) -> S3:
        """The S3 endpoint, for an implementation that reads from S3."""
        assert self._s3 is not None, "the run has no S3 endpoint"
        return self._s3

    def ledger(self, since: float) -> list[Entry]:
        """Give the requests to S3 that ended since a moment; none if the implementation does not read from it."""
        return self._s3.ledger.entries(since) if self._s3 is not None else []

    def once(self, what: Hashable, find: Callable[[], T]) -> T:
        """Give what was found under this name; who wants it first finds it for all, and others wait meanwhile."""
        with self._finding:
            first = what not in self._found
            found: Future[T] = self._found.setdefault(what, Future())
        if first:
            try:
                found.set_result(find())
            except BaseException as error:  # noqa: BLE001 - whoever waits gets it
                found.set_exception(error)
        return found.result()

    def pace_of(self, clock: ClockName) -> Pace:
        """Give the pace at which a server on this clock is judged."""
        return self._default_pace if clock is ClockName.DEFAULT else self.pace

    def deployment(self, api: Api, keys: int, clock: ClockName | None = None) -> Deployment:
        """Describe a server on this project, not started yet, with a folder of its own; `keys` are published for it.

        It runs on the clock of the run, or on the one that is given.
        """
        # Short names: a server may put a socket into its temporary folder, and the path of one has some 100 characters.
        folder = self.folder / f"s{next(self._numbers)}"
        scratch = folder / "tmp"
        scratch.mkdir(parents=True)
        s3_env: Mapping[str, str] = self._s3.server_env if self._s3 is not None else {}
        # What a server leaves in its temporary folder goes with the run.
        env = {**s3_env, "TMPDIR": str(scratch)}
        clock = clock or self.clock
        pace = replace(self.pace_of(clock), keys=keys)
        return Deployment(self.implementation, api, clock=clock, pace=pace, folder=folder, env=env)
