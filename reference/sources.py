"""Where models come from: a listing of files, and their bytes exactly as listed."""

from pathlib import Path
from typing import NamedTuple, Protocol


class File(NamedTuple):
    """One file of a source. Two files are the same content if all three fields are equal."""

    key: str
    """Path below the listed root, with `/` between its parts."""
    size: int
    """In bytes."""
    tag: str
    """ETag, or for a local file what identifies its content: times in ns and inode."""


class Source(Protocol):
    """One configured model path."""

    location: str
    """The path as a person wrote it."""

    def listing(self, below: str = "") -> list[File]:
        """Return all files whose key starts with `below`; raise SourceError unless the listing is complete."""
        ...

    def fetch(self, file: File, target: Path) -> None:
        """Write the bytes that were listed as `file` to `target`.

        Raises ContentChangedError if they are no longer there as listed, SourceError if the source fails.
        """
        ...
