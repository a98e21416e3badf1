"""A violation of the contract, and the text that explains it to the maintainer of the server."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from conformance.catalogue import Clause

_WIDTH = 116


@dataclass(frozen=True)
class Evidence:
    """What there is to show for a violation: what was asked of the server, and what it did.

    Where S3 failed by itself, in `failures_of_s3`, it shows nothing that can be held against the server.
    """

    setting: str
    configuration: Sequence[str]
    tree: Sequence[str]
    timeline: Sequence[str]
    deadline: str
    log: Sequence[str]
    program: Sequence[str] = ()
    s3: Sequence[str] = ()
    failures_of_s3: Sequence[str] = ()


class ViolationError(AssertionError):
    """The server broke a clause; the only exception that becomes the outcome fail.

    `evidence` is added by whoever holds it, if it is not there from the beginning.
    """

    def __init__(self, expected: str, observed: str, evidence: Evidence | None = None) -> None:
        super().__init__(f"expected {expected}; observed {observed}")
        self.expected = expected
        self.observed = observed
        self.evidence = evidence


def explain(clause: Clause, violation: ViolationError, reproduce: str) -> str:
    """Write the failure text: clause, expected against observed, timeline, log and the command to see it again."""
    parts = [
        f"{clause.id} ({clause.level}, spec/models.md: {clause.document})",
        _paragraph("contract", clause.statement),
        _paragraph("expected", violation.expected),
        _paragraph("observed", violation.observed),
    ]
    if violation.evidence is not None:
        parts.append(evidence_text(violation.evidence))
    parts.append(_block("reproduce", [reproduce]))
    return "\n".join(parts)


def evidence_text(evidence: Evidence) -> str:
    """Write out what was asked of the server and what it did, in indented lines."""
    return "\n".join(
        [
            _paragraph("setting", evidence.setting),
            _block("cortex.yaml", evidence.configuration),
            _block("published", evidence.tree),
            *(
                [_block("program that failed first, reduced as far as it goes; none ran after it", evidence.program)]
                if evidence.program
                else []
            ),
            _block("timeline (seconds since the server was started)", evidence.timeline),
            *([_block("seen by S3 (seconds as above)", evidence.s3)] if evidence.s3 else []),
            *([_block("S3 failed by itself", evidence.failures_of_s3)] if evidence.failures_of_s3 else []),
            _paragraph("deadline", evidence.deadline),
            _block("last lines of the server's log", evidence.log),
        ]
    )


def _paragraph(title: str, text: str) -> str:
    return textwrap.fill(
        text, width=_WIDTH, initial_indent=f"  {title:<10}", subsequent_indent=" " * 12, break_long_words=False
    )


def _block(title: str, lines: Sequence[str]) -> str:
    return "\n".join([f"  {title}:", *(f"    {line}" for line in lines or ["(nothing)"])])
