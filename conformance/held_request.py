"""A request that stays under way for as long as a test wants: the witness holds its model until it is told to go on."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

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
    with ThreadPoolExecutor(1) as pool:
        request = pool.submit(stand.ask, name, more={"hold": signal})

        def is_held() -> bool | None:
            if request.done():
                raise HarnessError(f"the request for {name} was not held: {stand.describe(request.result())}")
            return True if any(line.get("until") == signal for line in stand.deployment.journals()) else None

        try:
            if not timing.poll(is_held, until=timing.now() + stand.deployment.pace.answer):
                raise HarnessError(f"the request for {name} did not begin in {stand.deployment.pace.answer:g} s")
            yield request
        finally:
            (stand.deployment.journal_folder / signal).touch()


def expect_as_it_began(stand: Stand, answer: Answer, tokens: frozenset[str]) -> None:
    """Expect a request that was held to end on the revision that it began with, and with its files still there."""
    stand.expect(
        answer.tokens == tokens,
        expected="the answer of the revision that the request began with",
        observed=stand.describe(answer),
    )
    body = answer.body or {}
    # Only the python predictor is told a path.
    stand.expect(
        body.get("files_at_end") == body.get("files"),
        expected="the files of that revision under its path until the request ends",
        observed=f"{body.get('files_at_end')} under {body.get('path')}",
    )
