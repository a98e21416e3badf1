"""What the python predictor loaded and the server does not serve any more is let go."""

import psutil

from conformance import timing
from conformance.deployment import Answer
from conformance.held_request import held_request
from conformance.marks import SMALL_CACHE, THREADED, Grow, Planting, clause, planting
from conformance.stand import Stand
from fixtures.trees import versions


def _updated(grow: Grow) -> Planting:
    return Planting({"updated": grow()})


@clause("clients.python.released")
@planting(_updated)
def test_object_is_let_go_after_an_update(stand: Stand) -> None:
    """The object of a model that was overwritten is let go once the new files are served."""
    old = stand.expect_served("updated")
    stand.put("updated", stand.grow())
    stand.expect_served("updated")
    _expect_let_go(stand, old)


def _removed(grow: Grow) -> Planting:
    return Planting({"removed": grow(), "staying": grow()})


@clause("clients.python.released")
@planting(_removed)
def test_object_is_let_go_after_a_removal(stand: Stand) -> None:
    """The object of a model that was removed is let go once the model errs."""
    old = stand.expect_served("removed")
    stand.remove("removed")
    stand.expect_gone("removed")
    _expect_let_go(stand, old)


def _versioned(grow: Grow) -> Planting:
    return Planting({"versioned": versions({"1": grow(), "2": grow()})})


@clause("clients.python.released")
@planting(_versioned)
def test_object_is_let_go_after_its_version_was_removed(stand: Stand) -> None:
    """The object of a version that was removed is let go once the version below it is the latest."""
    old = stand.expect_served("versioned", "2")
    stand.remove("versioned", "2")
    stand.expect_served("versioned", "1")
    _expect_let_go(stand, old)


def _evicted(grow: Grow) -> Planting:
    return Planting({name: grow() for name in "abcdef"})


@clause("clients.python.released")
@planting(_evicted, configuration=SMALL_CACHE)
def test_object_is_let_go_after_its_eviction(stand: Stand) -> None:
    """The object of a model that was evicted, as it has to be loaded anew, is let go."""
    old, *_ = [stand.expect_served(name) for name in stand.models]
    stand.await_eviction()
    new = stand.ask("a")
    # A server that evicts too few, or does not serve what it evicted, breaks another clause.
    if new.is_served and old.body["serial"] != new.body["serial"]:
        _expect_let_go(stand, old)


@clause("clients.python.released")
@planting(_updated, configuration=THREADED)
def test_object_is_let_go_after_the_last_request_for_it(stand: Stand) -> None:
    """The object that a request held when its model was overwritten is let go when the request has ended."""
    stand.expect_served("updated")
    with held_request(stand, "updated") as request:
        stand.put("updated", stand.grow())
    old = request.result()
    stand.expect_served("updated")
    _expect_let_go(stand, old)


def _expect_let_go(stand: Stand, old: Answer) -> None:
    body = old.body
    process, serial = body["process"], body["serial"]

    def is_let_go() -> bool:
        # What only a cycle of references keeps is dropped by the witness, which collects garbage before it answers.
        stand.deployment.predict({"census": True})
        return not _is_running(process) or any(
            line["event"] == "dropped" and (line["process"], line["serial"]) == (process, serial)
            for line in stand.deployment.journals()
        )

    stand.await_eviction(is_let_go)
    # A server told to evict has done so by now; a process that it has replaced may take a moment to end.
    stand.expect(
        timing.poll(lambda: is_let_go() or None, until=timing.now() + stand.deployment.pace.run),
        expected="no reference to an object that is not served any more, one eviction interval after its last request",
        observed=f"object {serial} of process {process} is still referred to",
    )


def _is_running(process: int) -> bool:
    """Whether a process holds memory; what it held goes with it, and no journal tells."""
    try:
        return psutil.Process(process).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
