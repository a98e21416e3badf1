"""A request that stays under way for as long as a test wants: the witness holds or loads its model meanwhile."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait

from conformance import timing
from conformance.deployment import Answer
from conformance.problems import HarnessError, UnobservableError
from conformance.stand import Stand
from fixtures.trees import File, Tree

# Names what keeps the witness loading a model that has this file.
BRAKE = "brake.txt"


@contextlib.contextmanager
def held_request(stand: Stand, name: str) -> Iterator[Future[Answer]]:
    """Give a request that holds a model; it ends with the block, and its answer can be had afterwards.

    Only of the python and the onnx predictor, as that of TensorFlow is one call; raises `HarnessError` when the request
    ends first.
    """
    signal = stand.deployment.journal_folder / f"go-on-{secrets.token_hex(4)}"
    hold = {"hold": signal.name, "longest": _longest(stand)}
    with ThreadPoolExecutor(1) as pool:
        request = pool.submit(stand.ask, name, more=hold, timeout=_patience(stand))
        try:
            if not _is_held(stand, request, signal.name):
                raise HarnessError(f"the request for {name} was not held: {stand.describe(request.result())}")
            yield request
        finally:
            signal.touch()


def braked(model: Tree) -> Tree:
    """Add to a model of the python predictor what lets `held_load` hold its load, and not that of another revision."""
    return model | Tree({BRAKE: File(f"brake-{secrets.token_hex(8)}")})


@contextlib.contextmanager
def held_load(
    stand: Stand, name: str, folder: str = "", *, after: Callable[[], object] | None = None
) -> Iterator[None]:
    """Let a request load what is `braked` and not in memory; the load ends with the block.

    With `after`, what that changes is to be loaded, by the server itself or by a request that follows. Raises
    `UnobservableError` when it is not, and whatever the request raises.
    """
    brake = stand.deployment.journal_folder / stand.models[name].under(folder)[BRAKE].read().decode()

    def request() -> Answer:
        if after is not None:
            after()
            stand.settle()
        return stand.ask(name, timeout=_patience(stand))

    with ThreadPoolExecutor(1) as pool:
        brake.touch()
        try:
            requested = pool.submit(request)
            if not _is_held(stand, requested, brake.name):
                raise UnobservableError(f"{name} is not loaded in time: {stand.describe(requested.result())}")
            yield
        finally:
            brake.unlink()


def _longest(stand: Stand) -> float:
    pace = stand.deployment.pace
    return pace.settle + pace.evict


def _patience(stand: Stand) -> float:
    return _longest(stand) + stand.deployment.pace.answer


def _is_held(stand: Stand, request: Future[Answer], signal: str) -> bool:
    """Wait until the witness tells that it waits for a signal, or until the request has ended without that."""

    def has_begun() -> bool | None:
        if any(line.get("until") == signal for line in stand.deployment.journals()):
            return True
        return False if request.done() else None

    pace = stand.deployment.pace
    held = timing.poll(has_begun, until=timing.now() + pace.settle + pace.answer)
    if held is None:
        raise HarnessError(f"a request that was to be held did not begin in {pace.settle + pace.answer:g} s")
    return held


def expect_held_during(stand: Stand, name: str, act: Callable[[], None], *, seconds: float) -> None:
    """Expect a request that holds a model to end on the revision that it began with, and with its files still there.

    `act` happens meanwhile, for as many seconds at the most: a server may wait for the request before it does what it
    was told to, and then does not do it until the request has ended.
    """
    tokens = stand.ask(name).tokens
    with ThreadPoolExecutor(1) as pool:
        with held_request(stand, name) as request:
            acting = pool.submit(act)
            wait([acting], timeout=seconds)
        answer = request.result()
        acting.result()
    stand.expect(
        answer.tokens == tokens,
        expected="the answer of the revision that the request began with",
        observed=stand.describe(answer),
    )
    body = answer.body
    # Only the python predictor is told a path.
    stand.expect(
        body.get("files_at_end") == body.get("files"),
        expected="the files of that revision under its path until the request ends",
        observed=f"{body.get('files_at_end')} under {body.get('path')}",
    )
