"""Servers that keep models on disk, and let them go, otherwise than the reference."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import reference.serve as command
from reference.eviction import Eviction
from reference.layout import Version
from reference.options import Options
from reference.sources import Source
from reference.store import Revision, Store
from tests.faults.registry import variation


def _store_otherwise(place: Callable[[Path, Revision], Path]) -> None:
    """Let each revision be moved to another place, given the folder of revisions and the revision."""
    add = Store.add

    def add_elsewhere(self: Store, source: Source, version: Version) -> Revision:
        revision = add(self, source, version)
        target = place(self._revisions, revision)
        target.parent.mkdir(parents=True, exist_ok=True)
        revision.path.rename(target)
        revision.path = target
        return revision

    Store.add = add_elsewhere


@variation("store-by-content", allowed="where a model lies on disk is a matter of the server")
def _store_by_content() -> None:
    """The folder of a model on disk is named by a hash of what it holds."""

    def by_hash(folder: Path, revision: Revision) -> Path:
        digest = hashlib.sha256()
        for file in sorted(revision.path.rglob("*")):
            if file.is_file():
                digest.update(file.read_bytes())
        return folder / "sha256" / f"{digest.hexdigest()}-{revision.id}"

    _store_otherwise(by_hash)


@variation("store-by-name", allowed="where a model lies on disk is a matter of the server")
def _store_by_name() -> None:
    """A model lies in folders named as in its source, below one for each revision."""
    _store_otherwise(
        lambda folder, revision: folder / f"r{revision.id}" / "models" / (revision.version.prefix.strip("/") or "model")
    )


@variation("other-temporary-folder", allowed="where a model lies on disk is a matter of the server")
def _other_temporary_folder() -> None:
    """The store lies in a folder whose name has a space and letters beyond ASCII."""
    serve = command.serve

    def elsewhere(options: Options) -> None:
        serve(replace(options, store=options.store or Path(tempfile.gettempdir()) / "mödel store"))

    command.serve = elsewhere


@variation("evicts-from-disk-first", allowed="the order of the two layers within a run is not said")
def _evicts_from_disk_first() -> None:
    """An eviction run makes room on disk before it does so in memory, and on disk once more."""
    run = Eviction.run

    def disk_first(self: Eviction) -> None:
        if self._limits is not None:
            self._shrink_disk(self._limits.disk)
        run(self)

    Eviction.run = disk_first
