"""With several processes each of them follows what happens to the models."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from conformance import timing
from conformance.deployment import Answer
from conformance.marks import Configuration, Grow, Planting, clause, planting
from conformance.problems import HarnessError
from conformance.stand import Stand
from fixtures.trees import versions

PROCESSES = Configuration(processes_per_replica=2)


def _several_kinds(grow: Grow) -> Planting:
    return Planting({
        "updated": grow(),
        "extended": versions({"9": grow()}),
        "shortened": versions({"9": grow(), "10": grow()}),
        "removed": grow(),
    })  # fmt: skip


@clause("reload.processes")
@planting(_several_kinds, configuration=PROCESSES)
def test_every_process_follows_every_event(stand: Stand) -> None:
    """An update, a version more, a version less and a removed model are seen by both processes in time."""
    processes = _processes(stand)
    stand.put("updated", stand.grow())
    stand.put("extended", versions({"10": stand.grow()}))
    stand.remove("shortened", "10")
    stand.remove("removed")
    _expect_everywhere(stand, "updated", "", processes)
    _expect_everywhere(stand, "extended", "10", processes)
    _expect_everywhere(stand, "shortened", "9", processes)
    # An error does not tell which process it is from: none of so many answers is from one that has missed it.
    served: list[Answer] = []

    def is_gone() -> bool | None:
        served[:] = [answer for answer in _ask_at_once(stand, "removed", _ENOUGH) if answer.is_served]
        return None if served else True

    timing.poll(is_gone, until=stand.catch_up())
    stand.expect(
        not served,
        expected="an error from every process in time",
        observed=stand.describe(served[0]) if served else "",
    )


# Of so many requests one of two processes gets none once in a million times.
_ENOUGH = 20

# Requests that are under way at the same time: one after the other may all go to the same process.
_AT_ONCE = 8


def _ask_at_once(stand: Stand, name: str, count: int = _AT_ONCE) -> list[Answer]:
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(lambda _: stand.ask(name), range(count)))


def _processes(stand: Stand) -> set[int]:
    """Ask until two processes have answered; raises `HarnessError` when one never does."""
    stand.expect_served("updated")
    seen: set[int] = set()

    def both() -> bool | None:
        seen.update(_process(answer) for answer in _ask_at_once(stand, "updated") if answer.is_served)
        return True if len(seen) == PROCESSES.processes_per_replica else None

    if timing.poll(both, until=timing.now() + stand.deployment.pace.answer) is None:
        raise HarnessError(
            f"of {PROCESSES.processes_per_replica} processes only {len(seen)} answered in"
            f" {stand.deployment.pace.answer:g} s"
        )
    return seen


def _expect_everywhere(stand: Stand, name: str, folder: str, processes: set[int]) -> None:
    """Expect a model to be served from a folder by each process in time."""
    wanted = frozenset(stand.models[name].under(folder).tokens.values())
    switched: set[int] = set()

    def is_everywhere() -> bool | None:
        for answer in _ask_at_once(stand, name):
            (switched.add if answer.tokens == wanted else switched.discard)(_process(answer))
        return True if switched >= processes else None

    timing.poll(is_everywhere, until=stand.catch_up())
    stand.expect(
        switched >= processes,
        expected=f"{name} from its new files, of each of the processes {sorted(processes)}",
        observed=f"from those only of {sorted(switched) or 'none'}",
    )


def _process(answer: Answer) -> int:
    process: int = (answer.body or {}).get("process", 0)
    return process
