"""Slots, versions and eviction of one process, without the processes around them."""

import gc
import threading
import weakref
from typing import Any, cast

import pytest

from reference.catalog import Catalog
from reference.errors import LoadError, MovedError, UnavailableError, UnknownModelError
from reference.eviction import least_recently_used
from reference.link import Link
from reference.models import Models
from reference.resident import Candidate, begin_request, end_request, hold


class Content:
    """What a model is loaded as."""

    def __init__(self, path: str) -> None:
        self.path = path


class FakeLink:
    """Offers candidates whose path is their content; those in `bad` cannot be loaded."""

    process = "1"

    def __init__(self) -> None:
        self.offers: dict[tuple[str, str], list[Candidate]] = {}
        self.reports: list[tuple[Any, ...]] = []
        self.bad: set[str] = set()
        self.loads: list[str] = []
        self.gate: threading.Event | None = None
        self.missed = threading.Event()
        """Something was asked for that is not offered any more."""

    def call(self, name: str, *arguments: Any) -> Any:
        """Answer as the keeper would."""
        if name == "report":
            self.reports.append(arguments)
            return None
        found = self.offers.get(arguments[:2])
        if found is None:
            self.missed.set()
            raise MovedError("gone")
        return list(found)

    def load(self, _: str, path: str) -> Content:
        """Load, or fail."""
        if self.gate is not None:
            self.gate.wait()
        self.loads.append(path)
        if path in self.bad:
            raise ValueError("broken")
        return Content(path)

    def offer(self, label: str, stamp: int, *older: int, model: str = "m") -> None:
        """Offer a version by stamps, newest first; each is its own revision and path."""
        self.offers[model, label] = [Candidate(number, number, str(number)) for number in (stamp, *older)]


@pytest.fixture
def link() -> FakeLink:
    """Make a keeper that offers nothing yet."""
    return FakeLink()


@pytest.fixture
def models(link: FakeLink) -> Models:
    """Make the models of a process without caching."""
    return Models(cast("Link", link), link.load)


def publish(models: Models, link: FakeLink, generation: int) -> None:
    """Let the process follow what is offered."""
    catalog: dict[str, dict[str, int]] = {}
    for (name, label), candidates in link.offers.items():
        catalog.setdefault(name, {})[label] = candidates[0].stamp
    for model, slots in models.apply(Catalog(generation, catalog)):
        models.renew(model, slots)


def served(models: Models, version: Any = None) -> str:
    """Return the path of what is served."""
    content: Content = models.get(None, version).content
    return content.path


def test_before_the_first_catalog(models: Models) -> None:
    """Before the first catalog nothing can be said."""
    with pytest.raises(UnavailableError):
        models.get("m", None)


def test_spellings(models: Models, link: FakeLink) -> None:
    """A version is reached by its folder name, its number as text or int, and as latest or None if it is highest."""
    link.offer("007", 1)
    link.offer("10", 2)
    publish(models, link, 1)
    assert [served(models, version) for version in ("007", "7", 7, "0007")] == ["1"] * 4
    assert [served(models, version) for version in ("10", None, "latest")] == ["2"] * 3
    wrongs: list[Any] = ["v7", "", "8", [7], "7.0", "9" * 5000]
    for wrong in wrongs:
        with pytest.raises(UnknownModelError, match="versions: 007, 10"):
            models.get("m", wrong)
    assert len(link.loads) == 2


def test_names(models: Models, link: FakeLink) -> None:
    """The name can be left out where there is one model; an unknown one never is another model."""
    link.offer("1", 1, model="a")
    publish(models, link, 1)
    assert served(models) == "1"
    link.offer("1", 2, model="b")
    publish(models, link, 2)
    assert models.get("b", None).content.path == "2"
    wrongs: list[Any] = [None, "c", ["a"], 1]
    for wrong in wrongs:
        with pytest.raises(UnknownModelError, match="models: 'a', 'b'"):
            models.get(wrong, None)


def test_latest_moves_when_the_new_version_is_loaded(models: Models, link: FakeLink) -> None:
    """While a new version loads, latest serves the one before; afterwards it serves the new one."""
    link.offer("1", 1)
    publish(models, link, 1)
    assert served(models) == "1"
    link.offer("2", 2)
    link.gate = threading.Event()
    follower = threading.Thread(target=publish, args=(models, link, 2))
    follower.start()
    assert served(models) == "1"
    link.gate.set()
    follower.join()
    assert models.get("m", "2").content is models.get("m", None).content


