"""The models of one process by themselves, without a keeper."""

from typing import Any, cast

import pytest

from reference.catalog import Catalog
from reference.link import Link
from reference.models import Models
from reference.resident import Candidate


class FakeLink:
    """A keeper that offers of each version the content of its newest stamp, which the path says."""

    process = "1"

    def __init__(self) -> None:
        self.stamps: dict[str, int] = {}

    def call(self, name: str, *arguments: Any) -> Any:
        """Offer content; take in all else."""
        if name != "open":
            return None
        _, label, *_ = arguments
        return [Candidate(self.stamps[label], self.stamps[label], f"content {self.stamps[label]} of {label}")]


@pytest.mark.parametrize("preload", [True, False])
def test_older_content_of_a_lower_version_is_never_the_latest(preload: bool) -> None:
    """When the latest version is removed as a lower one is overwritten, that one is served with its new content."""
    link = FakeLink()
    models = Models(cast("Link", link), lambda _, path: path, preload=preload)
    link.stamps = {"1": 10, "2": 20}
    models.apply(Catalog(1, {"m": dict(link.stamps)}))
    assert models.get("m", "1").content == "content 10 of 1"
    assert models.get("m", None).content == "content 20 of 2"
    link.stamps = {"1": 30}
    stale = models.apply(Catalog(2, {"m": dict(link.stamps)}))
    assert models.get("m", None).content == "content 30 of 1"
    for each in stale:
        models.renew(*each)
    assert models.get("m", "latest").content == "content 30 of 1"
