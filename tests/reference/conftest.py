"""Fixtures: an S3 endpoint in a process of its own, and servers that tests share by using model names of their own."""

import itertools
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import pytest

from fixtures.targets.directory import DirectoryTarget
from fixtures.targets.s3 import S3Target
from fixtures.targets.target import Target
from tests.reference import kinds
from tests.reference.harness import ALLOWANCE, Server, await_, free_port, leash, serving, write_project
from tests.reference.kinds import Kind

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_NAMES = itertools.count(1)


@dataclass(frozen=True, slots=True)
class S3:
    """A running S3 endpoint with one bucket."""

    environment: dict[str, str]
    client: "S3Client"
    bucket: str = "models-bucket"

    def target(self, prefix: str) -> S3Target:
        """Return a place to publish to."""
        return S3Target(self.client, self.bucket, prefix)


@pytest.fixture(scope="session")
def s3() -> Iterator[S3]:
    """Start moto's server on a free port, as its own process."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    environment = {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=leash,  # noqa: PLW1509 - one system call, safe beside threads
    )
    try:

        def listens() -> None:
            with socket.socket() as probe:
                assert probe.connect_ex(("127.0.0.1", port)) == 0

        await_(listens, ALLOWANCE)
        client = boto3.client(
            "s3",
            endpoint_url=url,
            aws_access_key_id="test",
            aws_secret_access_key="test",  # noqa: S106 - any is accepted
            region_name="us-east-1",
        )
        found = S3(environment, client)
        client.create_bucket(Bucket=found.bucket)
        yield found
        client.close()
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@dataclass(frozen=True, slots=True)
class Stand:
    """A server with control on, and the directory of models that it serves."""

    kind: Kind
    server: Server
    target: Target

    def fresh_name(self) -> str:
        """Return a model name that no other test uses."""
        return f"model-{next(_NAMES)}"


def _identify(parameter: tuple[Kind, str]) -> str:
    return f"{parameter[0].name}-{parameter[1]}"


@pytest.fixture(
    scope="session", params=[(kind, source) for kind in kinds.ALL for source in ("local", "s3")], ids=_identify
)
def stand(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    """Run one server per predictor type and source."""
    kind, source = request.param
    folder: Path = tmp_path_factory.mktemp(f"{kind.name}-{source}")
    environment: dict[str, str] = {}
    target: Target
    if source == "local":
        target = DirectoryTarget(folder / "models")
        (folder / "models").mkdir()
        where = f"models: {{dir: {folder}/models}}"
    else:
        s3: S3 = request.getfixturevalue("s3")
        target = s3.target(f"shared-{kind.name}")
        environment = s3.environment
        where = f"models: {{dir: '{target.url}'}}"
    project = write_project(folder / "project", kind.name, kind.predictor, where, "threads_per_process: 2")
    with serving(project, "--control", env=environment) as server:
        yield Stand(kind, server, target)
