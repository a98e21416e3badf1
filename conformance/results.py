"""results.json: all that a run found, in the frame that results.schema.json fixes; every view is made from it."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict
from importlib import resources
from pathlib import Path
from typing import Any

from conformance.catalogue import CONTRACT_FILE, Catalogue, Profile
from conformance.implementation import Implementation
from conformance.outcomes import Outcome, ProfileResult, TestResult, Verdict, judge, judge_clauses

SCHEMA_VERSION = 1
SUITE_VERSION = "0.1.0"


def results_document(
    *,
    catalogue: Catalogue,
    implementation: Implementation,
    tests: Sequence[TestResult],
    errors: Iterable[str],
    notes: Iterable[str] = (),
    run: Mapping[str, Any],
    strict: bool,
    profiles: Collection[Profile] = (),
    without_tests: Mapping[str, Outcome] | None = None,
) -> dict[str, Any]:
    """Build the document; `errors` are faults of the harness or the protocol that belong to no test.

    `notes` say what went wrong and is no failure: once, and explained by a clause that failed, or on a server that
    other tests had before and not on a new one. `run` says how the run was made (when, how long, with which options);
    `profiles` are those that the verdict is asked of, all declared ones if there are none; `without_tests` gives the
    outcome of clauses for which no test ran, where that is not "untested".
    """
    outcomes = judge_clauses(catalogue, tests, without_tests)
    for clause in catalogue.values():
        # What the server declares, and no test could be set up for, was not judged.
        if outcomes[clause.id] is Outcome.NOT_SUPPORTED and not implementation.missing_for(clause):
            outcomes[clause.id] = Outcome.UNOBSERVABLE
    verdict, judged = judge(catalogue, tests, outcomes, strict=strict, profiles=profiles)
    errors = list(errors)
    if errors and verdict is not Verdict.NOT_CONFORMANT:
        verdict = Verdict.ERROR
    return {
        "schema": SCHEMA_VERSION,
        "suite": {
            "name": "servecheck",
            "version": SUITE_VERSION,
            "catalogue": catalogue.version,
            "contract_sha256": hashlib.sha256(CONTRACT_FILE.read_bytes()).hexdigest(),
        },
        "implementation": {
            **implementation.implementation.model_dump(),
            "declares": implementation.declares.model_dump(),
            "intervals": implementation.intervals.model_dump(),
        },
        "run": {
            **run,
            "python": platform.python_version(),
            "platform": platform.platform(),
            "errors": errors,
            "notes": [*notes],
        },
        "verdict": verdict,
        "profiles": {profile: _profile(result) for profile, result in judged.items()},
        "clauses": [
            {
                "id": clause.id,
                "level": clause.level,
                "profile": clause.profile,
                "family": clause.family,
                "statement": clause.statement,
                "outcome": outcomes[clause.id],
                "tests": [_test(test) for test in tests if test.clause == clause.id],
            }
            for clause in catalogue.values()
        ],
    }


def results_file(folder: Path) -> Path:
    """Give the place of the results in a report folder."""
    return folder / "results.json"


def write_results(document: Mapping[str, Any], folder: Path) -> None:
    """Write the document to results.json in a folder, as a whole or not at all."""
    part = folder / "results.json.part"
    part.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    part.replace(results_file(folder))


def results_schema() -> dict[str, Any]:
    """Give the JSON Schema that every results.json satisfies."""
    schema: dict[str, Any] = json.loads(
        resources.files("conformance").joinpath("results.schema.json").read_text(encoding="utf-8")
    )
    return schema


def _profile(result: ProfileResult) -> dict[str, Any]:
    return {"verdict": result.verdict, "reasons": list(result.reasons)}


def _test(test: TestResult) -> dict[str, Any]:
    fields = asdict(test)
    del fields["clause"]
    if test.outcome is Outcome.PASS:
        del fields["message"]
    return fields
