"""An S3 endpoint that only lists, from pages made in advance: what is measured is the client, not the endpoint.

python -m bench.listing_server KEYS PORT
"""

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

PAGE = 1000
PER_VERSION = 10
VERSIONS = 10


def keys(count: int) -> list[str]:
    """Return so many keys of models with ten versions of ten files each, in the order of a listing."""
    found = []
    for number in range(count):
        version, part = divmod(number, PER_VERSION)
        model, version = divmod(version, VERSIONS)
        found.append(f"models/m{model:06}/{version + 1}/part-{part}.bin")
    return sorted(found)


def pages(count: int) -> list[bytes]:
    """Return the answers to ListObjectsV2, one per page."""
    everything = keys(count)
    starts = range(0, count, PAGE)
    return [_page(everything[start : start + PAGE], start // PAGE + 1, last=start + PAGE >= count) for start in starts]


def _page(listed: list[str], following: int, *, last: bool) -> bytes:
    contents = "".join(
        f"<Contents><Key>{key}</Key><LastModified>2024-01-01T00:00:00.000Z</LastModified>"
        f"<ETag>&quot;{hash(key) & (2**128 - 1):032x}&quot;</ETag><Size>1234</Size>"
        "<StorageClass>STANDARD</StorageClass></Contents>"
        for key in listed
    )
    token = "" if last else f"<NextContinuationToken>{following}</NextContinuationToken>"
    return (
        '<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        f"<Name>bucket</Name><Prefix>models/</Prefix><KeyCount>{len(listed)}</KeyCount><MaxKeys>{PAGE}</MaxKeys>"
        f"<IsTruncated>{str(not last).lower()}</IsTruncated>{token}{contents}</ListBucketResult>"
    ).encode()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    pages: list[bytes]

    def do_GET(self) -> None:
        query = parse_qs(urlsplit(self.path).query)
        body = self.pages[int(query.get("continuation-token", ["0"])[0])]
        self.send_response(200)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


def main() -> None:
    """Serve until killed."""
    count, port = map(int, sys.argv[1:])
    _Handler.pages = pages(count)
    ThreadingHTTPServer(("127.0.0.1", port), _Handler).serve_forever()


if __name__ == "__main__":
    main()
