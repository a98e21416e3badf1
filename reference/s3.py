"""An S3 prefix as a source, found and signed in through the standard AWS chain."""

from contextlib import closing
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from reference.errors import ConfigurationError, ContentChangedError, RefusedError, SourceError
from reference.sources import File

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_CHUNK = 1 << 20

# Answers that say that an object is not there as it was listed.
_CHANGED = {"404", "NoSuchKey", "412", "PreconditionFailed", "409", "ConditionalRequestConflict"}


def parse_url(url: str) -> tuple[str, str]:
    """Split `s3://bucket/some/prefix` into bucket and prefix; the prefix ends with `/` unless it is empty."""
    bucket, _, prefix = url.removeprefix("s3://").partition("/")
    prefix = prefix.rstrip("/")
    return bucket, f"{prefix}/" if prefix else ""


@cache
def connect(patience: float) -> "S3Client":
    """Return the client that waits `patience` seconds for a connection or for the next bytes.

    It never repeats a request by itself: the next scan is the repetition.
    """
    config = Config(
        connect_timeout=patience,
        read_timeout=patience,
        retries={"total_max_attempts": 1},
        max_pool_connections=32,
        tcp_keepalive=True,
    )
    return boto3.client("s3", config=config)


def open_source(url: str, patience: float) -> "S3Source":
    """Return the source of an `s3://` URL; raises ConfigurationError if the AWS settings are unusable."""
    try:
        return S3Source(url, connect(patience))
    except (BotoCoreError, ValueError) as error:
        raise ConfigurationError(f"{url}: {error}") from error


class S3Source:
    """All objects below one prefix. Keys are kept exactly; folder markers (`dir/`) are not files."""

    def __init__(self, url: str, client: "S3Client") -> None:
        self.location = url
        self._bucket, self._prefix = parse_url(url)
        self._client = client

    def listing(self, below: str = "") -> list[File]:
        """List page by page; see Source.listing."""
        found: list[File] = []
        skip = len(self._prefix)
        request: dict[str, Any] = {"Bucket": self._bucket, "Prefix": self._prefix + below}
        while True:
            page = self._call("list_objects_v2", request)
            # Something that is no listing (a proxy's page, say) must never be read as "all models are gone".
            if "IsTruncated" not in page or "Name" not in page:
                raise SourceError(f"{self.location}: the answer is not a listing")
            for item in page.get("Contents", ()):
                key = item["Key"]
                if key[-1] != "/":
                    found.append(File(key[skip:], item["Size"], item["ETag"]))
            if not page["IsTruncated"]:
                return found
            request["ContinuationToken"] = page["NextContinuationToken"]

    def fetch(self, file: File, target: Path) -> None:
        """Download one object if it still has the listed ETag; see Source.fetch."""
        request = {"Bucket": self._bucket, "Key": self._prefix + file.key, "IfMatch": file.tag}
        answer = self._call("get_object", request)
        if answer["ETag"] != file.tag:
            raise ContentChangedError(f"{file.key} was overwritten")
        try:
            with target.open("wb") as copy, closing(answer["Body"]) as body:
                for chunk in body.iter_chunks(_CHUNK):
                    copy.write(chunk)
        except BotoCoreError as error:
            raise SourceError(f"{self.location}: {file.key}: {error}") from error
        if target.stat().st_size != file.size:
            raise SourceError(f"{self.location}: {file.key}: the download is incomplete")

    def _call(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = getattr(self._client, operation)(**request)
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            text = f"{self.location}: {error}"
            if operation == "get_object" and code in _CHANGED:
                raise ContentChangedError(text) from error
            if 400 <= status < 500 and status not in (408, 429):
                raise RefusedError(text) from error
            raise SourceError(text) from error
        except BotoCoreError as error:
            raise SourceError(f"{self.location}: {error}") from error
        return answer
