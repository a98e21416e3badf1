"""Which clause asks a server to see a version that comes in: that follows from what the server has seen before."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from conformance.source_states import UNVERSIONED


def publication_event(version: str, beside: Collection[str], seen: Sequence[Collection[str]]) -> str:
    """Give the clause by which a version comes in; all versions are folders, "" for a model without versions.

    `beside` are the versions of the model that are published already, `seen` those of each state of it that every
    server has seen, in order. What came and went between two looks is nothing that a server has to know of.
    """
    last = set(seen[-1]) if seen else set()
    ever = set().union(*seen)
    if version in last:
        # Removed and published again before anyone had to look.
        return "reload.updated-in-place"
    if version != UNVERSIONED and {*last, *beside} - {UNVERSIONED}:
        return "reload.version-added"
    if not ever:
        return "reload.model-added"
    if version in ever:
        return "reload.removed-then-restored"
    turned = ever - {UNVERSIONED} if version == UNVERSIONED else ever & {UNVERSIONED}
    return "reload.versioned-to-unversioned" if turned else "reload.removed-then-restored"
