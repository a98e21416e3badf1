"""S3 servers that run in a container, where a container engine runs."""

from __future__ import annotations

import contextlib
import functools
import gc
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from conformance.problems import HarnessError
from conformance.s3.location import Location, key_pair

_ACCESS_KEY, _SECRET_KEY = "servecheck", "servecheck-secret"


@dataclass(frozen=True)
class Image:
    """An image with an S3 server in it, and how it is started."""

    name: str
    port: int
    command: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)


MINIO = Image(
    "minio/minio:RELEASE.2025-04-22T22-12-26Z",
    port=9000,
    command="server /data",
    environment={"MINIO_ROOT_USER": _ACCESS_KEY, "MINIO_ROOT_PASSWORD": _SECRET_KEY},
)
LOCALSTACK = Image("localstack/localstack:3.8.1", port=4566, environment={"SERVICES": "s3"})


@functools.cache
def engine_missing() -> str | None:
    """Say why no container can be run here, or give None when one can; the engine is asked once."""
    from docker.errors import DockerException  # noqa: PLC0415 - only who wants a container needs it
    from testcontainers.core.docker_client import DockerClient  # noqa: PLC0415 - as above

    missing = None
    with warnings.catch_warnings():
        # The client leaves a socket that it could not connect to the garbage collector.
        warnings.simplefilter("ignore", ResourceWarning)
        try:
            DockerClient().client.ping()
        except DockerException as error:
            missing = f"no container engine answers: {error}"
        gc.collect()
    return missing


@contextlib.contextmanager
def run_container(image: Image, patience: float) -> Iterator[Location]:
    """Run an S3 server in a container until the block ends.

    Raises `HarnessError` when there is no engine, when it cannot run the image, or when the server in it does not
    answer within `patience` seconds.
    """
    if missing := engine_missing():
        raise HarnessError(f"{image.name} cannot be run: {missing}")
    from docker.errors import DockerException  # noqa: PLC0415 - only who wants a container needs it
    from testcontainers.core.container import DockerContainer  # noqa: PLC0415 - as above

    container = DockerContainer(
        image.name, command=image.command or None, env=dict(image.environment), ports=[image.port]
    )
    try:
        container.start()
    except DockerException as error:
        raise HarnessError(f"{image.name} cannot be run: {error}") from error
    try:
        address = f"{container.get_container_host_ip()}:{container.get_exposed_port(image.port)}"
        location = Location(f"http://{address}", key_pair(_ACCESS_KEY, _SECRET_KEY))
        location.await_answer(patience)
        yield location
    finally:
        container.stop()
