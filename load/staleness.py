"""Staleness: how long after a publication its result was not there yet; pure.

The answers say it from two sides: the last one that still came from before it was too early, the first one that showed
it was late enough. The truth lies between the two, the closer the more often the model is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from conformance.source_states import UNVERSIONED, Change, Tokens
from load.records import LATEST, Ledger, Rows


@dataclass(frozen=True)
class Staleness:
    """Of one publication, in seconds after its end.

    `last_old` is when the last request was sent that was answered from before, 0 if there was none; `first_new` when
    the first answer came that showed it, None if none did before the model was changed again or the run was over.
    """

    model: str
    ended: float
    last_old: float
    first_new: float | None


def staleness(
    publications: Sequence[Sequence[Change]], rows: Rows, ledger: Ledger, names: Sequence[str]
) -> list[Staleness]:
    """Measure every publication by the requests for the latest version of its model."""
    numbers = {name: number for number, name in enumerate(names)}
    answers = [frozenset(answer) for answer in ledger.answers]
    by_model: dict[str, list[Sequence[Change]]] = {}
    for publication in publications:
        by_model.setdefault(publication[0].model, []).append(publication)
    measured: list[Staleness] = []
    for model, own in by_model.items():
        asked = rows[(rows["model"] == numbers[model]) & (rows["version"] == LATEST) & (rows["answer"] >= 0)]
        for publication, following in zip(own, [*own[1:], None], strict=True):
            ended = publication[-1].ended
            until = following[0].begun if following else float("inf")
            within = asked[(asked["begun"] >= ended) & (asked["begun"] < until)]
            shown = _latest(publication[-1])
            new = [shown == answers[place] for place in within["answer"].tolist()]
            old_moments = [float(row["begun"]) for row, is_new in zip(within, new, strict=True) if not is_new]
            new_moments = [float(row["ended"]) for row, is_new in zip(within, new, strict=True) if is_new]
            last_old = max(old_moments, default=ended) - ended
            measured.append(Staleness(model, ended, last_old, min(new_moments) - ended if new_moments else None))
    return sorted(measured, key=lambda one: one.ended)


def _latest(change: Change) -> Tokens | None:
    numbers = [int(version) for version in change.versions if version != UNVERSIONED]
    return change.versions[str(max(numbers))] if numbers else None
