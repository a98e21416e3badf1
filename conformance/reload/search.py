"""What a search by random programs has found of one server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf

from conformance import timing
from conformance.deployment import ServerDiedError
from conformance.judge import Finding
from conformance.stand import Stand
from conformance.violations import ViolationError

# Seconds for reducing a program that failed.
REDUCTION = 30.0


@dataclass
class Search:
    """What is known of a server so far.

    `clause` is the one that is charged with what went wrong, a violation or the death of the server; `longest_wait` are
    the seconds for which an answer had to be waited for, `reduced_until` the moment at which a program that fails is
    short enough.
    """

    stand: Stand
    violation: ViolationError | None = None
    death: ServerDiedError | None = None
    clause: str = ""
    longest_wait: float = 0.0
    reduced_until: float = inf

    def accuse(self, finding: Finding, script: Sequence[str], names: Sequence[str]) -> None:
        """Keep a finding: the last one is that of the least program, which is looked for in the time of `REDUCTION`."""
        self.reduced_until = min(self.reduced_until, timing.now() + REDUCTION)
        self.clause = finding.clause
        evidence = replace(self.stand.evidence(*names), program=tuple(script))
        self.violation = ViolationError(finding.expected, finding.observed, evidence)

    def bury(self, death: BaseException | None, script: Sequence[str], last_event: str) -> None:
        """Keep the death of the server in the course of a program, and charge it to the last change."""
        self.clause = last_event
        self.death = ServerDiedError(f"{death}, in the course of a program: {'; '.join(script)}")

    def check(self, clause: str) -> None:
        """Raise what the clause is charged with, if it is this one."""
        if clause == self.clause:
            raise self.death or self.violation or AssertionError(clause)
