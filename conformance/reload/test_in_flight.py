"""A request that is under way when its model changes ends on the revision that it began with."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from conformance import timing
from conformance.held_request import expect_held_during
from conformance.judge import Request
from conformance.marks import THREADED, Grow, Planting, clause, planting
from conformance.problems import UnobservableError
from conformance.recording import Recording
from conformance.stand import Stand
from fixtures.trees import Tree, versions

UPDATES = 3


def _to_be_updated(grow: Grow) -> Planting:
    return Planting({"updated": grow()})


@clause("reload.in-flight")
@planting(_to_be_updated, predictors=("python",), configuration=THREADED)
def test_object_and_files_stay_during_an_update(stand: Stand) -> None:
    """A request that holds a model while it is overwritten ends with the object and the files that it began with."""
    _expect_held(stand, "updated", "", lambda: stand.put("updated", stand.grow()))
    stand.expect_served("updated")


def _to_be_removed(grow: Grow) -> Planting:
    return Planting({"removed": versions({"1": grow(), "2": grow()})})


@clause("reload.in-flight")
@planting(_to_be_removed, predictors=("python",), configuration=THREADED)
def test_object_and_files_stay_when_the_version_is_removed(stand: Stand) -> None:
    """A request that holds a version while it is removed ends with the object and the files that it began with."""
    _expect_held(stand, "removed", "2", lambda: stand.remove("removed", "2"))
    stand.expect_served("removed", "1")


def _to_be_called(grow: Grow) -> Planting:
    return Planting({"called": grow()})


@clause("reload.in-flight")
@planting(_to_be_called, predictors=("onnx", "tensorflow"), configuration=THREADED)
def test_client_calls_end_on_the_revision_they_began_with(stand: Stand) -> None:
    """Of the calls that four threads make while a model is overwritten, each is answered by one revision of it."""
    stand.expect_served("called")
    # One that loses its revision on the way may end with an error, too.
    _expect_none(stand, _updated_while_asked(stand, "called", threads=4), "reload.never-mixed", "reload.no-gap")


def _parts(grow: Grow) -> Planting:
    return Planting({"parts": grow()})


@clause("reload.never-mixed")
@planting(_parts)
def test_answers_are_from_files_that_lay_together(stand: Stand) -> None:
    """While the files of a model are overwritten one by one, each answer is from files that lay together once."""
    stand.expect_served("parts")
    _expect_none(stand, _updated_while_asked(stand, "parts"), "reload.never-mixed")


def _torn(grow: Grow) -> Planting:
    return Planting({"torn": grow()})


# Late answers hold up who looks at one model after the other: other tests keep away.
@clause("reload.never-mixed")
@planting(_torn, alone=True, predictors=("python",), sources=("s3",))
def test_files_that_change_between_two_downloads_are_not_mixed(stand: Stand) -> None:
    """A model that is overwritten between the downloads of two of its files is served from files that lay together."""
    stand.expect_served("torn")
    recording = Recording(stand)
    # A server may download the files in any order.
    for late in tuple(stand.models["torn"]):
        _overwrite_before_download(stand, recording, late)
    _expect_none(stand, recording, "reload.never-mixed")


def _overwrite_before_download(stand: Stand, recording: Recording, late: str) -> None:
    """Update a model, and overwrite it when a server has begun to ask for one file, of which the answer is late."""
    before = stand.models["torn"].tokens[late]
    update, overwrite = stand.grow(), stand.grow()
    put = partial(recording.put, "torn", event="reload.updated-in-place")
    put(update.without(late))
    with stand.s3_fault("slowness", "torn", late) as fault, ThreadPoolExecutor(2) as pool:
        put(Tree({late: update[late]}))
        until = timing.now() + stand.deployment.pace.serve
        # A server may download what changed when it looks, or when it is asked for.
        looking = pool.submit(stand.catch_up)
        asking = pool.submit(recording.ask, "torn")

        def is_downloading() -> bool | None:
            nonlocal asking
            if asking.done():
                recording.record(asking.result())
                asking = pool.submit(recording.ask, "torn")
            return True if fault.hits else None

        if timing.poll(is_downloading, until=until) is None:
            raise UnobservableError("the server asked S3 for none of the files that it was to download")
        # In this order the late file as it is now never lay beside the others as they were.
        put(overwrite.without(late) | Tree({late: overwrite[late]}))
        looking.result()
        recording.record(asking.result())

        def has_changed() -> bool | None:
            request = recording.ask("torn")
            recording.record(request)
            return True if before not in (request.tokens or ()) else None

        # What was downloaded is seen before the server looks once more.
        timing.poll(has_changed, until=until)
    recording.await_current("torn")


def _expect_none(stand: Stand, recording: Recording, *clauses: str) -> None:
    """Expect the judge to find nothing of these kinds in a recording."""
    for finding in recording.findings():
        stand.expect(finding.clause not in clauses, expected=finding.expected, observed=finding.observed)


def _expect_held(stand: Stand, name: str, folder: str, change: Callable[[], None]) -> None:
    """Expect a request that holds a model to end as it began when the model changes meanwhile."""
    stand.expect_served(name, folder)

    def change_and_settle() -> None:
        change()
        stand.settle()

    expect_held_during(stand, name, change_and_settle, seconds=stand.deployment.pace.settle)


def _updated_while_asked(stand: Stand, name: str, threads: int = 1) -> Recording:
    """Overwrite a model several times, file by file, while so many threads ask until what it is now is served."""
    recording = Recording(stand)

    def update_and_see() -> None:
        recording.put(name, stand.grow(), event="reload.updated-in-place")
        stand.expect_served(name)

    def ask_until_then() -> list[Request]:
        requests = []
        while not updating.done():
            requests.append(recording.ask(name))
            timing.pause_between_requests()
        return requests

    for _ in range(UPDATES):
        with ThreadPoolExecutor(1 + threads) as pool:
            updating = pool.submit(update_and_see)
            asking = [pool.submit(ask_until_then) for _ in range(threads)]
            updating.result()
            for asked in asking:
                for request in asked.result():
                    recording.record(request)
    return recording
