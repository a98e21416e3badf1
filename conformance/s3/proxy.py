"""The proxy in front of S3: `python -m conformance.s3.proxy ANNOUNCEMENT UPSTREAM_URL LEDGER_FILE CONTROL_SOCKET`.

It notes every request in the ledger, and does what the suite asks for over the control socket to some of them. The
others pass unchanged, Host header and raw path included, so that signatures stay valid and odd keys stay odd. What the
endpoint fails to read by itself is asked again: a server is judged by the faults that the suite commits, and no others.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

import aiohttp
from aiohttp import web
from yarl import URL

from conformance import timing
from conformance.processes import announce
from conformance.s3.faults import HIT, LATE, TAKEN_UP, Fault
from conformance.s3.ledger import Entry

# These belong to one connection, not to the message (RFC 9110, 7.6.1); Expect is answered by the proxy itself.
_HOP_BY_HOP = frozenset({"connection", "expect", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"})
_ENDPOINT_FAILED = 500
_BAD_GATEWAY = 502
_NO_ANSWER = 0
# What may be asked again, and the seconds before each time; all of them together are shorter than any server waits.
_READS = frozenset({"GET", "HEAD"})
_PAUSES = (0.05, 0.2, 0.5)
_SLOW_DOWN = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    "<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
)


class FaultsInForce:
    """The faults that the suite holds at this moment, each by a connection of its own, and the requests under way."""

    def __init__(self) -> None:
        self._held: dict[asyncio.StreamWriter, Fault] = {}
        # Each by what tells that it has ended.
        self._under_way: dict[asyncio.Event, Asked] = {}

    async def take_up(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Keep the fault of one connection in force until its other end lets go of it.

        Its other end is told that it is taken up when the earlier requests for the same have ended: until then the
        endpoint may still carry them out.
        """
        fault = Fault(**json.loads(await reader.readline()))
        earlier = [ended for ended, asked in self._under_way.items() if asked.meets(fault)]
        self._held[writer] = fault
        for ended in earlier:
            await ended.wait()
        writer.write(TAKEN_UP)
        await reader.read()
        self._held.pop(writer, None)
        writer.close()

    @contextlib.contextmanager
    def meeting(self, asked: Asked) -> Iterator[Fault | None]:
        """Keep a request under way, and give the fault that meets it, if there is one, having told who holds it."""
        ended = asyncio.Event()
        self._under_way[ended] = asked
        try:
            yield self._meet(asked)
        finally:
            del self._under_way[ended]
            ended.set()

    def _meet(self, asked: Asked) -> Fault | None:
        for writer, fault in self._held.items():
            if asked.meets(fault):
                writer.write(HIT)
                return fault
        return None


@dataclass(frozen=True)
class Asked:
    """What a request asks for, and since when; `prefix` is that of a listing, None for other requests."""

    begun: float
    method: str
    bucket: str
    key: str
    prefix: str | None

    @classmethod
    def by(cls, request: web.Request) -> Asked:
        """Read it from a request."""
        bucket, _, key = unquote(request.raw_path.partition("?")[0]).removeprefix("/").partition("/")
        is_listing = request.method == "GET" and not key
        return cls(timing.now(), request.method, bucket, key, request.query.get("prefix", "") if is_listing else None)

    def meets(self, fault: Fault) -> bool:
        """Whether a fault is for this request."""
        return fault.meets(method=self.method, bucket=self.bucket, key=self.key, prefix=self.prefix)


