"""Kind: what actors of a store have in common in lists. A type, a status, a name, and whether the actor is a root.

The rule: each kind has a number, which stands in rows and indexes in its place. Which number, each store says for
itself (`actors/store/sqlite/lists/kinds.py`, `actors/store/postgres/kinds.py`).
"""

from collections.abc import Mapping
from typing import NamedTuple

from ..listing import ListFilter, matches_kind


class Kind(NamedTuple):
    """The facets by which actors are counted."""

    type: str
    status: str
    name: str
    root: bool


def matching(kinds: Mapping[int, Kind], actor_type: str, wanted: ListFilter) -> Mapping[int, Kind]:
    """The kinds of a type that a filter lets through."""
    return {
        number: kind
        for number, kind in kinds.items()
        if kind.type == actor_type and matches_kind(wanted, kind.status, kind.name, root=kind.root)
    }