def test_failed_content_is_not_tried_on_every_request(models: Models, link: FakeLink) -> None:
    """A load that failed is remembered with its content; other content is tried at once."""
    link.bad.add("1")
    link.offer("1", 1)
    publish(models, link, 1)
    for _ in range(3):
        with pytest.raises(LoadError, match="ValueError: broken"):
            models.get("m", "1")
    assert link.loads == ["1"]
    link.offer("1", 2)
    publish(models, link, 2)
    assert served(models) == "2"


def test_failed_content_is_retried_after_a_while(
    models: Models, link: FakeLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What failed is tried again when its time has come, each time after twice as long."""
    now = [1000.0]
    monkeypatch.setattr("reference.resident.time.monotonic", lambda: now[0])
    link.bad.add("2")
    link.offer("1", 2, 1)
    publish(models, link, 1)
    assert served(models) == "1"
    for wait, tries in ((59, 1), (2, 2), (61, 2), (60, 3)):
        now[0] += wait
        models.retry_failed()
        assert link.loads.count("2") == tries
    assert served(models) == "1"
    link.bad.clear()
    now[0] += 241
    models.retry_failed()
    assert served(models) == "2"


def test_last_good_is_loaded_again_after_eviction(models: Models, link: FakeLink) -> None:
    """Content that failed does not keep the last good one from being loaded once more."""
    link.bad.add("2")
    link.offer("1", 2, 1)
    publish(models, link, 1)
    assert served(models) == "1"
    models.slots()[0].evict()
    assert served(models) == "1"
    assert link.loads == ["2", "1", "1"]


def test_falls_back_to_the_next_version(models: Models, link: FakeLink) -> None:
    """Latest is the highest version that loads, and moves up when the higher one is repaired."""
    link.bad.add("2")
    link.offer("1", 1)
    link.offer("2", 2)
    publish(models, link, 1)
    assert served(models) == "1"
    with pytest.raises(LoadError):
        models.get("m", "2")
    link.offer("2", 3)
    publish(models, link, 2)
    assert served(models) == "3"


def test_latest_is_never_a_version_that_was_not(models: Models, link: FakeLink) -> None:
    """When the highest version is gone, latest is what the next catalog says, not the next highest of an old one."""
    link.offer("1", 1)
    link.offer("2", 2)
    publish(models, link, 1)
    del link.offers["m", "2"]
    link.offer("3", 3)
    found: list[str] = []
    asking = threading.Thread(target=lambda: found.append(served(models)))
    asking.start()
    link.missed.wait()
    publish(models, link, 2)
    asking.join()
    assert found == ["3"]


def test_one_load_for_many_requests(models: Models, link: FakeLink) -> None:
    """Concurrent first requests wait for one load."""
    link.offer("1", 1)
    publish(models, link, 1)
    link.gate = threading.Event()
    found: list[Any] = []
    threads = [threading.Thread(target=lambda: found.append(models.get("m", None).content)) for _ in range(8)]
    for thread in threads:
        thread.start()
    link.gate.set()
    for thread in threads:
        thread.join()
    assert link.loads == ["1"]
    assert len(set(map(id, found))) == 1


def test_the_lease_ends_with_the_last_holder(models: Models, link: FakeLink) -> None:
    """A replaced object and its lease live as long as a request holds them, and no longer."""
    link.offer("1", 1)
    publish(models, link, 1)
    begin_request()
    resident = models.get("m", None)
    hold(resident)
    content = weakref.ref(resident.content)
    del resident
    link.offer("1", 2)
    publish(models, link, 2)
    assert content() is not None
    assert models.supply.released.empty()
    end_request()
    gc.collect()
    assert content() is None
    assert models.supply.released.get_nowait() == 1


def test_least_recently_used() -> None:
    """Exactly the excess goes, oldest access first."""

    class Used:
        def __init__(self, used: int) -> None:
            self.used = used

    slots: list[Any] = [Used(3), Used(1), Used(2)]
    assert [slot.used for slot in least_recently_used(slots, 1)] == [1, 2]
    assert least_recently_used(slots, 3) == []
    assert least_recently_used(slots, 9) == []
