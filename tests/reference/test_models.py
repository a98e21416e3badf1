"""The models of one process by themselves, without a keeper."""

from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any, cast

import pytest

from reference.catalog import Catalog
from reference.link import Link
from reference.models import Models
from reference.resident import Candidate
from tests.reference.harness import ALLOWANCE


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


@pytest.mark.parametrize("preload", [True, False])
def test_update_of_a_version_that_is_being_loaded_is_served(preload: bool) -> None:
    """Content that comes in while a request loads what was there before is loaded too when the catalog is taken in."""
    link = FakeLink()
    begun, go_on = Event(), Event()

    def load(_: str, path: str) -> str:
        begun.set()
        assert go_on.wait(ALLOWANCE)
        return path

    models = Models(cast("Link", link), load, preload=preload)
    link.stamps = {"1": 10}
    models.apply(Catalog(1, {"m": dict(link.stamps)}))
    with ThreadPoolExecutor(1) as pool:
        request = pool.submit(models.get, "m", "1")
        assert begun.wait(ALLOWANCE)
        link.stamps = {"1": 20}
        stale = models.apply(Catalog(2, {"m": dict(link.stamps)}))
        go_on.set()
        request.result()
    for each in stale:
        models.renew(*each)
    assert models.get("m", "1").content == "content 20 of 1"


@pytest.mark.parametrize("preload", [True, False])
def test_older_content_that_is_being_loaded_never_becomes_the_latest(preload: bool) -> None:
    """A load of what a lower version was before brings nothing any more once that is the latest with other content."""
    link = FakeLink()
    begun, go_on = Event(), Event()

    def load(_: str, path: str) -> str:
        if path == "content 10 of 1":
            begun.set()
            assert go_on.wait(ALLOWANCE)
        return path

    models = Models(cast("Link", link), load, preload=preload)
    link.stamps = {"1": 10, "2": 20}
    models.apply(Catalog(1, {"m": dict(link.stamps)}))
    assert models.get("m", None).content == "content 20 of 2"
    with ThreadPoolExecutor(1) as pool:
        request = pool.submit(models.get, "m", "1")
        assert begun.wait(ALLOWANCE)
        link.stamps = {"1": 30}
        stale = models.apply(Catalog(2, {"m": dict(link.stamps)}))
        go_on.set()
        request.result()
    assert models.get("m", None).content == "content 30 of 1"
    for each in stale:
        models.renew(*each)
    assert models.get("m", "1").content == "content 30 of 1"
