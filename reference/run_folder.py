"""The folder of one run: models on disk, socket, metrics. What a killed run left behind goes at the next start."""

import fcntl
import os
import shutil
import tempfile
from pathlib import Path
from typing import IO

from reference.errors import ConfigurationError

_LONGEST = 78
"""Bytes of the path of a base folder: systems take about 100 for that of a socket, of which the run folder and the
name of the socket are a part."""


def claim(base: Path) -> tuple[Path, IO[bytes]]:
    """Make a run folder below `base` and remove those whose owner is dead.

    The folder belongs to this process as long as the returned file stays open. Raises ConfigurationError if `base`
    cannot be used.
    """
    if len(os.fsencode(base)) > _LONGEST:
        raise ConfigurationError(f"--store: {base} is too long a path to hold a socket; at most {_LONGEST} bytes fit")
    try:
        base.mkdir(mode=0o700, parents=True, exist_ok=True)
        if base.stat().st_uid != os.geteuid():
            raise ConfigurationError(f"--store: {base} belongs to another user")
        with (base / ".sweep").open("wb") as sweep:
            fcntl.flock(sweep, fcntl.LOCK_EX)
            for run in base.glob("run-*"):
                _remove_if_dead(run)
            folder = Path(tempfile.mkdtemp(prefix="run-", dir=base))
            owner = (folder / "owner").open("wb")
            fcntl.flock(owner, fcntl.LOCK_EX)
    except OSError as error:
        raise ConfigurationError(f"--store: {error}") from error
    return folder, owner


def _remove_if_dead(run: Path) -> None:
    try:
        with (run / "owner").open("wb") as owner:
            fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(run, ignore_errors=True)
    except BlockingIOError:
        return
    except OSError:  # killed between making the folder and its lock
        shutil.rmtree(run, ignore_errors=True)
