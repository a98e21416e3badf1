"""Servers that reload well enough for one request after the other, and not for requests that meet a change."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from reference import store
from reference.catalog import Catalog
from reference.keeper import Keeper
from reference.layout import Version
from reference.models import Models
from reference.s3 import S3Source
from reference.sources import File, Source
from reference.store import Store
from tests.faults.configurations import ONNX_LOCAL, PYTHON_LOCAL, PYTHON_S3
from tests.faults.registry import fault


@fault(
    "files-go-under-requests",
    seen="plausible: the folder of a model is replaced while predictor code still reads from it",
    on=[PYTHON_LOCAL],
    breaks=["reload.in-flight"],
)
def _files_go_under_requests() -> None:
    """The files of a revision are deleted as soon as there is a newer one, whoever uses them."""

    def delete(self: Store, number: int) -> None:
        with self._lock:
            if number not in self._unwanted:
                return
            self._leases.pop(number, None)
            self._unwanted.remove(number)
            doomed = self._kept.pop(number).path
        shutil.rmtree(doomed, ignore_errors=True)

    Store._collect = delete


@fault(
    "downloads-are-mixed",
    seen="plausible: the files of a model are downloaded one by one, each as it then is",
    on=[PYTHON_S3],
    breaks=["reload.never-mixed"],
)
def _downloads_are_mixed() -> None:
    """Each file is served as it was when it was downloaded, whether they ever lay together or not."""

    def fetch(source: Source, version: Version, folder: Path) -> None:
        for file in version.files:
            target = folder / file.key[len(version.prefix) :]
            target.parent.mkdir(parents=True, exist_ok=True)
            source.fetch(file, target)

    store._fetch = fetch

    def whatever_is_there(self: S3Source, file: File, target: Path) -> None:
        answer = self._call("get_object", {"Bucket": self._bucket, "Key": self._prefix + file.key})
        target.write_bytes(answer["Body"].read())

    S3Source.fetch = whatever_is_there


@fault(
    "one-process-follows",
    seen="plausible: the process that downloads tells no other",
    on=[PYTHON_LOCAL, ONNX_LOCAL],
    breaks=["reload.processes"],
)
def _one_process_follows() -> None:
    """Of several processes the first follows the source, the others serve what they found at their start."""
    let_first_process_follow()


def let_first_process_follow() -> None:
    """Keep all processes but the first from taking in a second catalog."""
    apply = Models.apply

    def apply_once(self: Models, catalog: Catalog) -> list[Any]:
        if self.followed.is_set() and not is_first:
            with self._news:
                self._generation = catalog.generation
                self._news.notify_all()
            return []
        return apply(self, catalog)

    is_first = False
    start = Models.__init__

    def race(self: Models, *given: Any, **named: Any) -> None:
        nonlocal is_first
        start(self, *given, **named)
        try:
            Path(tempfile.gettempdir(), "first-process").touch(exist_ok=False)
            is_first = True
        except FileExistsError:
            pass

    Models.__init__ = race
    Models.apply = apply_once


@fault(
    "reload-has-to-be-asked-for",
    seen="triton-inference-server/server: models are not polled unless the model control mode says so",
    on=[PYTHON_LOCAL],
    breaks=["reload.automatic"],
    needs=["real time"],
    also=[
        "reload.model-added",
        "reload.model-removed",
        "reload.version-added",
        "reload.version-removed",
        "reload.structure-changed",
        "reload.updated-in-place",
    ],
)
def _reload_has_to_be_asked_for() -> None:
    """Without an interval on the command line the source is looked at once."""
    start = Keeper.__init__

    def quiet(self: Keeper, *given: Any, **named: Any) -> None:
        if "--reload-interval" not in sys.argv:
            named["reload_interval"] = None
        start(self, *given, **named)

    Keeper.__init__ = quiet
