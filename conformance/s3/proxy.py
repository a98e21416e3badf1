"""The recording proxy in front of S3: `python -m conformance.s3.proxy ANNOUNCEMENT UPSTREAM_URL LEDGER_FILE`.

Requests pass unchanged, Host header and raw path included, so that signatures stay valid and odd keys stay odd.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from urllib.parse import unquote

import aiohttp
from aiohttp import web
from yarl import URL

from conformance import timing
from conformance.processes import announce
from conformance.s3.ledger import Entry

# These belong to one connection, not to the message (RFC 9110, 7.6.1); Expect is answered by the proxy itself.
_HOP_BY_HOP = frozenset({"connection", "expect", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"})
_BAD_GATEWAY = 502


class RecordingProxy:
    """Forwards every request to one upstream endpoint and notes it in the ledger."""

    def __init__(self, upstream: str, ledger: Path) -> None:
        self._upstream = upstream.rstrip("/")
        self._ledger = ledger.open("a", encoding="utf-8", buffering=1)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Forward one request, and note it before the server can see the end of the answer, or when it broke off."""
        begun = timing.now()
        status = _BAD_GATEWAY
        try:
            async with self._ask(request) as answer:
                status = answer.status
                response = web.StreamResponse(status=answer.status, reason=answer.reason)
                for name, value in answer.headers.items():
                    if name.lower() not in _HOP_BY_HOP:
                        response.headers.add(name, value)
                chunks = answer.content.iter_any()
                size, chunk = 0, await anext(chunks, b"")
                while following := await anext(chunks, b""):
                    if not response.prepared:
                        await response.prepare(request)
                    await response.write(chunk)
                    size, chunk = size + len(chunk), following
        except BaseException as error:
            self._note(request, begun, status, size=0)
            if isinstance(error, aiohttp.ClientConnectionError):
                return web.Response(status=_BAD_GATEWAY, text=f"S3 endpoint {self._upstream}: {error}")
            raise
        self._note(request, begun, status, size + len(chunk))
        if not response.prepared:
            await response.prepare(request)
        if chunk:
            await response.write(chunk)
        await response.write_eof()
        return response

    def _ask(self, request: web.Request) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        return request.app[_SESSION].request(
            request.method,
            URL(self._upstream + request.raw_path, encoded=True),
            headers=[(name, value) for name, value in request.headers.items() if name.lower() not in _HOP_BY_HOP],
            data=request.content if request.body_exists else None,
            allow_redirects=False,
            skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
        )

    def _note(self, request: web.Request, begun: float, status: int, size: int) -> None:
        bucket, _, key = unquote(request.raw_path.partition("?")[0]).removeprefix("/").partition("/")
        is_listing = request.method == "GET" and not key
        prefix = request.query.get("prefix", "") if is_listing else None
        entry = Entry(begun, timing.now(), request.method, bucket, key, prefix, status, size)
        self._ledger.write(entry.to_line())


_SESSION: web.AppKey[aiohttp.ClientSession] = web.AppKey("session", aiohttp.ClientSession)


async def serve(announcement: Path, upstream: str, ledger: Path) -> None:
    """Serve on a free port of this machine until killed."""
    app = web.Application(client_max_size=0)
    app.router.add_route("*", "/{tail:.*}", RecordingProxy(upstream, ledger).handle)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as session:
        app[_SESSION] = session
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        announce(announcement, f"http://{host}:{port}")
        await asyncio.Event().wait()


def main() -> None:
    """Run the proxy with the arguments of the command line."""
    announcement, upstream, ledger = sys.argv[1:]
    asyncio.run(serve(Path(announcement), upstream, Path(ledger)))


if __name__ == "__main__":
    main()
