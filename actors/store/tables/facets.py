"""The facets of an actor as the columns of a row, and its tags as rows of their own.

The rule: facets are read as they were written. A damaged row has no facets, and does not prevent other rows from being
read.

`actors/store/sqlite/lists/changes.py` and `actors/store/postgres/changes.py` write with it; the readers of actors and
lists of both stores use it too.
"""

import json
from typing import Any, Protocol

from ..listing import Facets
from .kinds import Kind

Tags = tuple[tuple[str, str], ...]


class KindsByNumber(Protocol):
    """The kinds of a store."""

    def get(self, number: int, /) -> Kind | None:
        """The kind with a number; None: the number is not known."""
        ...


def facets_in(
    kinds: KindsByNumber | None,
    kind: int | None,
    created_us: int,
    updated_us: int,
    ended_us: int | None,
    parent: Any,
    tags: Any,
) -> Facets | None:
    """The facets of an actor, from the columns of its row.

    Args:
        kinds: The kinds of the store; None if they are not known.
        created_us, updated_us, ended_us: Unix time, microseconds.

    Returns:
        None if it has no facets, or if they cannot be read, which `perdure store check` reports.
    """
    of = kinds.get(kind) if kinds is not None and kind is not None else None
    if of is None:
        return None
    try:
        return Facets(of.name, of.status, created_us, updated_us, ended_us, parent, tags_in(tags))
    except (ValueError, TypeError):
        return None


def tags_of(facets: Facets) -> str | None:
    """The tags of an actor as the text in its row."""
    return json.dumps(facets.tags, ensure_ascii=False, separators=(",", ":")) if facets.tags else None


def tags_in(text: str | None) -> Tags:
    """Read the tags of a row.

    Raises:
        ValueError, TypeError: The text is damaged.
    """
    return tuple((name, value) for name, value in json.loads(text)) if text is not None else ()


def tag_rows(key: int, created_us: int, tags: Tags) -> list[tuple[str, str, int, int]]:
    """The rows of `tags` of an actor."""
    return [(name, value, created_us, key) for name, value in tags]
