"""The S3 endpoint of a run: where the suite publishes, and where servers read, through the recording proxy."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from conformance.problems import HarnessError, InvalidInputError
from conformance.processes import start_announced
from conformance.s3.ledger import Ledger

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# moto accepts any credentials; a server must still be given some.
_MOTO_CREDENTIALS = {"AWS_ACCESS_KEY_ID": "servecheck", "AWS_SECRET_ACCESS_KEY": "servecheck"}
_CREDENTIAL_NAMES = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")


@dataclass(frozen=True)
class S3:
    """A reachable endpoint with a fresh bucket.

    `client` publishes past the proxy, so that the ledger holds what servers did and nothing else; `server_env` is
    what a server needs in its environment, and `ledger` all that servers have asked for.
    """

    name: str
    bucket: str
    client: S3Client
    server_env: Mapping[str, str]
    ledger: Ledger


@contextlib.contextmanager
def open_s3(endpoint: str, folder: Path, patience: float) -> Iterator[S3]:
    """Open the endpoint `moto`, started here, or one that runs at a URL, with credentials from the environment.

    Raises `InvalidInputError` for an endpoint that is neither, and `HarnessError` when it cannot be reached.
    """
    with contextlib.ExitStack() as stack:
        if endpoint == "moto":
            (folder / "moto").mkdir(parents=True)
            process, url = start_announced("conformance.s3.moto_server", folder=folder / "moto", patience=patience)
            stack.callback(process.kill)
            credentials = dict(_MOTO_CREDENTIALS)
        elif endpoint.startswith(("http://", "https://")):
            url = endpoint
            credentials = {name: os.environ[name] for name in _CREDENTIAL_NAMES if name in os.environ}
        else:
            raise InvalidInputError(f"--s3: {endpoint!r} is neither 'moto' nor the URL of an endpoint")
        region = {"AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1"}
        try:
            client = _client(url, credentials)
        except ValueError as error:
            raise InvalidInputError(f"--s3: {error}") from error
        bucket = f"servecheck-{uuid.uuid4().hex[:12]}"
        try:
            client.create_bucket(Bucket=bucket)
        except (BotoCoreError, ClientError, ValueError) as error:
            raise HarnessError(f"S3 endpoint {url} cannot be used: {error}") from error
        stack.callback(client.close)
        stack.callback(_delete_bucket, client, bucket)
        proxy_folder = folder / "proxy"
        proxy_folder.mkdir(parents=True)
        ledger_file = proxy_folder / "ledger.jsonl"
        proxy, proxy_url = start_announced(
            "conformance.s3.proxy", url, str(ledger_file), folder=proxy_folder, patience=patience
        )
        stack.callback(proxy.kill)
        yield S3(
            name=endpoint,
            bucket=bucket,
            client=client,
            server_env={"AWS_ENDPOINT_URL": proxy_url, **region, **credentials},
            ledger=Ledger(ledger_file),
        )


def _delete_bucket(client: S3Client, bucket: str) -> None:
    """Delete the bucket and what is left in it, as far as the endpoint lets us: the run is over."""
    with contextlib.suppress(BotoCoreError, ClientError):
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket):
            for item in page.get("Contents", ()):
                client.delete_object(Bucket=bucket, Key=item["Key"])
        client.delete_bucket(Bucket=bucket)


def _client(url: str, credentials: Mapping[str, str]) -> S3Client:
    return boto3.client(
        "s3",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id=credentials.get("AWS_ACCESS_KEY_ID"),
        aws_secret_access_key=credentials.get("AWS_SECRET_ACCESS_KEY"),
        aws_session_token=credentials.get("AWS_SESSION_TOKEN"),
        config=Config(
            connect_timeout=5,
            retries={"total_max_attempts": 2},
            max_pool_connections=16,
            s3={"addressing_style": "path"},
        ),
    )
