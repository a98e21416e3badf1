"""Sources, the disk store and the inventory, without processes."""

import fcntl
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from reference.errors import (
    ConfigurationError,
    ContentChangedError,
    MovedError,
    RefusedError,
    SourceError,
    UnavailableError,
)
from reference.inventory import Inventory
from reference.layout import analyse
from reference.local import LocalSource
from reference.resident import Candidate
from reference.run_folder import claim
from reference.s3 import parse_url
from reference.sources import File
from reference.store import Revision, Store
from tests.reference.harness import ALLOWANCE, await_


class FakeSource:
    """Files in memory; `on_fetch` may change them or fail while one is fetched."""

    location = "fake"

    def __init__(self, **contents: str) -> None:
        self.files = {key.replace("__", "/"): content for key, content in contents.items()}
        self.on_fetch: Callable[[str], None] = lambda _: None
        self.fetched: list[str] = []

    def listing(self, below: str = "") -> list[File]:
        """Return the files in memory."""
        return [File(key, len(text), text) for key, text in sorted(self.files.items()) if key.startswith(below)]

    def fetch(self, file: File, target: Path) -> None:
        """Write one of them."""
        self.fetched.append(file.key)
        self.on_fetch(file.key)
        if self.files.get(file.key) != file.tag:
            raise ContentChangedError(file.key)
        target.write_text(file.tag)


def settle(inventory: Inventory, source: FakeSource) -> bool:
    """Let the inventory see the source as one model `m`."""
    looked_at = time.monotonic()
    listed = source.listing()
    held = inventory.unsettled("m", source, "", listed)
    done = held is None or inventory.settle(held, listed, looked_at)
    inventory.publish()
    return done


def opened(inventory: Inventory, label: str) -> list[Candidate]:
    """Open a version as it was published last."""
    return inventory.open("m", label, inventory.catalog.models["m"][label], "test")


def read(inventory: Inventory, label: str) -> list[str]:
    """Return the first file of every candidate of a version."""
    return [next(Path(found.path).iterdir()).read_text() for found in opened(inventory, label)]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Make an empty store."""
    return Store(tmp_path)


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("s3://b/foo", ("b", "foo/")),
        ("s3://b/foo/", ("b", "foo/")),
        ("s3://b", ("b", "")),
        ("s3://b/a b/ü//", ("b", "a b/ü/")),
    ],
)
def test_s3_prefix_ends_with_a_slash(url: str, parts: tuple[str, str]) -> None:
    """`s3://b/foo` never picks up `s3://b/foobar`."""
    assert parse_url(url) == parts


def test_local_listing(tmp_path: Path) -> None:
    """Regular files are listed, links followed once, pipes and links to nowhere skipped."""
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "x").write_text("1")
    (tmp_path / "m" / "loop").symlink_to(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path / "m" / "x")
    (tmp_path / "nowhere").symlink_to(tmp_path / "gone")
    os.mkfifo(tmp_path / "pipe")
    source = LocalSource(tmp_path)
    assert [file.key for file in source.listing()] == ["link", "m/x"]
    assert [file.key for file in source.listing("m/")] == ["m/x"]
    assert LocalSource(tmp_path / "absent").listing() == []


def test_local_fetch_takes_what_was_listed(tmp_path: Path) -> None:
    """A file that was rewritten, even with its size and modification time, is not what was listed."""
    path = tmp_path / "x"
    path.write_text("old")
    source = LocalSource(tmp_path)
    (listed,) = source.listing()
    source.fetch(listed, tmp_path / "copy")
    times = path.stat()
    path.write_text("new")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    with pytest.raises(ContentChangedError):
        source.fetch(listed, tmp_path / "copy")
    path.unlink()
    with pytest.raises(ContentChangedError):
        source.fetch(listed, tmp_path / "copy")


def test_store_refuses_a_mix(store: Store, tmp_path: Path) -> None:
    """A set of files that changed while it was downloaded does not become visible."""
    source = FakeSource(**{"1__a": "1", "1__b": "1"})
    version = analyse(source.listing(), "", "python").versions["1"]
    source.on_fetch = lambda key: source.files.update({"1/a": "2"}) if key == "1/b" else None
    with pytest.raises(ContentChangedError, match=r"^1/ changed while it was downloaded$"):
        store.add(source, version)
    assert list((tmp_path / "revisions").iterdir()) == []
    assert list((tmp_path / "staging").iterdir()) == []


def test_downloads_at_once_do_not_mix(store: Store) -> None:
    """A version that is downloaded while another one is has its own files, and so has the other."""
    outer, inner = FakeSource(a="1"), FakeSource(b="2")
    revisions: dict[str, Revision] = {}

    def add(name: str, source: FakeSource) -> None:
        revisions[name] = store.add(source, analyse(source.listing(), "", "python").versions[""])

    outer.on_fetch = lambda _: add("inner", inner)
    add("outer", outer)
    assert [path.name for path in revisions["outer"].path.iterdir()] == ["a"]
    assert [path.name for path in revisions["inner"].path.iterdir()] == ["b"]


def test_failed_download_says_why_whatever_is_left_of_it(store: Store, tmp_path: Path) -> None:
    """That there is nothing to clean up does not hide why a download failed."""
    source = FakeSource(a="1")
    version = analyse(source.listing(), "", "python").versions[""]

    def fail(_: str) -> None:
        shutil.rmtree(tmp_path / "staging")
        raise SourceError("away")

    source.on_fetch = fail
    with pytest.raises(SourceError, match=r"^away$"):
        store.add(source, version)


def test_revision_has_its_files_in_their_folders(store: Store) -> None:
    """Files lie where their keys say, below the prefix of the version, however deep."""
    source = FakeSource(**{"1__a__b__c": "deep", "1__d": "flat"})
    version = analyse(source.listing(), "", "python").versions["1"]
    revision = store.add(source, version)
    assert revision.version is version
    assert (revision.path / "a/b/c").read_text() == "deep"
    assert (revision.path / "d").read_text() == "flat"


def test_one_file_alone_needs_no_second_look(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a version that is one file no listing has to show that its files lay together."""
    source = FakeSource(**{"1__a": "x"})
    version = analyse(source.listing(), "", "python").versions["1"]
    monkeypatch.setattr(source, "listing", lambda _: pytest.fail("the source is listed again"))
    assert (store.add(source, version).path / "a").read_text() == "x"


