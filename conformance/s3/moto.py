"""moto's S3 server, started and ended by the suite; it accepts any credentials."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from conformance.processes import start_announced
from conformance.s3.location import Location, key_pair


@contextlib.contextmanager
def run_moto(folder: Path, patience: float) -> Iterator[Location]:
    """Run it until the block ends; raises `HarnessError` when it is not up within `patience` seconds."""
    folder.mkdir(parents=True)
    process, url = start_announced("conformance.s3.moto_server", folder=folder, patience=patience)
    try:
        yield Location(url, key_pair("servecheck", "servecheck"))
    finally:
        process.kill()
