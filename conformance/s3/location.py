"""Where an S3 endpoint listens, and how it is reached."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from conformance import timing
from conformance.problems import HarnessError, InvalidInputError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

REGION = "us-east-1"


@dataclass(frozen=True)
class Location:
    """An endpoint; `credentials` are the environment variables that the AWS tools read."""

    url: str
    credentials: Mapping[str, str]

    def connect(self) -> S3Client:
        """Make a client; raises `InvalidInputError` for a URL that is none."""
        try:
            return boto3.client(
                "s3",
                endpoint_url=self.url,
                region_name=REGION,
                aws_access_key_id=self.credentials.get("AWS_ACCESS_KEY_ID"),
                aws_secret_access_key=self.credentials.get("AWS_SECRET_ACCESS_KEY"),
                aws_session_token=self.credentials.get("AWS_SESSION_TOKEN"),
                config=Config(
                    connect_timeout=5,
                    retries={"total_max_attempts": 2},
                    max_pool_connections=16,
                    signature_version="s3v4",
                    s3={"addressing_style": "path"},
                    # Endpoints of some age know no trailing checksums, and their logs tell the suite from a server.
                    request_checksum_calculation="when_required",
                    response_checksum_validation="when_required",
                    user_agent="servecheck",
                ),
            )
        except ValueError as error:
            raise InvalidInputError(f"S3 endpoint {self.url}: {error}") from error

    def await_answer(self, patience: float, unless: Callable[[], bool] = lambda: False) -> None:
        """Wait until the endpoint, which was started just now, answers.

        Raises `HarnessError` after `patience` seconds, or earlier when `unless` says that there is no hope.
        """
        last = ""

        def answers() -> bool | None:
            nonlocal last
            try:
                client.list_buckets()
            except (BotoCoreError, ClientError) as error:
                last = str(error)
                return False if unless() else None
            return True

        client = self.connect()
        if not timing.poll(answers, until=timing.now() + patience):
            raise HarnessError(f"S3 endpoint {self.url} does not answer: {last}")


def key_pair(access_key: str, secret_key: str) -> Mapping[str, str]:
    """Write a pair of keys as environment variables."""
    return {"AWS_ACCESS_KEY_ID": access_key, "AWS_SECRET_ACCESS_KEY": secret_key}
