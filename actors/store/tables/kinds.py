"""Kind: the values that many actors of a store share in lists: type, status, name, and whether the actor is a root.

The rule: each kind has a number, which rows and indexes contain in its place. Each store assigns its own numbers
(`actors/store/sqlite/lists/kinds.py`, `actors/store/postgres/kinds.py`).
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
    """The kinds of a type that match a filter."""
    return {
        number: kind
        for number, kind in kinds.items()
        if kind.type == actor_type and matches_kind(wanted, kind.status, kind.name, root=kind.root)
    }
