"""The pytest plugin that makes a run of conformance/ out of pytest: `pytest -p conformance.plugin conformance ...`."""

from __future__ import annotations

import argparse
import math
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from conformance import selection
from conformance.catalogue import Profile
from conformance.distribution import prepare_distribution
from conformance.forest import Setting
from conformance.lab import Lab
from conformance.outcomes import ExitStatus
from conformance.parsing import take_turns_at_parsing
from conformance.problems import SuiteError
from conformance.suite import OPTION_DEFAULTS, SUITE, Suite, suite_of


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is not greater than 0")
    return value


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the suite."""
    group = parser.getgroup("servecheck", "conformance of a model server")
    group.addoption(
        "--implementation", type=Path, metavar="FILE", help="the implementation file of the server under test"
    )
    group.addoption("--report-dir", type=Path, default=Path("report"), metavar="DIR", help="where results.json goes")
    group.addoption(
        "--clause", action="append", default=[], metavar="ID", help="judge only this clause or family; may be repeated"
    )
    group.addoption(
        "--profile",
        action="append",
        type=Profile,
        choices=list(Profile),
        default=[],
        help="judge only the clauses of this profile, and give the verdict on it; may be repeated",
    )
    group.addoption(
        "--known-failing",
        type=Path,
        metavar="FILE",
        help="TOML: the table [known-failing] with a reason for each clause or test that is known to fail",
    )
    group.addoption(
        "--s3", default=OPTION_DEFAULTS["--s3"], metavar="ENDPOINT",
        help="'moto' or 'seaweedfs' (started by the suite), 'minio' or 'localstack' (in a container), or the URL of an"
        " endpoint, with credentials from the environment",
    )  # fmt: skip
    group.addoption(
        "--clock",
        choices=["timed", "driven"],
        default=OPTION_DEFAULTS["--clock"],
        help="driven: the server looks at its source and evicts when it is told to, which takes the feature control;"
        " timed: by itself (default: driven if the server has the feature)",
    )
    group.addoption(
        "--interval",
        type=_positive,
        default=OPTION_DEFAULTS["--interval"],
        metavar="SECONDS",
        help="between two scans and two eviction runs, if the server lets the suite choose (default: %(default)s)",
    )
    group.addoption(
        "--patience",
        type=_positive,
        default=OPTION_DEFAULTS["--patience"],
        metavar="FACTOR",
        help="scales every allowance for a slow machine",
    )
    group.addoption("--seed", type=int, default=None, help="of everything random; printed with every run")
    group.addoption(
        "--matrix",
        choices=["usual", "full"],
        default=OPTION_DEFAULTS["--matrix"],
        help="full: every combination of predictor, naming, source, cache and processes, instead of a list of them",
    )
    group.addoption("--keep", action="store_true", help="keep trees, projects, logs, histories and journals")


def pytest_configure(config: pytest.Config) -> None:
    """Read the input of a run; whatever is wrong with it ends pytest here, with one message."""
    config.addinivalue_line("markers", "clause(id): the clause of the catalogue that a test judges")
    config.addinivalue_line("markers", "planting(mark): what is published for a test before its server starts")
    config.addinivalue_line("markers", "gpu: the test needs an NVIDIA GPU, and is skipped where there is none")
    config.addinivalue_line("markers", "inferentia: the test needs AWS Inferentia, and is skipped where there is none")
    # Hypothesis draws in one thread while others may use the global generator, on which none of its draws depend.
    config.addinivalue_line(
        "filterwarnings",
        "ignore:Do not use the `random` module inside strategies:hypothesis.errors.HypothesisDeprecationWarning",
    )
    if config.option.help or config.option.markers:
        return
    file: Path | None = config.getoption("--implementation")
    if file is None:
        pytest.exit("--implementation FILE is missing: it tells the suite how to run the server", ExitStatus.ERROR)
    patch = pytest.MonkeyPatch()
    config.add_cleanup(patch.undo)
    take_turns_at_parsing(patch)
    seed: int | None = config.getoption("--seed")
    prepare_distribution(config, secrets.randbelow(2**32) if seed is None else seed)
    try:
        config.pluginmanager.register(Suite(config, file), SUITE)
    except SuiteError as error:
        pytest.exit(str(error), returncode=ExitStatus.ERROR)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run every test in each setting."""
    selection.parametrize_settings(metafunc)


@pytest.fixture
def setting(request: pytest.FixtureRequest) -> Setting:
    """Give the predictor type and the source that a test runs with."""
    assert isinstance(request.param, Setting)
    return request.param


@pytest.fixture
def stand(setting: Setting) -> Setting:
    """Stand for the `Stand` that the suite puts in its place when it calls the test."""
    return setting


@pytest.fixture
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """Give a test servers of its own, on configurations of its own."""
    lab = Lab(suite_of(request.config).run, request.node.name)
    yield lab
    lab.close()
