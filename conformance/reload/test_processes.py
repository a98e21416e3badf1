"""With several processes each of them follows what happens to the models."""

from conformance.marks import Configuration, Grow, Planting, clause, planting
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
    for name, folder in {"updated": "", "extended": "9", "shortened": "10", "removed": ""}.items():
        stand.expect_served(name, folder)
    stand.put("updated", stand.grow())
    stand.put("extended", versions({"10": stand.grow()}))
    stand.remove("shortened", "10")
    stand.remove("removed")
    for name, folder in {"updated": "", "extended": "10", "shortened": "9"}.items():
        stand.expect_served(name, folder)
    stand.expect_gone("removed")
