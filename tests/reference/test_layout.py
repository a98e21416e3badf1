"""Layout analysis: what a listing holds, as a pure function."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reference.layout import analyse, canonical, split
from reference.sources import File

TF = ["saved_model.pb", "variables/variables.index"]


def files(*keys: str) -> list[File]:
    """Return a listing with these keys."""
    return [File(key, 1, "tag") for key in keys]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("7", "7"), ("007", "7"), ("0", "0"), ("000", "0"), ("-0", "0"), ("-1", "-1"), ("-01", "-1"),
        (str(2**80), str(2**80)),
        ("v2", None), ("1.0", None), ("+1", None), ("1e3", None), ("½", None), ("\u0661", None), ("", None),
        ("-", None), ("1 ", None), ("1\n", None),
    ],
)  # fmt: skip
def test_canonical(text: str, number: str | None) -> None:
    """Only ASCII integers are versions, and each has one spelling."""
    assert canonical(text) == number


@pytest.mark.parametrize(
    ("kind", "keys", "versions", "broken"),
    [
        ("python", ["a.bin", "sub/b.txt"], [""], {}),
        ("python", ["9/a", "10/a", "1523423423/a", "-1/a", "0/a"], ["-1", "0", "9", "10", "1523423423"], {}),
        ("python", [".DS_Store"], [], {"": "holds nothing but dotfiles"}),
        ("python", ["sub/.keep", ".git/x"], [], {"": "holds nothing but dotfiles"}),
        ("python", ["1//x"], [], {"1": "holds no file"}),
        ("python", ["1/.keep", "2/x"], ["2"], {"1": "holds nothing but dotfiles"}),
        ("python", ["1/.hidden", "1/x", "README"], ["1"], {}),
        ("python", ["7"], [""], {}),
        ("onnx", ["m.onnx", "labels.txt"], [""], {}),
        ("onnx", ["m.onnx", "._m.onnx", "sub/._m.onnx"], [""], {}),
        ("onnx", ["sub/m.onnx"], [], {"": "must contain a single *.onnx file, has 1 (sub/m.onnx is in a folder)"}),
        ("onnx", ["a.onnx", "b.onnx"], [], {"": "must contain a single *.onnx file, has 2"}),
        ("onnx", ["1/m.onnx", "2/readme.txt"], ["1"], {"2": "must contain a single *.onnx file, has none"}),
        ("onnx", ["m.onnx", "0/labels.txt"], [""], {}),
        ("tensorflow", [*TF, "variables/variables.data-00000-of-00001"], [""], {}),
        ("tensorflow", TF, [], {"": "lacks variables/variables.data-*"}),
        ("tensorflow", ["saved_model.pb"], [], {"": "lacks variables/variables.index"}),
        (
            "tensorflow",
            [*TF, "variables/variables.data-00000-of-00003", "variables/variables.data-00002-of-00003"],
            [],
            {"": "has 2 of the 3 variable shards that their names announce"},
        ),
        ("inferentia", ["1/saved_model.pb", "2/other.pb"], ["1"], {"2": "lacks saved_model.pb"}),
    ],
)  # fmt: skip
def test_versions(kind: str, keys: list[str], versions: list[str], broken: dict[str, str]) -> None:
    """Versions are found in numeric order, and what is no model has a reason."""
    layout = analyse(files(*(f"m/{key}" for key in keys)), "m/", kind)
    assert list(layout.versions) == versions
    assert layout.broken == broken


def test_plain_spelling_wins() -> None:
    """Of two folders for one number the plain one is the version, the other is left aside."""
    layout = analyse(files("007/a", "7/a"), "", "python")
    assert list(layout.versions) == ["7"]
    assert layout.aside == {"007": "the same version as 7"}


def test_unwritable_keys_are_left_aside() -> None:
    """Keys that no disk can hold do not reach the files of a version; what was listed keeps them."""
    odd = ["1/../x", "1//x", "1/./x", f"1/{'x' * 256}", "1/a\0b", f"1/{'é' * 128}", "1/\udcff", "1/d"]
    fine = ["1/ok", "1/d/e", f"1/{'x' * 255}", f"1/{'é' * 127}x", f"1/{'é' * 100}/{'é' * 100}"]
    layout = analyse(files(*fine, *odd), "", "python")
    version = layout.versions["1"]
    assert [file.key for file in version.files] == fine
    assert len(version.listed) == len(fine) + len(odd)
    assert set(layout.aside) == set(odd)


def test_split_keeps_neighbours_apart() -> None:
    """Folders of a models directory are models by their whole name; files, dotfiles and odd names are not."""
    models, aside = split(files("bert/x", "bert-large/x", "stray.txt", ".DS_Store", ".git/x", "../x", "/x"))
    assert list(models) == ["bert", "bert-large"]
    assert set(aside) == {"stray.txt", "../x", "/x"}


def test_split_gives_files_and_reasons() -> None:
    """Every file of a model is kept with it, and what is no model has a reason, unless it is a dotfile."""
    models, aside = split(files("b/2/x", "b/y", "a/x", "stray.txt", ".DS_Store", ".git/x", "../x", "a/z"))
    assert models == {"b": files("b/2/x", "b/y"), "a": files("a/x", "a/z")}
    assert aside == {"stray.txt": "a file beside the models", "../x": "the name cannot be written to disk"}


def test_what_lies_beside_versions_is_named_once() -> None:
    """Folders beside versions are left aside by their name, files by theirs, and dotfiles without a word."""
    layout = analyse(files("m/1/a", "m/notes/deep/x", "m/notes/y", "m/.git/x", "m/README"), "m/", "python")
    assert list(layout.versions) == ["1"]
    assert layout.aside == {"m/notes": "beside the versions", "m/README": "beside the versions"}


def test_no_version_and_no_model_are_both_explained() -> None:
    """Where neither a folder is a version nor the level a model, the reasons for both are kept."""
    layout = analyse(files("1/labels.txt", "notes.txt"), "", "onnx")
    assert layout.versions == {}
    assert layout.broken == dict.fromkeys(["1", ""], "must contain a single *.onnx file, has none")


def test_level_without_folders_is_explained_by_itself() -> None:
    """A level that is no model and has no integer folder gives its own reason, and leaves its own keys aside."""
    layout = analyse(files("m/notes.txt", "m/a//b"), "m/", "onnx")
    assert layout.broken == {"": "must contain a single *.onnx file, has none"}
    assert layout.aside == {
        "m/": "must contain a single *.onnx file, has none",
        "m/a//b": "the key cannot be written to disk",
    }


def test_file_that_is_a_folder_too_is_left_aside() -> None:
    """Of a file and a folder of one name the folder is kept, however deep the other files lie below it."""
    layout = analyse(files("1/x/y", "1/x/y/z/v/w", "1/z"), "", "python")
    assert layout.versions["1"].files == tuple(files("1/x/y/z/v/w", "1/z"))
    assert layout.aside == {"1/x/y": "a file and a folder at once"}


PARTS = st.text("ab.01-/", min_size=1, max_size=8)


@settings(deadline=None)
@given(st.lists(PARTS, unique=True), st.sampled_from(["python", "onnx", "tensorflow", "inferentia"]))
def test_every_file_is_in_one_version_at_most(keys: list[str], kind: str) -> None:
    """Whatever the keys are, a file belongs to one version at most, below its prefix and safe to write."""
    layout = analyse(files(*keys), "", kind)
    seen: set[str] = set()
    for version in layout.versions.values():
        for file in version.files:
            inner = file.key.removeprefix(version.prefix)
            assert file.key.startswith(version.prefix)
            assert not {"", ".", ".."} & set(inner.split("/"))
            assert file.key not in seen
            seen.add(file.key)
