"""Servers that load python models otherwise than they say, or change what load_model returned."""

from __future__ import annotations

import copy
from typing import Any

from reference import layout
from reference.clients import PythonClient
from reference.errors import LoadError
from reference.resident import Resident, Slot
from reference.sources import File, Source
from reference.store import Revision, Store
from tests.faults.configurations import PYTHON_LOCAL
from tests.faults.registry import fault


@fault(
    "receipt-beside-model",
    seen="plausible: the server keeps its own notes in the folder of the model",
    on=[PYTHON_LOCAL],
    breaks=["clients.python.load-model-path"],
)
def _receipt_beside_model() -> None:
    """Under the path that load_model gets lies a file of the server as well."""
    add = Store.add

    def add_with_receipt(self: Store, source: Source, version: Any) -> Revision:
        revision = add(self, source, version)
        (revision.path / "download.json").write_text("{}")
        return revision

    Store.add = add_with_receipt


@fault(
    "empty-files-left-out",
    seen="plausible: an object without content is taken for the marker of a folder",
    on=[PYTHON_LOCAL],
    breaks=["clients.python.load-model-path"],
)
def _empty_files_left_out() -> None:
    """A file without content is not part of a model."""
    writable = layout._writable

    def filled(listed: list[File], prefix: str, found: layout.Layout) -> list[File]:
        return [file for file in writable(listed, prefix, found) if file.size]

    layout._writable = filled


@fault(
    "object-is-copied",
    seen="plausible: each request gets an object of its own, so that none spoils that of another",
    on=[PYTHON_LOCAL],
    breaks=["clients.python.exact-object"],
)
def _object_is_copied() -> None:
    """get_model returns a copy of what load_model returned."""
    get_model = PythonClient.get_model

    def copied(self: PythonClient, model_name: Any = None, model_version: Any = "latest") -> Any:
        return copy.copy(get_model(self, model_name, model_version))

    PythonClient.get_model = copied


@fault(
    "falsy-object-refused",
    seen="plausible: 'if not model' where 'if model is None' was meant, and None means that it is not there",
    on=[PYTHON_LOCAL],
    breaks=["clients.python.exact-object"],
    also=["clients.python.load-once"],
)
def _falsy_object_refused() -> None:
    """A model whose object is None or empty counts as not loaded, and is an error."""
    get_model = PythonClient.get_model

    def checked(self: PythonClient, model_name: Any = None, model_version: Any = "latest") -> Any:
        found = get_model(self, model_name, model_version)
        if not found:
            raise LoadError("the model is not loaded")
        return found

    PythonClient.get_model = checked


@fault(
    "falsy-object-reloaded",
    seen="plausible: 'if not model' where 'if key not in loaded' was meant",
    on=[PYTHON_LOCAL],
    breaks=["clients.python.load-once"],
)
def _falsy_object_reloaded() -> None:
    """A model whose object is None or empty is loaded again for every request."""
    get = Slot.get

    def impatient(self: Slot) -> Resident:
        if self.resident is not None and not self.resident.content:
            self.resident = None
        return get(self)

    Slot.get = impatient


@fault(
    "loaded-for-each-request",
    seen="plausible: get_model calls load_model",
    on=[PYTHON_LOCAL],
    breaks=["clients.python.load-once"],
    also=["clients.python.exact-object"],
)
def _loaded_for_each_request() -> None:
    """load_model runs for every request."""
    get = Slot.get

    def forgetful(self: Slot) -> Resident:
        self.resident = None
        return get(self)

    Slot.get = forgetful