def test_discarded_revision_goes_at_once(store: Store, tmp_path: Path) -> None:
    """A revision that nobody leases is gone when it is discarded, and its bytes soon are."""
    source = FakeSource(**{"1__a": "x"})
    revision = store.add(source, analyse(source.listing(), "", "python").versions["1"])
    store.discard(revision)
    assert not revision.path.exists()

    def is_deleted() -> None:
        assert list((tmp_path / "staging").iterdir()) == []

    await_(is_deleted, ALLOWANCE)


def test_holder_that_is_gone_gives_up_its_own_leases(store: Store) -> None:
    """All leases of a holder end together, and those of others stay."""
    source = FakeSource(**{"1__a": "x", "2__a": "y"})
    versions = analyse(source.listing(), "", "python").versions
    first, second = store.add(source, versions["1"]), store.add(source, versions["2"])
    store.lease(first, "gone")
    store.lease(first, "gone")
    store.lease(second, "there")
    store.discard(first)
    store.discard(second)
    store.release_all("gone")
    assert not first.path.exists()
    assert second.path.exists()


def test_lease_keeps_a_discarded_revision(store: Store) -> None:
    """Files go when nobody wants them and the last lease has ended, also by the death of its holder."""
    source = FakeSource(a="1")
    version = analyse(source.listing(), "", "python").versions[""]
    first, second = store.add(source, version), store.add(source, version)
    store.lease(first, "p")
    store.lease(first, "p")
    store.lease(second, "q")
    store.discard(first)
    store.discard(second)
    store.release(first.id, "p")
    assert first.path.exists()
    store.release(first.id, "p")
    assert not first.path.exists()
    assert second.path.exists()
    store.release_all("q")
    assert not second.path.exists()


def test_newest_is_offered_before_the_last_good(store: Store) -> None:
    """New content is offered first; the content before it stays until the new one has been loaded."""
    inventory, source = Inventory(store, "python", lazy=False), FakeSource(a="1")
    settle(inventory, source)
    source.files["a"] = "2"
    settle(inventory, source)
    assert read(inventory, "") == ["2", "1"]
    newest = opened(inventory, "")[0]
    inventory.report("m", "", newest.revision, None)
    assert read(inventory, "") == ["2"]


def test_content_that_was_not_published_is_not_opened(store: Store) -> None:
    """Who has seen an older catalog than the last gets nothing of a version that was overwritten since."""
    inventory, source = Inventory(store, "python", lazy=False), FakeSource(a="1")
    settle(inventory, source)
    stamp = inventory.catalog.models["m"][""]
    source.files["a"] = "2"
    settle(inventory, source)
    with pytest.raises(MovedError):
        inventory.open("m", "", stamp, "test")
    assert read(inventory, "") == ["2", "1"]


def test_a_proven_revision_outlives_unproven_ones(store: Store) -> None:
    """Behind the newest content the one stays that is known to load, not the one before."""
    inventory, source = Inventory(store, "python", lazy=False), FakeSource(a="good")
    settle(inventory, source)
    inventory.report("m", "", opened(inventory, "")[0].revision, None)
    for text in ("bad", "worse"):
        source.files["a"] = text
        settle(inventory, source)
        inventory.report("m", "", opened(inventory, "")[0].revision, "broken")
    assert read(inventory, "") == ["worse", "good"]
    assert inventory.failing() == {"m": {"latest": "broken"}}


def test_incomplete_keeps_removed_deletes(store: Store) -> None:
    """A version that is there but no longer a model stays as it was; one of which nothing is left goes."""
    inventory = Inventory(store, "onnx", lazy=False)
    source = FakeSource(**{"1__m.onnx": "one", "2__m.onnx": "two"})
    settle(inventory, source)
    source.files = {"1/readme": "x", "2/m.onnx": "two"}
    settle(inventory, source)
    assert set(inventory.catalog.models["m"]) == {"1", "2"}
    assert read(inventory, "1") == ["one"]
    source.files = {"2/m.onnx": "two"}
    settle(inventory, source)
    assert list(inventory.catalog.models["m"]) == ["2"]