class RecordingProxy:
    """Forwards every request to one upstream endpoint and notes it in the ledger."""

    def __init__(self, upstream: str, ledger: Path, faults: FaultsInForce) -> None:
        self._upstream = upstream.rstrip("/")
        self._ledger = ledger.open("a", encoding="utf-8", buffering=1)
        self._faults = faults

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request, and note it before the server can see the end of the answer, or when it broke off."""
        asked = Asked.by(request)
        with self._faults.meeting(asked) as fault:
            return await self._answer(request, asked, fault)

    async def _answer(self, request: web.Request, asked: Asked, fault: Fault | None) -> web.StreamResponse:
        kind = fault.kind if fault is not None else None
        if kind == "outage":
            self._note(asked, _NO_ANSWER, 0, fault)
            return _reset(request)
        if kind == "refusal":
            self._note(asked, 503, 0, fault)
            return web.Response(status=503, reason="Slow Down", text=_SLOW_DOWN, content_type="application/xml")
        return await self._forward(request, asked, fault)

    async def _forward(self, request: web.Request, asked: Asked, fault: Fault | None) -> web.StreamResponse:
        status = _NO_ANSWER
        try:
            await self._hinder(request, fault)
            async with await self._ask(request) as answer:
                response = _like(answer)
                if fault is not None and fault.kind == "truncation" and answer.status in {200, 206}:
                    return await self._truncate(request, asked, fault, response, await answer.read())
                chunks = answer.content.iter_any()
                size, chunk = 0, await anext(chunks, b"")
                while following := await anext(chunks, b""):
                    if not response.prepared:
                        await response.prepare(request)
                        status = answer.status
                    await response.write(chunk)
                    size, chunk = size + len(chunk), following
        except asyncio.CancelledError:  # the server has gone
            self._note(asked, status, 0, fault)
            raise
        except Exception as error:
            self._note(asked, status or _BAD_GATEWAY, 0, fault)
            if isinstance(error, aiohttp.ClientConnectionError):
                return web.Response(status=_BAD_GATEWAY, text=f"S3 endpoint {self._upstream}: {error}")
            raise
        self._note(asked, answer.status, size + len(chunk), fault)
        if not response.prepared:
            await response.prepare(request)
        if chunk:
            await response.write(chunk)
        await response.write_eof()
        return response

    async def _hinder(self, request: web.Request, fault: Fault | None) -> None:
        """Do what a fault does before the endpoint is asked."""
        if fault is not None and fault.kind == "slowness":
            await asyncio.sleep(LATE)
        if fault is not None and fault.kind == "disappearance":
            async with request.app[_SESSION].delete(URL(fault.delete_url, encoded=True)) as deletion:
                deletion.raise_for_status()

    async def _ask(self, request: web.Request) -> aiohttp.ClientResponse:
        """Ask the endpoint; what it fails to read is asked again, and the last answer given."""
        pauses = iter(_PAUSES if request.method in _READS and not request.body_exists else ())
        while True:
            answer = await request.app[_SESSION].request(
                request.method,
                URL(self._upstream + request.raw_path, encoded=True),
                headers=[(name, value) for name, value in request.headers.items() if name.lower() not in _HOP_BY_HOP],
                data=request.content if request.body_exists else None,
                allow_redirects=False,
                skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
            )
            pause = next(pauses, None)
            if answer.status < _ENDPOINT_FAILED or pause is None:
                return answer
            answer.release()
            await asyncio.sleep(pause)

    async def _truncate(
        self, request: web.Request, asked: Asked, fault: Fault, response: web.StreamResponse, body: bytes
    ) -> web.StreamResponse:
        """Send half of the body that the headers announce, and close the connection."""
        half = body[: len(body) // 2]
        self._note(asked, response.status, len(half), fault)
        response.content_length = len(body)
        await response.prepare(request)
        await response.write(half)
        if request.transport is not None:
            request.transport.close()
        return response

    def _note(self, asked: Asked, status: int, size: int, fault: Fault | None) -> None:
        entry = Entry(
            asked.begun, timing.now(), asked.method, asked.bucket, asked.key, asked.prefix, status, size,
            fault.kind if fault is not None else None,
        )  # fmt: skip
        self._ledger.write(entry.to_line())


def _like(answer: aiohttp.ClientResponse) -> web.StreamResponse:
    """Begin an answer of the same status and headers as that of the endpoint."""
    response = web.StreamResponse(status=answer.status, reason=answer.reason)
    for name, value in answer.headers.items():
        if name.lower() not in _HOP_BY_HOP:
            response.headers.add(name, value)
    return response


def _reset(request: web.Request) -> web.StreamResponse:
    """Break the connection off without an answer, as a peer does that is not there any more."""
    transport = request.transport
    if transport is not None:
        # With no time to linger the other end sees a reset and not an orderly end.
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    return web.Response()


_SESSION: web.AppKey[aiohttp.ClientSession] = web.AppKey("session", aiohttp.ClientSession)


async def serve(announcement: Path, upstream: str, ledger: Path, control: Path) -> None:
    """Serve on a free port of this machine until killed."""
    faults = FaultsInForce()
    app = web.Application(client_max_size=0)
    app.router.add_route("*", "/{tail:.*}", RecordingProxy(upstream, ledger, faults).handle)
    connector = aiohttp.TCPConnector(limit=0)
    async with (
        aiohttp.ClientSession(connector=connector, auto_decompress=False) as session,
        await asyncio.start_unix_server(faults.take_up, control),
    ):
        app[_SESSION] = session
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        announce(announcement, f"http://{host}:{port}")
        await asyncio.Event().wait()


def main() -> None:
    """Run the proxy with the arguments of the command line."""
    announcement, upstream, ledger, control = sys.argv[1:]
    asyncio.run(serve(Path(announcement), upstream, Path(ledger), Path(control)))


if __name__ == "__main__":
    main()
