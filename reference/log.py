"""One structured line per event on stderr, as JSON; never one per request."""

import logging
import sys
from typing import Any

import orjson

_LOGGER = logging.getLogger("reference")


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S") + f".{int(record.msecs):03d}",
            "level": record.levelname.lower(),
            "process": record.process,
            "event": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str).decode()


def configure() -> None:
    """Write events of this process, and warnings of the HTTP server, to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines())
    for name, level in (("reference", logging.INFO), ("_granian", logging.ERROR)):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.setLevel(level)
        logger.propagate = False


def event(name: str, **fields: Any) -> None:
    """Log something that happened as it should."""
    _LOGGER.info(name, extra={"fields": fields})


def failure(name: str, *, exc_info: bool = False, **fields: Any) -> None:
    """Log something that went wrong, with the traceback as one field if the cause is a programming error."""
    _LOGGER.warning(name, exc_info=exc_info, extra={"fields": fields})
