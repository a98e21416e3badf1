"""Syntax trees that several threads make at once."""

import ast
import gc
import inspect
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from conformance import timing
from conformance.parsing import take_turns_at_parsing
from conformance.reload import program

THREADS = 3


@pytest.fixture
def collections_let_others_run() -> Iterator[None]:
    """Collect garbage often, and let other threads run whenever it is."""

    def let_others_run(*_: object) -> None:
        timing.wait_until(timing.now() + 0.0001)

    before = gc.get_threshold()
    gc.callbacks.append(let_others_run)
    gc.set_threshold(100)
    yield
    gc.set_threshold(*before)
    gc.callbacks.remove(let_others_run)


@pytest.mark.usefixtures("collections_let_others_run")
def test_threads_that_parse_at_once_each_get_their_tree(monkeypatch: pytest.MonkeyPatch) -> None:
    """Searches in several threads can each read their source, whatever garbage is collected meanwhile."""
    take_turns_at_parsing(monkeypatch)
    source = inspect.getsource(program)
    begin = threading.Barrier(THREADS)

    def parse(_: int) -> list[str]:
        begin.wait()
        return [ast.dump(ast.parse(source)) for _ in range(3)]

    with ThreadPoolExecutor(THREADS) as pool:
        dumps = [dump for dumps in pool.map(parse, range(THREADS)) for dump in dumps]
    assert set(dumps) == {ast.dump(ast.parse(source))}
