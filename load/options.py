"""The options of a load run, the same for `python -m load` and for Locust."""

from __future__ import annotations

from typing import Any, Protocol

REFERENCE = "conformance/implementations/reference.toml"


class _Group(Protocol):
    def add_argument(self, *names: str, **how: Any) -> Any: ...


def add_options(group: _Group) -> None:
    """Add what a run is told; Locust has `--profile` and `--host` already."""
    add = group.add_argument
    add("--set", action="append", default=[], metavar="KEY=VALUE", help="override one key: --set traffic.rate=50")
    add("--implementation", default=REFERENCE, help="the server to start (default: %(default)s)")
    add("--prepared", default="", help="with --host: the folder that `python -m load prepare` wrote")
    add("--s3", default="moto", metavar="ENDPOINT", help="as for the suite: 'moto', started here, or a URL")
    add("--patience", type=float, default=1.0, help="scales what is allowed for a slow machine")
    add("--report-dir", default="", help="where the report goes (default: report/load/PROFILE)")
