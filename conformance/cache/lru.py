"""The contract's cache as a pure model: what an eviction run leaves of everything that was accessed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


class LeastRecentlyUsed:
    """One layer of the cache, of which an eviction run keeps the `limit` models that were accessed most recently.

    When the runs take place makes no difference, as long as none is under way during an access: whatever is kept at the
    end was kept by every run before, as each of the models accessed after it was accessed after it then too.

    >>> memory = LeastRecentlyUsed(2, "abca")
    >>> memory.kept, memory.evicted
    (['a', 'c'], ['b'])
    """

    def __init__(self, limit: int, accesses: Iterable[str] = ()) -> None:
        self.limit = limit
        self._order: dict[str, None] = {}
        for name in accesses:
            self.access(name)

    def access(self, name: str) -> None:
        """Take in that a model was asked for, under whichever version."""
        self._order.pop(name, None)
        self._order[name] = None

    @property
    def accessed(self) -> Sequence[str]:
        """All models, the one accessed last first."""
        return list(reversed(self._order))

    @property
    def kept(self) -> Sequence[str]:
        """What stays, the one accessed last first."""
        return self.accessed[: self.limit]

    @property
    def evicted(self) -> Sequence[str]:
        """What goes, the one accessed last first."""
        return self.accessed[self.limit :]
