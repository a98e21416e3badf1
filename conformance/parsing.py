"""Syntax trees, of which Hypothesis makes some in the thread of each search."""

from __future__ import annotations

import ast
import functools
import sys
import threading
from typing import Any

import pytest

# Python 3.11 counts the depth of all trees that are being made as that of one, in whatever threads, and a collection of
# garbage lets another thread begin one: a SystemError for either. Mended in 3.11.8 (python/cpython#106905).
_COUNTS_THREADS_AS_ONE = sys.version_info < (3, 11, 8)


def take_turns_at_parsing(patch: pytest.MonkeyPatch) -> None:
    """Let one thread at a time make a syntax tree where Python needs that, until the patch is undone."""
    if not _COUNTS_THREADS_AS_ONE:
        return
    parse, turn = ast.parse, threading.RLock()

    @functools.wraps(parse)
    def parse_in_turn(*args: Any, **named: Any) -> Any:
        with turn:
            return parse(*args, **named)

    patch.setattr(ast, "parse", parse_in_turn)
