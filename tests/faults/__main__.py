"""Judge changed servers: `nox -s faults -- [NAME...] [--resume]`, all of them if none is named."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from tests.faults.judging import Judgement, Options, judge, recall
from tests.faults.preloading import preloaded
from tests.faults.registry import Change, ChangeError, changes, find
from tests.faults.tables import print_faults, print_problems, print_variations


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="nox -s faults --", description=__doc__)
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help="of a change, the beginning of some, or NAME+NAME: one server with these variations",
    )
    parser.add_argument("--kind", choices=["faults", "variations"], help="only these")
    parser.add_argument(
        "--resume", action="store_true", help="judge only what has no judgement yet, or changed since it was judged"
    )
    parser.add_argument("--list", action="store_true", help="tell what there is, and judge nothing")
    parser.add_argument("--report-dir", type=Path, default=Path("report/faults"), metavar="DIR")
    parser.add_argument("--at-once", type=int, default=2, metavar="N", help="runs side by side (default: 2)")
    parser.add_argument("--clock", choices=["timed", "driven"], help="of the suite (default: that of each change)")
    parser.add_argument("--patience", type=float, default=1.0, metavar="FACTOR", help="of the suite (default: 1)")
    parser.add_argument("--seed", type=int, default=1, help="of the suite (default: 1)")
    return parser


def main() -> int:
    """Run the command line; the exit status is 0 if every change was judged rightly."""
    arguments = _parser().parse_args()
    console = Console(width=None if sys.stdout.isatty() else 200)
    try:
        chosen = _choose(changes(), arguments.names, arguments.kind)
    except ChangeError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if not chosen:
        print(f"error: none of these is among the {arguments.kind}", file=sys.stderr)
        return 2
    if arguments.list:
        for change in chosen:
            clauses = ", ".join(sorted(change.clauses)) or "breaks nothing"
            console.print(f"[bold]{change.name}[/] ({clauses})\n  {change.description}\n  {change.seen}")
        return 0
    options = Options(
        arguments.report_dir.resolve(), clock=arguments.clock, patience=arguments.patience, seed=arguments.seed
    )
    kept = {change.name: recall(change, options) for change in chosen} if arguments.resume else {}
    judgements = {name: judgement for name, judgement in kept.items() if judgement is not None}
    pending = [change for change in chosen if change.name not in judgements]
    if pending:
        tensorflow = any("tensorflow" in configuration.predictors for change in pending for configuration in change.on)
        with preloaded(tensorflow=tensorflow) as (command, environment):
            options = replace(options, command=command, environment=environment)
            judgements |= _judge_all(console, pending, options, arguments.at_once)
    print_faults(console, chosen, judgements)
    print_variations(console, chosen, judgements)
    print_problems(console, judgements.values())
    return 0 if all(judgement.is_right for judgement in judgements.values()) else 1


def _choose(there: Mapping[str, Change], names: Sequence[str], kind: str | None) -> list[Change]:
    chosen: dict[str, Change] = {}
    for name in names or [""]:
        beginning = {each: change for each, change in there.items() if each.startswith(name)}
        chosen |= beginning or {name: find(name)}
    return [change for change in chosen.values() if kind is None or change.is_fault == (kind == "faults")]


def _judge_all(console: Console, pending: Sequence[Change], options: Options, at_once: int) -> dict[str, Judgement]:
    done: dict[str, Judgement] = {}
    with ThreadPoolExecutor(at_once) as pool:
        runs: dict[Future[Judgement], Change] = {pool.submit(judge, change, options): change for change in pending}
        for future in as_completed(runs):
            judgement = future.result()
            done[judgement.name] = judgement
            end = "right" if judgement.is_right else "; ".join(judgement.problems)
            console.print(
                f"{len(done)}/{len(pending)} {judgement.name}: {end} ({judgement.seconds:.0f} s)", highlight=False
            )
    return done


if __name__ == "__main__":
    sys.exit(main())
