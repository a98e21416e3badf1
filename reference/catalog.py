"""What can be asked for: models by name, their versions by every spelling a request may use.

The keeper publishes plain `Catalog` values; each process turns them into `Model`s with a slot per version.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from reference.errors import UnknownModelError
from reference.layout import UNVERSIONED, canonical
from reference.resident import Slot

DEFAULT_MODEL = "_cortex_default"
"""The name of the model of `model_path`."""

LATEST = "latest"


class Catalog(NamedTuple):
    """All models at one moment, as the keeper sends them to the serving processes."""

    generation: int
    models: Mapping[str, Mapping[str, int]]
    """Model name -> version label -> stamp; another stamp means other content."""


@dataclass(slots=True)
class Model:
    """The versions of one model in one process."""

    name: str
    slots: dict[str | None, Slot]
    """By folder name, plain number, `latest` and None."""
    descending: tuple[Slot, ...]
    """Highest version first."""

    @classmethod
    def of(cls, name: str, slots: Iterable[Slot]) -> "Model":
        """Arrange the slots of one model, which must not be empty."""
        descending = tuple(sorted(slots, key=lambda slot: int(slot.label or 0), reverse=True))
        by_spelling: dict[str | None, Slot] = {}
        for slot in descending:
            if slot.label != UNVERSIONED:
                by_spelling[slot.label] = slot
                by_spelling[canonical(slot.label)] = slot
        model = cls(name, by_spelling, descending)
        model.point_latest(model.best())
        return model

    @property
    def latest(self) -> Slot:
        """The version that `latest` selects now."""
        return self.slots[None]

    def best(self) -> Slot:
        """Return the highest version that is not known to be unservable."""
        return next((slot for slot in self.descending if slot.servable), self.descending[0])

    def point_latest(self, slot: Slot) -> None:
        """Let `latest`, also as None, select this slot."""
        self.slots[LATEST] = self.slots[None] = slot

    @property
    def labels(self) -> list[str]:
        """Version folder names, lowest number first; empty for a model without versions."""
        return [slot.label for slot in reversed(self.descending) if slot.label != UNVERSIONED]

    def find(self, version: object) -> Slot:
        """Return the slot for a version as a request gives it (`007`, 7); raise UnknownModelError."""
        slot = self.latest if version is None else self.slots.get(canonical(str(version)) or str(version))
        if slot is None:
            there = ", ".join(self.labels) or "none, the model is not versioned"
            raise UnknownModelError(f"model '{self.name}' has no version '{version}'; versions: {there}")
        return slot


def unknown_model(name: object, known: Iterable[str]) -> UnknownModelError:
    """Return the error that lists what there is."""
    names = sorted(known)
    there = ", ".join(f"'{name}'" for name in names[:50]) or "none"
    more = f" and {len(names) - 50} more" if len(names) > 50 else ""
    asked = "a model name is needed" if name is None else f"there is no model '{name}'"
    return UnknownModelError(f"{asked}; models: {there}{more}")
