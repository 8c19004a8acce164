"""Writing the tables of lists, with the commit that changes them.

The rule: after each commit the rows of `facets` and `tags`, and the counts of the kinds, agree with it. The writes
contain the facets before them. If a write does not, and the actor may be in the file, they are read on the writer's
thread. Such reads are avoided, because a thread beside a busy event loop waits for the interpreter lock (the GIL) for
each row.

`actors/store/sqlite/writing.py` fills `ListChanges`; `actors/store/sqlite/store.py` corrects the counts of the kinds.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ...contract import Write
from ...listing import Facets
from ...tables.facets import tag_rows, tags_in, tags_of
from ...tables.kinds import Kind
from ..rows import Statement, flat, rows_of
from .kinds import Kinds

# key, kind, created_us, updated_us, ended_us, parent, tags
FacetsRow = tuple[int, int, int, int, int | None, str | None, str | None]
FACETS_COLUMNS = 7

UPSERT = "INSERT INTO facets (key, kind, created_us, updated_us, ended_us, parent, tags) VALUES "
# For a root without tags, as most actors are. Columns that are left out become null at no cost; for each null that is
# bound, `sqlite3` looks for an adapter, which takes longer than the rest of the row.
UPSERT_ENDED = "INSERT INTO facets (key, kind, created_us, updated_us, ended_us) VALUES "
UPSERT_OPEN = "INSERT INTO facets (key, kind, created_us, updated_us) VALUES "
CONFLICT = (
    " ON CONFLICT (key) DO UPDATE SET kind = excluded.kind, created_us = excluded.created_us,"
    " updated_us = excluded.updated_us, ended_us = excluded.ended_us, parent = excluded.parent, tags = excluded.tags"
)
DELETE_TAGS = "DELETE FROM tags WHERE (name, value, created_us, key) IN (SELECT * FROM (VALUES "
INSERT_TAGS = "INSERT OR IGNORE INTO tags (name, value, created_us, key) VALUES "


class Before(NamedTuple):
    """The facets and tags of an actor in the file before a batch."""

    kind: int
    created_us: int
    tags: str | None


@dataclass(slots=True)
class ListChanges:
    """The changes of a batch of writes to the tables of lists."""

    facets: dict[int, FacetsRow] = field(default_factory=dict)  # by key; the last write of a batch wins
    before: dict[int, Before] = field(default_factory=dict)  # by key, if the writes contain the facets before
    deleted: Sequence[int] = ()  # keys
    unknown: Sequence[int] = ()  # keys of actors that may be in the file, with unknown facets before
    kinds: Mapping[int, Kind] = field(default_factory=dict)  # kinds that the file may not have yet

    def add(self, write: Write, kinds: Kinds) -> None:
        """Add the facets of a write."""
        facets = write.facets
        assert facets is not None
        key, type_ = write.key, write.address.type
        if write.facets_before is not None and key not in self.facets:
            self._note(key, type_, write.facets_before, kinds)
        self.facets[key] = facets_row(key, kinds.number_of(type_, facets), facets)

    def delete(self, write: Write, kinds: Kinds) -> None:
        """Delete the facets of an actor."""
        if self.facets.pop(write.key, None) is None and write.facets_before is not None:
            self._note(write.key, write.address.type, write.facets_before, kinds)

    def _note(self, key: int, type_: str, before: Facets, kinds: Kinds) -> None:
        number = kinds.number_of(type_, before)
        self.before.setdefault(key, Before(number, before.created_us, tags_of(before)))

    def finish(self, deleted: Iterable[int], kinds: Kinds, known_max: int) -> None:
        """Add the values that are known once the batch has been written.

        Args:
            deleted: The keys of the actors that the batch deletes.
            known_max: No actor with a higher key was in an earlier batch.
        """
        self.deleted = list(deleted)
        keys = {*self.facets, *self.deleted} if self.deleted else self.facets
        self.unknown = [key for key in keys if key <= known_max and key not in self.before]
        if self.facets:
            self.kinds = kinds.unsaved(row[1] for row in self.facets.values())

    def look(self, connection: sqlite3.Connection) -> Mapping[int, Before]:
        """Read the facets and tags of actors whose writes do not contain them, and delete their tags.

        Called on the writer's thread, inside the transaction and before its statements.
        """
        looked: dict[int, Before] = {}
        for sql, values in rows_of(
            "SELECT key, kind, created_us, tags FROM facets WHERE key IN (VALUES ", 1, list(self.unknown), ")"
        ):
            for key, *row in connection.execute(sql, values).fetchall():
                looked[key] = Before(*row)
        gone = [row for key, was in looked.items() if was.tags is not None for row in tag_rows_of(key, *was[1:])]
        for sql, values in rows_of(DELETE_TAGS, 4, flat(gone), "))"):
            connection.execute(sql, values)
        return looked

    def statements(self) -> Iterator[Statement]:
        """Yield the statements that bring the file to these changes."""
        if self.kinds:
            kinds = flat((number, *kind) for number, kind in self.kinds.items())
            yield from rows_of("INSERT OR IGNORE INTO kinds (kind, type, status, name, root) VALUES ", 5, kinds)
        yield from rows_of("DELETE FROM facets WHERE key IN (VALUES ", 1, list(self.deleted), ")")
        yield from self._upserts()
        after = {key: (row[2], row[6]) for key, row in self.facets.items() if row[6] is not None}
        changed = [key for key, was in self.before.items() if was.tags is not None and was[1:] != after.get(key)]
        gone = [row for key in changed for row in tag_rows_of(key, *self.before[key][1:])]
        yield from rows_of(DELETE_TAGS, 4, flat(gone), "))")
        new = [row for key, now in after.items() if self._tags_before(key) != now for row in tag_rows_of(key, *now)]
        yield from rows_of(INSERT_TAGS, 4, flat(new))

    def _upserts(self) -> Iterator[Statement]:
        """Yield the statements that write the rows of `facets`."""
        whole: list[Any] = []
        ended: list[Any] = []
        open_: list[Any] = []
        for row in self.facets.values():
            if row[5] is not None or row[6] is not None:
                whole += row
            elif row[4] is not None:
                ended += row[:5]
            else:
                open_ += row[:4]
        yield from rows_of(UPSERT, FACETS_COLUMNS, whole, CONFLICT)
        yield from rows_of(UPSERT_ENDED, 5, ended, CONFLICT)
        yield from rows_of(UPSERT_OPEN, 4, open_, CONFLICT)

    def delta(self, looked: Mapping[int, Before]) -> Mapping[int, int]:
        """Number of the kind -> the increase of its actors by the batch, once it is committed.

        Args:
            looked: The result of `look`.
        """
        delta: dict[int, int] = {}
        for row in self.facets.values():
            delta[row[1]] = delta.get(row[1], 0) + 1
        for before in (self.before, looked):
            for was in before.values():
                delta[was.kind] = delta.get(was.kind, 0) - 1
        return delta

    def _tags_before(self, key: int) -> tuple[int, str | None] | None:
        was = self.before.get(key)
        return was[1:] if was is not None else None


def facets_row(key: int, kind: int, facets: Facets) -> FacetsRow:
    """The row of an actor."""
    return (key, kind, facets.created_us, facets.updated_us, facets.ended_us, facets.parent, tags_of(facets))


def tag_rows_of(key: int, created_us: int, tags: str | None) -> list[tuple[str, str, int, int]]:
    """The rows of `tags` of an actor whose row of `facets` has these tags."""
    return tag_rows(key, created_us, tags_in(tags))
