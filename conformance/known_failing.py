"""The known-failing file: clauses and tests that are known to fail, each with a reason.

    [known-failing]
    "cache.lru-disk" = "evicts from disk in arbitrary order, issue 41"
    "conformance/reload/test_events.py::test_new_model_is_served[onnx-s3]" = "under investigation"

A failure that is listed does not make a server non-conformant, only partially judged. What is listed and passes is an
error, so that the list gets shorter when the server gets better.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path

from conformance.catalogue import Catalogue
from conformance.outcomes import Outcome, TestResult
from conformance.problems import InvalidInputError

_TABLE = "known-failing"


class KnownFailing:
    """Reasons by the id of a clause or of a test."""

    def __init__(self, reasons: Mapping[str, str]) -> None:
        self._reasons = reasons

    def reason(self, test_id: str, clause_id: str) -> str | None:
        """Give the reason for which a test of a clause is known to fail; None if it is not."""
        return self._reasons.get(test_id, self._reasons.get(clause_id))

    def unexpected_passes(self, results: Iterable[TestResult]) -> list[str]:
        """Say what passes though it is listed; what was not judged is not spoken of."""
        outcomes: dict[str, set[Outcome]] = {}
        for result in results:
            for listed in {result.id, result.clause} & set(self._reasons):
                outcomes.setdefault(listed, set()).add(result.outcome)
        return [
            f"known-failing: {listed} passes; take it off the list"
            for listed, seen in outcomes.items()
            if Outcome.PASS in seen and seen <= {Outcome.PASS, Outcome.NOT_SUPPORTED}
        ]


def load_known_failing(path: Path | None, catalogue: Catalogue) -> KnownFailing:
    """Read the file, if there is one; raises `InvalidInputError`, which names the file, the key and the fault."""
    if path is None:
        return KnownFailing({})
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidInputError(f"known-failing file {path}: {error.strerror}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InvalidInputError(f"known-failing file {path}: not TOML: {error}") from error
    table = document.pop(_TABLE, None)
    if not isinstance(table, dict) or document:
        raise InvalidInputError(f"known-failing file {path}: it has to hold the table [{_TABLE}] and nothing else")
    for listed, reason in table.items():
        if listed not in catalogue and "::" not in listed:
            raise InvalidInputError(f"known-failing file {path}: {listed!r} is neither a clause nor the id of a test")
        if not isinstance(reason, str) or not reason.strip():
            raise InvalidInputError(f"known-failing file {path}: {listed!r} needs a reason")
    return KnownFailing(table)
