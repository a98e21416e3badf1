"""The oracle of layouts: what a model directory holds, and which clause speaks of each entry that is no version.

The reading itself is that of fixtures.oracle, written from the document and from no server.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from conformance.catalogue import PredictorType
from fixtures.kinds import Kind
from fixtures.oracle import Reason, judge_model

# The clause by which an entry of a level is left aside; any other reason is a fault inside a version folder.
_CLAUSES = {
    Reason.DOTFILE: "layouts.markers-ignored",
    Reason.EMPTY: "layouts.markers-ignored",
    Reason.NOT_AN_INTEGER: "layouts.not-an-integer",
    Reason.STRAY: "layouts.mixed-level",
}
INVALID_VERSION = "layouts.bad-version-isolated"


@dataclass(frozen=True)
class Level:
    """What the oracle says of one model directory.

    `versions` maps each valid version to its folder; empty, the directory is one unversioned model if `is_model`.
    `aside` maps every other entry to the clause by which it is none. `unspecified` says why nothing can be said.
    """

    versions: dict[int, str]
    aside: dict[str, str]
    is_model: bool
    unspecified: str = ""

    @property
    def latest(self) -> str:
        """The folder that a request without a version is answered from: `""` for an unversioned model."""
        return self.versions[max(self.versions)] if self.versions else ""


def read_level(keys: Iterable[str], predictor: PredictorType) -> Level:
    """Read a model directory from its keys, relative to it."""
    judged = judge_model(keys, Kind(predictor))
    versions = {int(folder): folder for folder in judged.versions if folder}
    aside = {finding.path: _CLAUSES.get(finding.reason, INVALID_VERSION) for finding in judged.findings if finding.path}
    unspecified = ""
    if any(finding.reason is Reason.SAME_INTEGER for finding in judged.findings):
        unspecified = "two folders are the same integer"
    elif versions and predictor == "python" and not set(aside.values()) <= {"layouts.markers-ignored"}:
        unspecified = "versions of a python model beside other files or folders"
    elif "" in judged.versions and INVALID_VERSION in aside.values():
        unspecified = "an unversioned model beside invalid versions"
    return Level(versions, aside, is_model=bool(judged.versions), unspecified=unspecified)
