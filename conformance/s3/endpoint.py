"""The S3 endpoint of a run: where the suite publishes, and where servers read, through the proxy."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from conformance.problems import HarnessError, InvalidInputError
from conformance.processes import start_announced
from conformance.s3.containers import LOCALSTACK, MINIO, run_container
from conformance.s3.faults import Faults
from conformance.s3.ledger import Ledger
from conformance.s3.location import REGION, Location
from conformance.s3.moto import run_moto
from conformance.s3.seaweedfs import run_seaweedfs
from fixtures.targets import S3Target, TargetError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_CREDENTIAL_NAMES = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")


@dataclass(frozen=True)
class S3:
    """A reachable endpoint with a fresh bucket.

    `client` publishes past the proxy, so that the ledger holds what servers did and nothing else; `server_env` is
    what a server needs in its environment, `ledger` holds all that servers have asked for, and `faults` are what can
    be done to them.
    """

    name: str
    bucket: str
    client: S3Client
    server_env: Mapping[str, str]
    ledger: Ledger
    faults: Faults


@contextlib.contextmanager
def open_s3(endpoint: str, folder: Path, patience: float) -> Iterator[S3]:
    """Open one of the endpoints that `--s3` names, with a bucket of its own and the proxy in front of it.

    Raises `InvalidInputError` for an endpoint that is none of them, and `HarnessError` when it cannot be used.
    """
    with contextlib.ExitStack() as stack:
        location = stack.enter_context(_located(endpoint, folder, patience))
        client = location.connect()
        stack.callback(client.close)
        bucket = f"servecheck-{uuid.uuid4().hex[:12]}"
        try:
            client.create_bucket(Bucket=bucket)
            stack.callback(_delete_bucket, client, bucket)
        except (BotoCoreError, ClientError, ValueError) as error:
            raise HarnessError(f"S3 endpoint {location.url} cannot be used: {error}") from error
        proxy_folder = folder / "proxy"
        proxy_folder.mkdir(parents=True)
        ledger, control = proxy_folder / "ledger.jsonl", proxy_folder / "control"
        proxy, proxy_url = start_announced(
            "conformance.s3.proxy", location.url, str(ledger), str(control), folder=proxy_folder, patience=patience
        )
        stack.callback(proxy.kill)
        region = {"AWS_REGION": REGION, "AWS_DEFAULT_REGION": REGION}
        yield S3(
            name=endpoint,
            bucket=bucket,
            client=client,
            server_env={"AWS_ENDPOINT_URL": proxy_url, **region, **location.credentials},
            ledger=Ledger(ledger),
            faults=Faults(control, client, bucket),
        )


def _located(endpoint: str, folder: Path, patience: float) -> contextlib.AbstractContextManager[Location]:
    match endpoint:
        case "moto":
            return run_moto(folder / "moto", patience)
        case "seaweedfs":
            return run_seaweedfs(folder / "seaweedfs", patience)
        case "minio":
            return run_container(MINIO, patience)
        case "localstack":
            return run_container(LOCALSTACK, patience)
    if not endpoint.startswith(("http://", "https://")):
        raise InvalidInputError(
            f"--s3: {endpoint!r} is neither moto, seaweedfs, minio or localstack, nor the URL of an endpoint"
        )
    credentials = {name: os.environ[name] for name in _CREDENTIAL_NAMES if name in os.environ}
    return contextlib.nullcontext(Location(endpoint, credentials))


def _delete_bucket(client: S3Client, bucket: str) -> None:
    """Delete the bucket and what is left in it, as far as the endpoint lets us: the run is over."""
    with contextlib.suppress(BotoCoreError, ClientError, TargetError):
        S3Target(client, bucket).clear()
        client.delete_bucket(Bucket=bucket)
