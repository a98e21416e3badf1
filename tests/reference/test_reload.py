"""Live reload on the running server, for every predictor type and source."""

from fixtures.trees import File, Tree
from tests.reference import kinds
from tests.reference.conftest import Stand
from tests.reference.kinds import tokens

ADDED = "00000000000000ff"


def test_added_and_removed_model(stand: Stand) -> None:
    """A new model is served after the next scan, a removed one is a 404 that lists what there is."""
    name, tree = stand.fresh_name(), stand.kind.make()
    assert stand.server.predict(model=name)[0] == 404
    stand.target.write(tree.at(name))
    stand.server.reload()
    assert stand.server.predict(model=name) == (200, tokens(tree))
    assert stand.server.versions(name) == []
    stand.target.clear(name)
    stand.server.reload()
    status, answer = stand.server.predict(model=name)
    assert status == 404
    assert f"no model '{name}'" in answer["error"]


def test_versions_come_and_go(stand: Stand) -> None:
    """Latest is the highest number; it moves up with a new version and falls back when that one is removed."""
    name = stand.fresh_name()
    nine, ten, huge = stand.kind.make(), stand.kind.make(), stand.kind.make()
    stand.target.write(ten.at(f"{name}/10"))
    stand.target.write(nine.at(f"{name}/9"))
    stand.server.reload()
    assert stand.server.versions(name) == ["9", "10"]
    assert stand.server.predict(model=name) == (200, tokens(ten))
    assert stand.server.predict(model=name, version="9") == (200, tokens(nine))
    assert stand.server.predict(model=name, version="latest") == (200, tokens(ten))
    stand.target.write(huge.at(f"{name}/{2**70}"))
    stand.server.reload()
    assert stand.server.predict(model=name) == (200, tokens(huge))
    stand.target.clear(f"{name}/{2**70}")
    stand.server.reload()
    assert stand.server.predict(model=name) == (200, tokens(ten))
    assert stand.server.predict(model=name, version=str(2**70))[0] == 404


def test_updated_in_place(stand: Stand) -> None:
    """Overwritten bytes of the same size are served, and the other versions are not loaded again."""
    name = stand.fresh_name()
    old, new, other = stand.kind.make(), stand.kind.make(), stand.kind.make()
    stand.target.write(old.at(f"{name}/2"))
    stand.target.write(other.at(f"{name}/1"))
    stand.server.reload()
    assert stand.server.predict(model=name) == (200, tokens(old))
    assert stand.server.predict(model=name, version="1") == (200, tokens(other))
    stand.target.write(new.at(f"{name}/2"))
    stand.server.reload()
    assert stand.server.predict(model=name) == (200, tokens(new))
    assert stand.server.predict(model=name, version="1") == (200, tokens(other))
    assert len(stand.server.events("loaded", model=name, version="1")) == 1
    assert len(stand.server.events("downloaded", model=name, version="1")) == 1


def test_structure_changed(stand: Stand) -> None:
    """A file that is added or deleted reloads the model, whatever its name."""
    name, tree = stand.fresh_name(), stand.kind.make()
    more = Tree({"added.txt": File(f"token: {ADDED}\n", ADDED)})
    python = stand.kind is kinds.PYTHON
    stand.target.write(tree.at(name))
    stand.server.reload()
    assert stand.server.predict(model=name) == (200, tokens(tree))
    stand.target.write(more.at(name))
    stand.server.reload()
    assert stand.server.predict(model=name) == (200, sorted(tokens(tree) + ([ADDED] if python else [])))
    stand.target.delete(["added.txt"], name)
    stand.server.reload()
    assert stand.server.predict(model=name) == (200, tokens(tree))
    assert len(stand.server.events("loaded", model=name)) == 3


def test_versioned_and_back(stand: Stand) -> None:
    """A model without versions becomes one with versions, and the other way round."""
    name, flat, versioned = stand.fresh_name(), stand.kind.make(), stand.kind.make()
    stand.target.write(flat.at(name))
    stand.server.reload()
    assert stand.server.predict(model=name) == (200, tokens(flat))
    stand.target.write(versioned.at(f"{name}/7"))
    stand.target.delete(list(flat), name)
    stand.server.reload()
    assert stand.server.predict(model=name) == (200, tokens(versioned))
    assert stand.server.versions(name) == ["7"]
    stand.target.write(flat.at(name))
    stand.target.clear(f"{name}/7")
    stand.server.reload()
    assert stand.server.predict(model=name) == (200, tokens(flat))
    assert stand.server.versions(name) == []


