"""Trees of a load run: what is published before it, and what is changed under traffic, with every state in between."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from random import Random

from conformance import timing
from conformance.source_states import Change, Tokens
from fixtures.edits import Event
from fixtures.models import python_model
from fixtures.targets import DirectoryTarget, Target
from fixtures.trees import Tree, join, versions
from load.profile import Profile, Publications

_CLAUSES = {
    Event.ADD: "reload.version-added",
    Event.OVERWRITE: "reload.updated-in-place",
    Event.REMOVE: "reload.version-removed",
}


@dataclass(frozen=True)
class Publication:
    """One publication: the changes that it consists of, one for each key where keys change one by one."""

    event: Event
    model: str
    changes: tuple[Change, ...]


def initial_models(profile: Profile) -> Iterable[tuple[str, Tree]]:
    """Give the name and the tree of each model that is there from the start; the same for the same profile."""
    for number in range(profile.trees.models):
        name = profile.model_name(number)
        random = Random(f"{profile.seed} {name}")
        trees = {str(version): _new(profile, random) for version in range(1, profile.trees.versions + 1)}
        yield name, versions(trees)


def initial_change(name: str, tree: Tree, begun: float, ended: float) -> Change:
    """Describe the publication of a model that is there from the start."""
    return Change(begun, ended, name, "reload.model-added", _servable(tree))


class Publisher:
    """Adds, overwrites and removes versions, drawn from a seeded generator; gives every state that the source was in.

    `models` are the trees that may change. Raises `TargetError` where the target refuses.
    """

    def __init__(self, profile: Profile, asked: Publications, target: Target, models: dict[str, Tree]) -> None:
        self._profile = profile
        self._target = target
        self._trees = models
        self._names = sorted(models)
        self._next_version = dict.fromkeys(models, profile.trees.versions + 1)
        self._random = Random(f"{profile.seed} publications")
        self._events = [Event.ADD, Event.OVERWRITE, Event.REMOVE]
        self._weights = [asked.add, asked.overwrite, asked.remove]

    def publish(self) -> Publication:
        """Carry out one publication."""
        name = self._random.choice(self._names)
        (event,) = self._random.choices(self._events, self._weights)
        folders = sorted(_servable(self._trees[name]), key=int)
        if event is Event.REMOVE and len(folders) == 1:
            event = Event.ADD
        changes: list[Change] = []

        def step(act: Callable[[], None], after: Tree) -> None:
            begun = timing.now()
            act()
            self._trees[name] = after
            changes.append(Change(begun, timing.now(), name, _CLAUSES[event], _servable(after)))

        if event is Event.REMOVE:
            self._remove(name, folders[-1], step)
        else:
            new = event is Event.ADD
            folder = str(self._next_version[name]) if new else folders[-1]
            self._next_version[name] += new
            self._write(name, folder, new=new, step=step)
        return Publication(event, name, tuple(changes))

    def _write(self, name: str, folder: str, *, new: bool, step: Callable[[Callable[[], None], Tree], None]) -> None:
        tree = _new(self._profile, self._random)
        # A folder that is new in a directory comes with one rename; everything else comes file by file.
        at_once = new and isinstance(self._target, DirectoryTarget)
        for part in [tree] if at_once else [Tree({key: file}) for key, file in tree.items()]:
            moved = part.at(folder)
            before = self._trees[name]
            after = Tree({**{key: moved.get(key, file) for key, file in before.items()}, **moved})
            step(lambda moved=moved: self._target.write(moved, at=name), after)  # type: ignore[misc]

    def _remove(self, name: str, folder: str, step: Callable[[Callable[[], None], Tree], None]) -> None:
        before = self._trees[name]
        keys = [key for key in before if key.startswith(f"{folder}/")]
        if isinstance(self._target, DirectoryTarget):
            step(lambda: self._target.clear(join(name, folder)), before.without(*keys))
            return
        for key in keys:
            step(lambda key=key: self._target.delete([key], at=name), self._trees[name].without(key))  # type: ignore[misc]


def _new(profile: Profile, random: Random) -> Tree:
    return python_model(size=profile.trees.size or None, random=random)


def _servable(tree: Tree) -> dict[str, Tokens]:
    folders = dict.fromkeys(key.partition("/")[0] for key in tree)
    return {folder: frozenset(tree.under(folder).tokens.values()) for folder in folders}