def test_failed_download_changes_nothing_and_is_repeated(store: Store) -> None:
    """When the source fails in between nothing is removed, and the next scan tries again."""
    inventory, source = Inventory(store, "python", lazy=False), FakeSource(**{"1__a": "one"})
    settle(inventory, source)

    def fail(_: str) -> None:
        raise SourceError("away")

    source.files = {"2/a": "two"}
    source.on_fetch = fail
    assert not settle(inventory, source)
    assert list(inventory.catalog.models["m"]) == ["1"]
    source.on_fetch = lambda _: None
    assert settle(inventory, source)
    assert list(inventory.catalog.models["m"]) == ["2"]


def test_refused_download_is_reported_and_holds_up_nothing(store: Store) -> None:
    """A version that the source refuses is left aside with the reason, the others come and go."""
    inventory, source = Inventory(store, "python", lazy=False), FakeSource(**{"1__a": "one", "2__a": "two"})

    def refuse(key: str) -> None:
        if key.startswith("2/"):
            raise RefusedError("denied")

    source.on_fetch = refuse
    assert settle(inventory, source)
    assert list(inventory.catalog.models["m"]) == ["1"]
    assert "denied" in inventory.aside()["fake/2/"]
    source.on_fetch = lambda _: None
    assert settle(inventory, source)
    assert list(inventory.catalog.models["m"]) == ["1", "2"]


def test_unchanged_is_not_fetched_again(store: Store) -> None:
    """Only versions whose files differ are downloaded."""
    inventory, source = Inventory(store, "python", lazy=False), FakeSource(**{"1__a": "one", "2__a": "two"})
    settle(inventory, source)
    source.files["2/a"] = "new"
    settle(inventory, source)
    settle(inventory, source)
    assert sorted(source.fetched) == ["1/a", "2/a", "2/a"]


def test_lazy_downloads_when_opened(store: Store) -> None:
    """With lazy nothing is downloaded before it is opened; what was dropped is downloaded once more."""
    inventory, source = Inventory(store, "python", lazy=True), FakeSource(a="1")
    settle(inventory, source)
    assert source.fetched == []
    assert read(inventory, "") == ["1"]
    assert inventory.on_disk() == [("m", "")]
    inventory.drop([("m", "")])
    assert inventory.on_disk() == []
    source.files["a"] = "2"
    with pytest.raises(MovedError):  # another version may be the latest by now
        opened(inventory, "")
    assert read(inventory, "") == ["2"]


def test_listing_from_before_a_download_is_not_settled(store: Store) -> None:
    """What a download has seen of a model is not undone by a listing that began before."""
    inventory, source = Inventory(store, "python", lazy=True), FakeSource(**{"1__a": "one"})
    settle(inventory, source)
    looked_at, listed = time.monotonic(), source.listing()
    source.files |= {"1/a": "changed", "2/a": "two"}
    with pytest.raises(MovedError):
        opened(inventory, "1")
    assert list(inventory.catalog.models["m"]) == ["1", "2"]
    held = inventory.unsettled("m", source, "", listed)
    assert held is not None
    assert inventory.settle(held, listed, looked_at)
    inventory.remove("m", looked_at)
    inventory.publish()
    assert list(inventory.catalog.models["m"]) == ["1", "2"]


def test_lazy_open_without_source(store: Store) -> None:
    """A source that is away when a model is wanted is an error that says so, and the model stays on offer."""
    inventory, source = Inventory(store, "python", lazy=True), FakeSource(a="1")
    settle(inventory, source)

    def fail(_: str) -> None:
        raise SourceError("away")

    source.on_fetch = fail
    with pytest.raises(UnavailableError):
        opened(inventory, "")
    source.on_fetch = lambda _: None
    assert read(inventory, "") == ["1"]


def test_claim_removes_what_the_dead_left(tmp_path: Path) -> None:
    """The next start removes run folders without an owner and leaves those that are in use."""
    for name in ("run-dead", "run-nascent"):
        (tmp_path / name / "revisions").mkdir(parents=True)
    (tmp_path / "run-dead" / "owner").touch()
    alive, owner = claim(tmp_path)
    mine, other = claim(tmp_path)
    assert set(tmp_path.glob("run-*")) == {alive, mine}
    owner.close()
    other.close()
    with (tmp_path / ".sweep").open("wb") as sweep:
        fcntl.flock(sweep, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_claim_says_what_is_wrong(tmp_path: Path) -> None:
    """A folder that cannot be used is a configuration error."""
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="--store"):
        claim(tmp_path / "file" / "below")


def test_store_whose_path_is_too_long_for_a_socket_is_refused(tmp_path: Path) -> None:
    """A store folder in which no socket can be made is refused by its name, not when the socket is opened."""
    with pytest.raises(ConfigurationError, match=r"--store: .* is too long a path"):
        claim(tmp_path / ("long" * 20))
    assert not list(tmp_path.iterdir())
