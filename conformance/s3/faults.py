"""Faults of S3: what the proxy does to the requests of servers while a test wants it to.

The suite holds a fault by a connection to a socket in the folder of the proxy: a fault lasts as long as its connection
does, so that none outlives the suite, and no server finds the socket by accident.
"""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from conformance.problems import HarnessError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

FaultKind = Literal["outage", "refusal", "slowness", "truncation", "disappearance"]

# Seconds by which each answer of a slow S3 is late: longer than servers take for anything, shorter than they wait.
LATE = 1.0

# What the proxy says on the connection: that it has taken the fault up, when no earlier request is under way any more,
# and each time that a request meets it.
TAKEN_UP, HIT = b"+", b"\n"

# Seconds for the proxy to answer.
_PATIENCE = 30.0


@dataclass(frozen=True)
class Fault:
    """What happens to requests in `bucket` for keys, and for listings of prefixes, that begin with `prefix`.

    `outage`: the connection is reset. `refusal`: 503 SlowDown. `slowness`: each answer comes `LATE` seconds late.
    `truncation`: the body of an object ends halfway, before its Content-Length. `disappearance`: an object is deleted
    at the endpoint, by `delete_url`, when a server has begun to ask for it; S3 then says itself that it is not there.
    """

    kind: FaultKind
    bucket: str
    prefix: str
    delete_url: str = ""

    def meets(self, *, method: str, bucket: str, key: str, prefix: str | None) -> bool:
        """Whether it is this request that something happens to; `prefix` is that of a listing."""
        if bucket != self.bucket or not (key if prefix is None else prefix).startswith(self.prefix):
            return False
        return self.kind not in {"truncation", "disappearance"} or (method == "GET" and prefix is None)

    def to_line(self) -> bytes:
        """Write the fault as one line of JSON."""
        return json.dumps(asdict(self)).encode() + b"\n"


class HeldFault:
    """A fault that is in force, or was."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._hits = 0

    @property
    def hits(self) -> int:
        """How many requests it has met so far, or had met when it ended."""
        if self._connection.fileno() >= 0:
            self._connection.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                self._count()
        return self._hits

    def let_go(self) -> None:
        """End the fault, and return when it meets no request any more."""
        self._connection.settimeout(_PATIENCE)
        self._connection.shutdown(socket.SHUT_WR)
        self._count()

    def _count(self) -> None:
        while received := self._connection.recv(4096):
            self._hits += received.count(HIT)


class Faults:
    """Puts faults in force at one proxy, each for the time of a `with` block. May be used by several threads."""

    def __init__(self, control: Path, client: S3Client, bucket: str) -> None:
        self._control = control
        self._client = client
        self._bucket = bucket

    @contextlib.contextmanager
    def hold(self, kind: FaultKind, prefix: str) -> Iterator[HeldFault]:
        """Keep a fault in force for what begins with a prefix; for `disappearance` it is the key of one object.

        Applies to every request that begins after the block was entered, and to none that begins after it was left;
        those that began before have ended when the block is entered. Raises `HarnessError` when the proxy cannot be
        told, or when one of these does not end.
        """
        delete_url = ""
        if kind == "disappearance":
            # Signed here, so that the proxy needs no credentials.
            where = {"Bucket": self._bucket, "Key": prefix}
            delete_url = self._client.generate_presigned_url("delete_object", Params=where)
        fault = Fault(kind, self._bucket, prefix, delete_url)
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(_PATIENCE)
            try:
                connection.connect(str(self._control))
                connection.sendall(fault.to_line())
                # What it meets until then is not met in the block.
                while (said := connection.recv(1)) == HIT:
                    pass
            except OSError as error:
                raise HarnessError(f"the S3 proxy cannot be told to fail: {error}") from error
            if said != TAKEN_UP:
                raise HarnessError(f"the S3 proxy did not take up {fault}")
            held = HeldFault(connection)
            try:
                yield held
            finally:
                held.let_go()
