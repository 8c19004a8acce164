"""Writing what lists show, with the commit that changes it.

The rule: the rows of `facets` and `tags`, and the counts of the kinds, say after each commit what it made of
them. What there was before is read on the writer's thread, inside the transaction, for the actors that may have been
there: the counts need it.

`actors/store/sqlite/writing.py` fills `ListChanges`; `actors/store/sqlite/store.py` corrects the counts of the kinds.
"""

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...listing import Facets
from ..rows import Statement, flat, rows_of
from .kinds import Kind, Kinds

# key, kind, created_us, updated_us, ended_us, parent, tags
FacetsRow = tuple[int, int, int, int, int | None, str | None, str | None]
FACETS_COLUMNS = 7

UPSERT = "INSERT INTO facets (key, kind, created_us, updated_us, ended_us, parent, tags) VALUES "
CONFLICT = (
    " ON CONFLICT (key) DO UPDATE SET kind = excluded.kind, created_us = excluded.created_us,"
    " updated_us = excluded.updated_us, ended_us = excluded.ended_us, parent = excluded.parent, tags = excluded.tags"
)
INSERT_TAGS = "INSERT OR IGNORE INTO tags (name, value, created_us, key) VALUES "


@dataclass(slots=True)
class ListChanges:
    """The changes of a batch of writes to what lists show."""

    facets: dict[int, FacetsRow] = field(default_factory=dict)  # by key; the last of a batch counts
    deleted: Sequence[int] = ()  # keys
    known_max: int = 0  # no actor of a higher key was in an earlier commit
    kinds: Mapping[int, Kind] = field(default_factory=dict)  # that the file may not have yet

    def finish(self, deleted: Iterable[int], kinds: Kinds) -> None:
        """Add what is known once the batch is: the actors that it deletes, and the kinds that are new."""
        self.deleted = list(deleted)
        if self.facets:
            self.kinds = kinds.unsaved(row[1] for row in self.facets.values())

    def __bool__(self) -> bool:
        return bool(self.facets or self.deleted)

    def apply(self, connection: sqlite3.Connection) -> Mapping[int, int]:
        """Write the changes, on the writer's thread and inside its transaction.

        Returns:
            By number of the kind, how many actors there are more.
        """
        for sql, values in rows_of(
            "INSERT OR IGNORE INTO kinds (kind, type, status, name, root) VALUES ",
            5,
            flat((number, *kind) for number, kind in self.kinds.items()),
        ):
            connection.execute(sql, values)
        before = self._before(connection)
        delta = Counter(row[1] for row in self.facets.values())
        delta.subtract(kind for kind, _, _ in before.values())
        for sql, values in self._statements(before):
            connection.execute(sql, values)
        return delta

    def _before(self, connection: sqlite3.Connection) -> dict[int, tuple[int, int, str | None]]:
        """Read what the file has of these actors: by key the kind, created_us and tags."""
        keys = [key for key in self.facets if key <= self.known_max]
        before: dict[int, tuple[int, int, str | None]] = {}
        for sql, values in rows_of(
            "SELECT key, kind, created_us, tags FROM facets WHERE key IN (VALUES ", 1, [*keys, *self.deleted], ")"
        ):
            for key, *row in connection.execute(sql, values).fetchall():
                before[key] = tuple(row)
        return before

    def _statements(self, before: Mapping[int, tuple[int, int, str | None]]) -> Iterator[Statement]:
        yield from rows_of("DELETE FROM facets WHERE key IN (VALUES ", 1, list(self.deleted), ")")
        yield from rows_of(UPSERT, FACETS_COLUMNS, flat(self.facets.values()), CONFLICT)
        after = {key: (row[2], row[6]) for key, row in self.facets.items()}
        changed = [key for key, (_, *was) in before.items() if was[1] is not None and tuple(was) != after.get(key)]
        gone = [row for key in changed for row in tag_rows(key, *before[key][1:])]
        delete = "DELETE FROM tags WHERE (name, value, created_us, key) IN (SELECT * FROM (VALUES "
        yield from rows_of(delete, 4, flat(gone), "))")
        tagged = [row for key, now in after.items() if now[1] is not None for row in tag_rows(key, *now)]
        yield from rows_of(INSERT_TAGS, 4, flat(tagged))


def facets_row(key: int, kind: int, facets: Facets) -> FacetsRow:
    """The row of an actor."""
    tags = json.dumps(facets.tags, ensure_ascii=False, separators=(",", ":")) if facets.tags else None
    return (key, kind, facets.created_us, facets.updated_us, facets.ended_us, facets.parent, tags)


def facets_in(
    kinds: Kinds, kind: int | None, created_us: int, updated_us: int, ended_us: int | None, parent: Any, tags: Any
) -> Facets | None:
    """The facets of an actor, from the columns of its row; None if it has none, or they cannot be read."""
    if kind is None:
        return None
    try:
        of = kinds[kind]
        return Facets(of.name, of.status, created_us, updated_us, ended_us, parent, tags_in(tags))
    except (KeyError, ValueError, TypeError):  # not what was written, which `perdure store check` says
        return None


def tags_in(text: str | None) -> tuple[tuple[str, str], ...]:
    """Read the tags of a row."""
    return tuple((name, value) for name, value in json.loads(text)) if text is not None else ()


def tag_rows(key: int, created_us: int, tags: str | None) -> list[tuple[str, str, int, int]]:
    """The rows of `tags` of an actor."""
    return [(name, value, created_us, key) for name, value in tags_in(tags)]
