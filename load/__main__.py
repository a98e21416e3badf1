"""The command line: `python -m load PROFILE`, `python -m load predict`, `python -m load prepare`."""

from __future__ import annotations

import argparse
import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from pydantic import TypeAdapter, ValidationError

from conformance.deployment import ServerDiedError
from conformance.problems import SuiteError
from fixtures.targets import TargetError
from load.ground import prepare
from load.options import REFERENCE, add_options
from load.popularity import shares
from load.prediction import forecast
from load.profile import Bytes, load_profile, profile_names

_LOCUSTFILE = Path(__file__).with_name("locustfile.py")
_QUIET = ("--headless", "--only-summary", "--loglevel", "WARNING")
_ERROR_STATUS = 3

_STATUS = "exit status of a run: 0 PASS, 1 FAIL, 2 INVALID (the run says nothing about the server), 3 error"


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(_ERROR_STATUS, f"{self.prog}: error: {message}\n")


def main(arguments: Sequence[str]) -> int:
    """Do what the command line says; gives the exit status, unless Locust takes over."""
    given = list(arguments)
    try:
        if given[:1] == ["predict"]:
            return _predict(given[1:])
        if given[:1] == ["prepare"]:
            return _prepare(given[1:])
        return _run(given)
    except (SuiteError, TargetError, ServerDiedError) as error:
        print(f"error: {error}", file=sys.stderr)
        return _ERROR_STATUS


def _run(arguments: list[str]) -> int:
    parser = _Parser(
        prog="python -m load",
        description="Run a load profile; also: python -m load predict, python -m load prepare.",
        epilog=f"{_STATUS}. What follows -- goes to Locust: -- --processes 2.",
        allow_abbrev=False,
    )
    parser.add_argument("profile", metavar="PROFILE", help=f"{', '.join(profile_names())}, or a TOML file of your own")
    add_options(parser)
    parser.add_argument("--host", default="", help="URL of a running server; needs --prepared")
    own, locust = (
        (arguments[: arguments.index("--")], arguments[arguments.index("--") + 1 :])
        if "--" in arguments
        else (arguments, [])
    )
    options = parser.parse_args(own)
    load_profile(options.profile, options.set)  # what is wrong with it is told before Locust says anything
    told = [part for override in options.set for part in ("--set", override)]
    for name in ("implementation", "prepared", "s3", "report_dir", "host"):
        if value := getattr(options, name):
            told += [f"--{name.replace('_', '-')}", str(value)]
    told += ["--patience", f"{options.patience:g}"]
    command = [
        sys.executable,
        "-m",
        "locust",
        "-f",
        str(_LOCUSTFILE),
        "--headless",
        "--only-summary",
        "--loglevel",
        "WARNING",
    ]
    if "--processes" in locust and "--master-port" not in locust:
        locust += _own_port()
    sys.stdout.flush()
    os.execv(sys.executable, [*command, "--profile", options.profile, *told, *locust])  # noqa: S606 - Locust itself


def _own_port() -> list[str]:
    """Let the processes of a run meet at a port of their own: at Locust's usual one another run may be listening."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    return ["--master-bind-host", "127.0.0.1", "--master-bind-port", port, "--master-port", port]


def _predict(arguments: list[str]) -> int:
    parser = _Parser(
        prog="python -m load predict",
        description="Predict how many models there will be between two eviction runs; nothing is started.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--models", type=_count, required=True, help="how many models there are")
    add("--rate", type=_positive, required=True, help="requests a second")
    add("--cache-size", type=_count, required=True, help="cache_size of the API")
    add("--disk-cache-size", type=_count, help="disk_cache_size of the API")
    add("--exponent", type=float, default=1.0, help="of Zipf's law; 0: all models alike (default: %(default)s)")
    add("--interval", type=_positive, default=10.0, help="seconds between two eviction runs (default: %(default)s)")
    add("--model-size", type=_bytes, default=0, help="a model in memory, as 300MB")
    add("--disk-size", type=_bytes, help="a model on disk (default: as in memory)")
    add("--base", type=_bytes, default=0, help="the server without models, as 200MB")
    options = parser.parse_args(arguments)
    popularity = shares(options.models, options.exponent)
    requests = options.rate * options.interval
    layers = [("memory", options.cache_size, options.model_size, options.base)]
    if options.disk_cache_size is not None:
        size = options.model_size if options.disk_size is None else options.disk_size
        layers.append(("disk", options.disk_cache_size, size, 0))
    print(f"{requests:,.0f} requests between two eviction runs, for {options.models:,} models")
    for name, limit, size, base in layers:
        found = forecast(popularity, requests, limit)
        print(f"{name}: limit {limit:,}")
        print(f"  survivors of a run            {found.survivors:12,.0f}")
        print(f"  touched until the next        {found.touched:12,.1f}")
        print(f"  of these, not survivors       {found.fresh:12,.1f}")
        print(f"  peak before the next run      {found.peak:12,.1f}  {_amount(base + found.peak * size)}")
        print(f"  exceeded once in 1,000 runs   {found.rare_peak:12,.1f}  {_amount(base + found.rare_peak * size)}")
        if found.fills / options.rate < 1e9:
            print(f"  full after about              {found.fills / options.rate:12,.0f}  s")
    return 0


def _prepare(arguments: list[str]) -> int:
    parser = _Parser(
        prog="python -m load prepare",
        description="Write trees and a project for a server that is started by hand, for --host URL --prepared FOLDER.",
        allow_abbrev=False,
    )
    parser.add_argument("profile", metavar="PROFILE")
    parser.add_argument("folder", metavar="FOLDER", type=Path)
    parser.add_argument("--tree", help="where the trees go, as s3://bucket/prefix (default: FOLDER/models)")
    parser.add_argument("--endpoint-url", help="of S3")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override one key")
    parser.add_argument("--implementation", type=Path, default=Path(REFERENCE), help="what the server declares")
    options = parser.parse_args(arguments)
    profile = load_profile(options.profile, options.set)
    place = prepare(profile, options.implementation, options.folder, options.tree, options.endpoint_url)
    print(f"trees: {place}")
    print(f"start the server on {options.folder / 'project'}, then run:")
    overrides = "".join(f" --set {override}" for override in options.set)
    print(f"  nox -s load -- {options.profile}{overrides} --host URL --prepared {options.folder}")
    return 0


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return number


def _positive(text: str) -> float:
    number = float(text)
    if number <= 0:
        raise argparse.ArgumentTypeError(f"{text} is not more than 0")
    return number


def _bytes(text: str) -> int:
    try:
        return TypeAdapter(Bytes).validate_python(text)
    except ValidationError:
        raise argparse.ArgumentTypeError(f"{text!r} is no size: 10kB, 1.5MB, 64MiB, 2GB") from None


def _amount(size: float) -> str:
    if not size:
        return ""
    unit, name = next((unit, name) for unit, name in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1, "B")) if size >= unit)
    return f"{size / unit:,.1f} {name}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
