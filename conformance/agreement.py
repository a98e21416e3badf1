"""When all processes of a server give the right answer, which one request cannot show."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from conformance import timing
from conformance.deployment import Answer
from conformance.problems import HarnessError

# Requests that are under way at the same time: one after the other may all go to the same process.
_AT_ONCE = 4

# Errors do not tell which process they are from. Of so many answers more per process, none is from a certain one less
# than once in a million times.
_ANONYMOUS = 20


def await_agreement(
    processes: int,
    question: Callable[[], Answer],
    is_right: Callable[[Answer], bool],
    *,
    deadline: float,
    patience: float,
    reads: int = 1,
) -> Answer:
    """Ask until as many processes have answered right, with no wrong answer since; gives the last answer.

    It is a wrong one if it was to a request sent after the `deadline`, a moment of `timing.now`. So many `reads`, one
    straight after the other, have to be right. Which processes there are is not asked: a server may replace them.
    Raises `HarnessError` when all answers are right and too few processes gave them, `patience` seconds after the
    deadline.
    """
    right: list[Answer] = []

    def attempt() -> Answer | None:
        is_late = timing.now() >= deadline
        answers = [question()]
        while len(answers) < reads and is_right(answers[-1]):
            answers.append(question())
        if processes > 1 and is_right(answers[-1]):
            with ThreadPoolExecutor(_AT_ONCE) as pool:
                answers += pool.map(lambda _: question(), range(_AT_ONCE))
        wrong = next((answer for answer in answers if not is_right(answer)), None)
        if wrong is not None:
            right.clear()
            return wrong if is_late else None
        right.extend(answers)
        return answers[-1] if _are_from_all(right, processes) else None

    last = timing.poll(attempt, until=deadline + patience)
    if last is None:
        raise HarnessError(
            f"of {processes} processes only {len(set(_process_numbers(right)))} answered in {len(right)} requests,"
            f" and for {patience:g} s after the deadline"
        )
    return last


def _are_from_all(answers: Sequence[Answer], processes: int) -> bool:
    numbers = _process_numbers(answers)
    return len(set(numbers)) >= processes or len(answers) - len(numbers) > _ANONYMOUS * (processes - 1)


def _process_numbers(answers: Sequence[Answer]) -> list[int]:
    """Give the process of each answer of the witness; it alone tells."""
    bodies = [answer.body for answer in answers if answer.is_served]
    return [body["process"] for body in bodies if "process" in body]
