"""Profiles: those that come with the package are complete, and what is wrong with one is named."""

from pathlib import Path

import pytest

from conformance.problems import InvalidInputError
from load.profile import Rate, load_profile, profile_names

MINIMAL = """
about = "a profile of the tests"
[trees]
models = 10
[cache]
cache_size = 2
disk_cache_size = 4
[traffic]
arrival = "rate"
rate = 5
users = 5
duration = 1
[validity]
requests = 5
"""


def write(folder: Path, text: str) -> Path:
    """Write a profile of one's own."""
    file = folder / "own.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_every_profile_of_the_issue_is_there() -> None:
    """The seven profiles can be read, and each says what it is about."""
    assert profile_names() == ["burst", "churn", "ramp", "soak", "stampede", "steady", "thrash"]
    for name in profile_names():
        assert load_profile(name).about.startswith(f"{name}: ")


def test_profile_may_be_a_file_of_ones_own(tmp_path: Path) -> None:
    """A path names a profile as well as a name does."""
    profile = load_profile(str(write(tmp_path, MINIMAL)))
    assert profile.trees.models == 10
    assert profile.server.evict_interval == 10


def test_override_takes_the_place_of_the_file() -> None:
    """A key is overridden by `table.key=value`, numbers and text alike."""
    overrides = ["traffic.rate=7.5", "trees.source=local", "trees.size=2MB", "limits.prediction=0.2"]
    overrides.append("validity.requests=800")
    profile = load_profile("steady", overrides)
    assert isinstance(profile.traffic, Rate)
    assert profile.traffic.rate == 7.5
    assert profile.trees.source == "local"
    assert profile.trees.size == 2_000_000
    assert profile.limits.prediction == 0.2


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("models = 10", "trees.models: Field required"),
        ("rate = 5", "traffic.rate: Field required"),
        ("disk_cache_size = 4", "cache.disk_cache_size: Field required"),
        ('arrival = "rate"', "traffic: Unable to extract tag"),
    ],
)
def test_missing_key_is_named(line: str, words: str, tmp_path: Path) -> None:
    """What a profile lacks is named with the file and the key."""
    file = write(tmp_path, MINIMAL.replace(f"{line}\n", ""))
    with pytest.raises(InvalidInputError) as raised:
        load_profile(str(file))
    assert str(raised.value).startswith(f"profile {file}:")
    assert words in str(raised.value)


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("traffic.rat=5", "traffic.rat: Extra inputs are not permitted"),
        ("traffic.rate=0", "traffic.rate: Input should be greater than 0"),
        ("trees.size=large", "trees.size: 'large' is no size"),
        ("cache.disk_cache_size=1", "cache: disk_cache_size must be greater than or equal to cache_size"),
        ("publications.models=99", "publications.rate: Field required"),
        ("validity.requests=6", "validity.requests: the traffic is of 5 requests only"),
        ("rate", "--set rate: write table.key=value"),
        ("about.text=1", "--set about.text=1: about is no table"),
    ],
)
def test_bad_override_is_named(override: str, words: str, tmp_path: Path) -> None:
    """An override that cannot be is named with its key."""
    with pytest.raises(InvalidInputError) as raised:
        load_profile(str(write(tmp_path, MINIMAL)), [override])
    assert words in str(raised.value)


def test_wave_needs_models_that_are_cold() -> None:
    """A burst of more models than there are beyond the disk cache is refused, with the number that it takes."""
    with pytest.raises(InvalidInputError, match=r"trees\.models: .* at least 101: cache\.disk_cache_size"):
        load_profile("burst", ["trees.models=100"])


def test_waves_go_without_publications() -> None:
    """Publications between waves would never come, so that they are refused."""
    with pytest.raises(InvalidInputError, match="publications: there are none between waves"):
        load_profile("burst", ["publications.rate=1", "publications.models=1"])


@pytest.mark.parametrize("name", ["nothing", "nothing.toml"])
def test_unknown_profile_is_named(name: str) -> None:
    """A profile that does not exist is named, with those that do where a name was given."""
    with pytest.raises(InvalidInputError) as raised:
        load_profile(name)
    assert name in str(raised.value)
