"""Records of requests: a row for each, written where it is sent, passed on in batches, judged where all come together.

A row takes some 60 bytes, so that an hour at 1,000 requests a second fits into memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from conformance.judge import Finding, Request, judge
from conformance.source_states import Change, Tokens

# `due`, `begun` and `ended` are moments of `timing.now`; `version` is LATEST or the number asked for; `answer` and
# `process` are places in the tables of the batch; `served` is how many requests that process had served by then.
ROW = np.dtype(
    [
        ("due", "<f8"),
        ("begun", "<f8"),
        ("ended", "<f8"),
        ("model", "<u4"),
        ("version", "<i4"),
        ("process", "<u4"),
        ("answer", "<i4"),
        ("served", "<u4"),
        ("kind", "<u1"),
        ("status", "<u2"),
    ]
)
LATEST = -1
ERROR = -1

Rows = npt.NDArray[np.void]


class Kind(IntEnum):
    """Where the model of an answer was when it was asked for; UNTOLD where the predictor does not say."""

    UNTOLD = 0
    HIT = 1
    DISK = 2
    COLD = 3
    FAILED = 4


@dataclass(frozen=True)
class Answer:
    """What came back: the tokens behind it, or None for an error; `status` is 0 where nothing came back at all."""

    status: int
    tokens: tuple[str, ...] | None = None
    process: str = ""
    served: int = 0
    kind: Kind = Kind.FAILED


class Sheet:
    """Rows on their way: filled by users, taken away in batches."""

    def __init__(self) -> None:
        self._rows: list[tuple[float | int, ...]] = []
        self._answers: dict[tuple[str, ...], int] = {}
        self._processes: dict[str, int] = {}

    def add(self, moments: tuple[float, float, float], model: int, version: int, answer: Answer) -> None:
        """Note one request: when it was due, begun and ended, what it asked for, and what came back."""
        process = self._processes.setdefault(answer.process, len(self._processes))
        place = ERROR if answer.tokens is None else self._answers.setdefault(answer.tokens, len(self._answers))
        self._rows.append((*moments, model, version, process, place, answer.served, answer.kind, answer.status))

    def take(self) -> dict[str, Any]:
        """Give what was noted since the last time, as a message: rows, and the tables that they refer to."""
        rows, self._rows = self._rows, []
        return {
            "rows": np.array(rows, dtype=ROW).tobytes(),
            "answers": [list(tokens) for tokens in self._answers],
            "processes": list(self._processes),
        }


class Ledger:
    """All rows of a run, from however many sheets."""

    def __init__(self) -> None:
        self._batches: list[Rows] = []
        self.answers: dict[tuple[str, ...], int] = {}
        self.processes: dict[str, int] = {}

    def put(self, batch: dict[str, Any], offset: float = 0.0, uncertainty: float = 0.0) -> int:
        """Take in a batch; gives its number of rows.

        `offset` is what the clock of this machine shows more than that of the sender. Where that is not known for sure,
        requests are taken to have lasted the longer by the uncertainty, so that nothing is held against a server that
        only clocks brought about.
        """
        rows = np.frombuffer(batch["rows"], dtype=ROW).copy()
        answers = [self.answers.setdefault(tuple(tokens), len(self.answers)) for tokens in batch["answers"]]
        processes = [self.processes.setdefault(name, len(self.processes)) for name in batch["processes"]]
        for moment in ("due", "begun", "ended"):
            rows[moment] += offset
        rows["begun"] -= uncertainty / 2
        rows["due"] -= uncertainty / 2
        rows["ended"] += uncertainty / 2
        # The last place answers for ERROR, which is -1.
        rows["answer"] = np.array([*answers, ERROR], dtype="<i4")[rows["answer"]]
        if len(rows):
            rows["process"] = np.array(processes, dtype="<u4")[rows["process"]]
        self._batches.append(rows)
        return len(rows)

    def rows(self) -> Rows:
        """Give all rows in the order in which the requests were sent."""
        whole = np.concatenate(self._batches) if self._batches else np.empty(0, dtype=ROW)
        return whole[np.argsort(whole["begun"], kind="stable")]


@dataclass(frozen=True)
class Verdicts:
    """What nothing explains: errors that are `failed` requests, and answers that are `wrong`."""

    failed: Sequence[Finding]
    wrong: Sequence[Finding]


def judge_rows(
    rows: Rows, ledger: Ledger, changes: Sequence[Change], names: Sequence[str], staleness: float
) -> Verdicts:
    """Judge every answer by the suite's judge of histories; `names` are those of the models by number.

    One model at a time, so that the requests of one model only are unfolded. Where something is found they are judged
    once more beside all other models, which tells answers of another one from files that were never together.
    """
    tokens = [frozenset(answer) for answer in ledger.answers]
    processes = list(ledger.processes)
    by_model: dict[str, list[Change]] = {name: [] for name in names}
    for change in changes:
        by_model[change.model].append(change)

    def requests(chosen: Rows, name: str) -> Iterator[Request]:
        for row in chosen.tolist():
            _, begun, ended, _, version, process, answer, *_ = row
            asked = None if version == LATEST else str(version)
            got: Tokens | None = None if answer == ERROR else tokens[answer]
            yield Request(begun, ended, name, asked, processes[process], got)

    accused: list[Request] = []
    order = np.argsort(rows["model"], kind="stable")
    numbers, starts = np.unique(rows["model"][order], return_index=True)
    for number, part in zip(numbers.tolist(), np.split(order, starts[1:]), strict=True):
        name = names[number]
        asked = list(requests(rows[part], name))
        if judge(by_model[name], asked, staleness):
            accused.extend(asked)
    findings = judge(changes, accused, staleness) if accused else []
    return Verdicts(
        failed=[finding for finding in findings if finding.request.tokens is None],
        wrong=[finding for finding in findings if finding.request.tokens is not None],
    )
