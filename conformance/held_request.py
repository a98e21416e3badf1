"""A request that stays under way for as long as a test wants: the witness holds its model until it is told to go on."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait

from conformance import timing
from conformance.deployment import Answer
from conformance.problems import HarnessError
from conformance.stand import Stand


@contextlib.contextmanager
def held_request(stand: Stand, name: str) -> Iterator[Future[Answer]]:
    """Give a request that holds a model; it ends with the block, and its answer can be had afterwards.

    Only of the python and the onnx predictor, as that of TensorFlow is one call; raises `HarnessError` when the request
    ends first.
    """
    signal = f"go-on-{secrets.token_hex(4)}"
    pace = stand.deployment.pace
    longest = pace.settle + pace.evict
    with ThreadPoolExecutor(1) as pool:
        hold = {"hold": signal, "longest": longest}
        request = pool.submit(stand.ask, name, more=hold, timeout=longest + pace.answer)

        def is_held() -> bool | None:
            if request.done():
                raise HarnessError(f"the request for {name} was not held: {stand.describe(request.result())}")
            return True if any(line.get("until") == signal for line in stand.deployment.journals()) else None

        try:
            if not timing.poll(is_held, until=timing.now() + pace.answer):
                raise HarnessError(f"the request for {name} did not begin in {pace.answer:g} s")
            yield request
        finally:
            (stand.deployment.journal_folder / signal).touch()


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
