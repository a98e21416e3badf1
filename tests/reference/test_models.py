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


@pytest.mark.parametrize("preload", [True, False])
def test_version_that_loads_at_last_is_the_latest_of_the_models_as_they_are_by_then(preload: bool) -> None:
    """A mended version becomes the latest although a version was added while its new content was being loaded."""
    link = FakeLink()
    begun, go_on = Event(), Event()

    def load(_: str, path: str) -> str:
        if path == "content 30 of 3":
            raise ValueError(path)
        if path == "content 40 of 3":
            begun.set()
            assert go_on.wait(ALLOWANCE)
        return path

    models = Models(cast("Link", link), load, preload=preload)
    link.stamps = {"2": 20, "3": 30}
    models.apply(Catalog(1, {"m": dict(link.stamps)}))
    assert models.get("m", None).content == "content 20 of 2"
    link.stamps = {"2": 20, "3": 40}
    mended = models.apply(Catalog(2, {"m": dict(link.stamps)}))
    with ThreadPoolExecutor(1) as pool:
        renewal = pool.submit(lambda: [models.renew(*each) for each in mended])
        assert begun.wait(ALLOWANCE)
        link.stamps = {"1": 10, "2": 20, "3": 40}
        assert models.apply(Catalog(3, {"m": dict(link.stamps)})) == []
        go_on.set()
        renewal.result()
    assert models.get("m", None).content == "content 40 of 3"


@pytest.mark.parametrize("preload", [True, False])
def test_version_that_loads_when_it_is_asked_for_is_the_latest(preload: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A version that failed to load becomes the latest when a request for it loads it after all."""
    monkeypatch.setattr("reference.resident.LOAD_RETRY_AFTER", 0.0)
    link = FakeLink()
    fails = [True]

    def load(_: str, path: str) -> str:
        if path == "content 20 of 2" and fails[0]:
            raise ValueError(path)
        return path

    models = Models(cast("Link", link), load, preload=preload)
    link.stamps = {"1": 10, "2": 20}
    models.apply(Catalog(1, {"m": dict(link.stamps)}))
    assert models.get("m", None).content == "content 10 of 1"
    fails[0] = False
    assert models.get("m", "2").content == "content 20 of 2"
    assert models.get("m", None).content == "content 20 of 2"


def test_what_was_loaded_ahead_of_its_catalog_is_kept() -> None:
    """Content that a request loaded before the catalog with it was taken in is not loaded a second time."""
    link = FakeLink()
    models = Models(cast("Link", link), lambda _, path: path)
    link.stamps = {"1": 10, "2": 20}
    models.apply(Catalog(1, {"m": dict(link.stamps)}))
    link.stamps = {"1": 30}
    ahead = models.get("m", "1")
    assert models.apply(Catalog(2, {"m": dict(link.stamps)})) == []
    assert models.get("m", None) is ahead
