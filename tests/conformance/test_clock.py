"""How often a server may have looked at its source, as the clock of a run counts it."""

from conformance import timing
from conformance.clock import Driven, Timed
from conformance.implementation import Intervals
from conformance.timing import Pace

# An interval in seconds that no test lasts, and a time with three whole ones in it.
INTERVAL, A_WHILE = 1000.0, 3500.0


def test_timed_server_may_have_looked_once_in_each_interval() -> None:
    """Beside those that fit into the time, a look may have been under way as it began, and another as it ended."""
    clock = Timed(Pace(Intervals(reload=INTERVAL)))
    assert clock.looks_since(timing.now() - A_WHILE) == 5
    assert clock.looks_since(timing.now()) == 2


def test_driven_server_has_looked_when_it_was_told_to() -> None:
    """Looks count that ended since then, whoever wanted them, and one that may be under way."""
    clock = Driven(Pace(Intervals(passes=2)), lambda: None, lambda: None)
    clock.settle(timing.now())
    begun = timing.now()
    assert clock.looks_since(begun) == 1
    clock.catch_up(begun)
    clock.settle(timing.now())
    assert clock.looks_since(begun) == 4


def test_look_that_is_under_way_counts() -> None:
    """What a server does at a look before that has ended is not done without one."""
    counted: list[int] = []
    begun = timing.now()
    clock = Driven(Pace(Intervals()), lambda: counted.append(clock.looks_since(begun)), lambda: None)
    clock.catch_up(timing.now())
    assert counted == [1]
