"""A deployment: what a server is started with, and the requests to it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from conformance import timing
from conformance.deployment import Deployment
from conformance.implementation import load_implementation
from conformance.project import Api
from conformance.run import Run
from fixtures.models import python_model
from fixtures.targets import DirectoryTarget
from tests.conformance.suite_runs import stub, write_implementation

REQUESTS = 300
TELLS_ITS_ENVIRONMENT = "import json, os; print(json.dumps(dict(os.environ)), flush=True)"


@pytest.fixture
def deployed(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Deployment]:
    """Start what an implementation file, written by the parameter, describes."""
    run = Run(load_implementation(request.param(tmp_path)), patience=1.0, seed=1, s3_endpoint="moto", keep=False)
    target = DirectoryTarget(tmp_path / "model")
    target.write(python_model(random=Random(1)))
    run.open()
    deployment = run.deployment(Api("python", {"model_path": f"{target.url}/"}), keys=1)
    deployment.spawn()
    try:
        yield deployment
    finally:
        deployment.close()
        run.close()


@pytest.mark.parametrize("deployed", [lambda folder: stub(folder, "curt")], indirect=True, ids=["curt"])
def test_server_may_close_connections_without_a_word(deployed: Deployment) -> None:
    """A server that closes each connection when it has answered, and does not announce it, answers every request."""
    deployed.await_ready()
    assert all(deployed.predict({}).is_served for _ in range(REQUESTS))


def _reads_s3(folder: Path) -> Path:
    return write_implementation(
        folder, [sys.executable, "-c", TELLS_ITS_ENVIRONMENT, "{project}", "{port}"], sources=["s3"]
    )


@pytest.fixture
def callers_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have in the environment what leads S3 clients elsewhere."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "https://s3.example.org")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "of another account")
    monkeypatch.setenv("NO_PROXY", "example.org")
    monkeypatch.setenv("KEPT", "as it is")


@pytest.mark.usefixtures("callers_environment")
@pytest.mark.parametrize("deployed", [_reads_s3], indirect=True, ids=["s3"])
def test_server_finds_no_other_s3_than_the_one_it_is_given(deployed: Deployment) -> None:
    """Of the caller's environment a server gets nothing that leads its S3 client past the proxy of the suite."""
    lines = timing.poll(lambda: deployed.last_log_lines() or None, until=timing.now() + deployed.pace.start)
    assert lines
    env = json.loads(lines[0])
    assert {name for name in env if name.startswith("AWS_")} == {
        "AWS_ENDPOINT_URL", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY",
    }  # fmt: skip
    assert env["NO_PROXY"] == "example.org,127.0.0.1"
    assert env["KEPT"] == "as it is"
