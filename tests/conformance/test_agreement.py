"""What several processes of a server must have answered, on answers that are made up."""

from collections.abc import Callable, Iterator
from itertools import chain, repeat
from threading import Lock

import pytest

from conformance import timing
from conformance.agreement import await_agreement
from conformance.deployment import Answer
from conformance.problems import HarnessError

ERROR = Answer(404, "unknown", {})


def _new(process: int) -> Answer:
    return Answer(200, "", {"process": process, "tokens": ["new"]})


def _old(process: int) -> Answer:
    return Answer(200, "", {"process": process, "tokens": ["old"]})


def _is_new(answer: Answer) -> bool:
    return "new" in answer.tokens


def _is_gone(answer: Answer) -> bool:
    return not answer.is_served


def _await(
    answers: Iterator[Answer],
    *,
    is_right: Callable[[Answer], bool] = _is_new,
    processes: int = 2,
    late: bool = False,
    patience: float = 600,
    reads: int = 1,
) -> Answer:
    """Ask a server that gives these answers, before the deadline or after it."""
    turn = Lock()

    def question() -> Answer:
        with turn:
            return next(answers)

    deadline = timing.now() + (0 if late else 600)
    return await_agreement(processes, question, is_right, deadline=deadline, patience=patience, reads=reads)


def test_one_process_is_asked_once() -> None:
    """Of one process one right answer is enough, and so is one error where that is right."""
    assert _is_new(_await(iter([_new(1)]), processes=1))
    assert _is_gone(_await(iter([ERROR]), processes=1, is_right=_is_gone))


def test_answers_in_a_row_have_to_be_right() -> None:
    """Where several reads are asked for, a wrong answer between two right ones makes them count anew."""
    answers = iter([_new(1), _old(1), _new(1), _new(1), _old(1), *[_new(1)] * 9])
    assert _is_new(_await(answers, processes=1, reads=3))
    assert len(list(answers)) == 6


def test_answers_in_a_row_have_time_when_there_is_none_left() -> None:
    """Long after the deadline for the last change, too, several reads are made."""
    assert _is_new(_await(iter([_new(1)] * 3), processes=1, reads=3, late=True, patience=0))


def test_answers_in_turn_are_never_right() -> None:
    """Of a server that answers old and new in turn after the deadline the wrong answer is given."""
    assert _await(iter([_new(1), _old(1)]), processes=1, reads=3, late=True) == _old(1)


def test_answers_of_both_processes_are_awaited() -> None:
    """Before the deadline, a process that is behind is waited for however long the other has been right."""
    behind = [_new(1), _old(2)] * 20
    answers = chain(behind, [_new(1), _new(2)] * 50)
    assert _is_new(_await(answers))
    assert len(list(answers)) < 100


def test_process_that_is_behind_after_the_deadline_is_given() -> None:
    """A wrong answer to a request that was sent after the deadline is given, and no right one of another process."""
    assert _await(chain(repeat(_new(1), 30), repeat(_old(2))), late=True) == _old(2)


def test_replaced_processes_need_not_answer() -> None:
    """Two new processes may take the place of the two that answered before."""
    old = [_old(1), _old(2)] * 8
    assert _is_new(_await(chain(old, [_new(3), _new(4)] * 50)))


def test_more_processes_than_configured_are_enough() -> None:
    """A process that was replaced between two right answers makes three of two, which is no problem."""
    assert _is_new(_await(iter([_new(1), _new(3), _new(2)] * 50)))


def test_silent_process_is_no_wrong_answer() -> None:
    """Where only one of two processes ever answers, and right, the suite cannot judge, and says so."""
    with pytest.raises(HarnessError, match="of 2 processes only 1 answered"):
        _await(repeat(_new(1)), late=True, patience=0)


def test_errors_are_counted() -> None:
    """Errors do not tell their process: so many in a row that none is hardly ever from one of two is enough."""
    answers = chain([ERROR] * 20, [_old(2)], repeat(ERROR, 100))
    assert _is_gone(_await(answers, is_right=_is_gone))
    # Those before the answer that was served do not count.
    assert len(list(answers)) <= 80