def test_broken_keeps_the_last_good(stand: Stand) -> None:
    """Content that fails to load leaves the last good one serving, is shown, and is not tried on every request."""
    name, good, repaired = stand.fresh_name(), stand.kind.make(), stand.kind.make()
    stand.target.write(good.at(f"{name}/1"))
    stand.server.reload()
    assert stand.server.predict(model=name) == (200, tokens(good))
    stand.target.write(stand.kind.broken().at(f"{name}/1"))
    stand.server.reload()
    for _ in range(3):
        assert stand.server.predict(model=name) == (200, tokens(good))
    assert name in stand.server.summary()["failing"]
    assert len(stand.server.events("load_failed", model=name)) == 1
    stand.target.write(repaired.at(f"{name}/1"))
    stand.server.reload()
    assert stand.server.predict(model=name) == (200, tokens(repaired))
    assert name not in stand.server.summary()["failing"]


def test_broken_before_any_request_keeps_the_last_good(stand: Stand) -> None:
    """The older content is kept until the newer has been loaded, even if neither was asked for before."""
    name, good = stand.fresh_name(), stand.kind.make()
    stand.target.write(good.at(name))
    stand.server.reload()
    stand.target.write(stand.kind.broken().at(name))
    stand.server.reload()
    assert stand.server.predict(model=name) == (200, tokens(good))


def test_broken_new_version(stand: Stand) -> None:
    """A new version that cannot be loaded leaves latest where it was; asked for by number it is a 500."""
    name, good = stand.fresh_name(), stand.kind.make()
    stand.target.write(good.at(f"{name}/1"))
    stand.server.reload()
    assert stand.server.predict(model=name) == (200, tokens(good))
    stand.target.write(stand.kind.broken().at(f"{name}/2"))
    stand.server.reload()
    assert stand.server.predict(model=name) == (200, tokens(good))
    assert stand.server.predict(model=name, version="2")[0] == 500
    stand.target.write((fixed := stand.kind.make()).at(f"{name}/2"))
    stand.server.reload()
    assert stand.server.predict(model=name) == (200, tokens(fixed))


def test_broken_from_the_start_falls_back(stand: Stand) -> None:
    """Of a model whose highest version cannot be loaded, the next highest is served."""
    name, good = stand.fresh_name(), stand.kind.make()
    stand.target.write(good.at(f"{name}/1"))
    stand.target.write(stand.kind.broken().at(f"{name}/2"))
    stand.server.reload()
    for _ in range(2):
        assert stand.server.predict(model=name) == (200, tokens(good))
    assert len(stand.server.events("load_failed", model=name)) == 1


def test_incomplete_version_is_left_aside(stand: Stand) -> None:
    """A version that is no complete model takes nothing down and is reported with its reason."""
    name, good = stand.fresh_name(), stand.kind.make()
    stand.target.write(good.at(f"{name}/1"))
    stand.target.write(Tree({"only.txt": File("token: 00000000000000ff\n")}).at(f"{name}/2"))
    stand.target.write(good.at(f"{name}/v3"))
    stand.server.reload()
    if stand.kind is kinds.PYTHON:
        assert stand.server.versions(name) == ["1", "2"]
    else:
        assert stand.server.versions(name) == ["1"]
        assert stand.server.predict(model=name) == (200, tokens(good))
    aside = stand.server.summary()["left_aside"]
    assert any(key.endswith(f"{name}/v3") for key in aside)


def test_replaced_version_leaves_no_gap(stand: Stand) -> None:
    """A version that is removed in the same breath as the next one comes is served until that one is."""
    name, old = stand.fresh_name(), stand.kind.make()
    stand.target.write(old.at(f"{name}/1"))
    stand.server.reload()
    assert stand.server.predict(model=name) == (200, tokens(old))
    for version in range(2, 5):
        new = stand.kind.make()
        stand.target.write(new.at(f"{name}/{version}"))
        stand.target.clear(f"{name}/{version - 1}")
        stand.server.reload()
        assert stand.server.predict(model=name) == (200, tokens(new))
        assert stand.server.versions(name) == [str(version)]
