"""Filling the lists of a file that an earlier release without facets has written.

The rule: the fill proceeds in the order of the keys, and each of its commits also writes its progress into the file. So
it goes on after a crash. A row that a commit of the actor has written meanwhile is newer, and stays.

`actors/store/sqlite/store.py` uses it; the host drives it, because only the type of an actor can make its facets.
"""

import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ....address import Address
from ...contract import Inspection, Unlisted
from ...errors import ListsUnfinished
from ...listing import Facets
from ...tables.checksums import Damaged, Unsealed, unseal_record
from ...tables.kinds import Kind
from .. import schema
from ..rows import flat, rows_of
from .changes import FACETS_COLUMNS, INSERT_TAGS, FacetsRow, facets_row, tag_rows_of
from .kinds import Kinds


@dataclass(slots=True)
class Filling:
    """The progress of the fill of a file."""

    listed_key: int = 0  # the facets of all actors up to this key are known ...
    unlisted_key: int = 0  # ... and of all actors after this key

    @classmethod
    def of(cls, connection: sqlite3.Connection, path: str) -> "Filling":
        """Read the progress of the fill of a file."""
        listed, unlisted = (
            schema.read_meta(connection, path, name) for name in (schema.LISTED_KEY, schema.UNLISTED_KEY)
        )
        return cls(listed, unlisted)

    @property
    def done(self) -> bool:
        """Whether all actors of earlier releases are in the lists."""
        return self.listed_key >= self.unlisted_key

    def require(self) -> None:
        """Check that lists can be answered.

        Raises:
            ListsUnfinished: The fill is not complete.
        """
        if not self.done:
            raise ListsUnfinished(done=self.share)

    @property
    def share(self) -> float:
        """The completed share, from 0 to 1. Keys of deleted actors count too."""
        return 1.0 if self.done else self.listed_key / self.unlisted_key

    def rows_of(self, found: Sequence[tuple[Unlisted, Facets | None]], kinds: Kinds) -> "Filled":
        """Make the rows for actors whose facets were made. The last call covers all keys up to the end of the file."""
        rows = [
            facets_row(each.key, kinds.number_of(each.address.type, facets), facets)
            for each, facets in found
            if facets is not None
        ]
        listed_key = found[-1][0].key if found else self.unlisted_key
        return Filled(rows, kinds.unsaved(row[1] for row in rows), listed_key)

    def done_to(self, key: int) -> None:
        """Note that the lists have all actors up to a key."""
        self.listed_key = max(self.listed_key, key)


@dataclass(frozen=True, slots=True)
class Filled:
    """The rows of one commit of the fill."""

    rows: Sequence[FacetsRow]
    kinds: Mapping[int, Kind]  # kinds that the file may not have yet
    listed_key: int

    def apply(self, connection: sqlite3.Connection) -> Mapping[int, int]:
        """Write the rows, on the writer's thread and inside its transaction.

        Returns:
            Number of the kind -> the increase of its actors.
        """
        for number, kind in self.kinds.items():
            connection.execute(INSERT_KIND, (number, *kind))
        there = self._still_there(connection)
        rows = [row for row in self.rows if row[0] in there]
        for sql, values in rows_of(
            "INSERT INTO facets (key, kind, created_us, updated_us, ended_us, parent, tags) VALUES ",
            FACETS_COLUMNS,
            flat(rows),
        ):
            connection.execute(sql, values)
        tagged = [tag for row in rows for tag in tag_rows_of(row[0], row[2], row[6])]
        for sql, values in rows_of(INSERT_TAGS, 4, flat(tagged)):
            connection.execute(sql, values)
        connection.execute("UPDATE meta SET value = ? WHERE name = ?", (self.listed_key, schema.LISTED_KEY))
        return Counter(row[1] for row in rows)

    def _still_there(self, connection: sqlite3.Connection) -> set[int]:
        """The keys of the actors that were not deleted meanwhile, and that have no facets."""
        there: set[int] = set()
        keys: list[Any] = [row[0] for row in self.rows]
        for sql, values in rows_of(
            "SELECT key FROM actors WHERE NOT EXISTS (SELECT 1 FROM facets WHERE facets.key = actors.key)"
            " AND key IN (VALUES ",
            1,
            keys,
            ")",
        ):
            there.update(key for (key,) in connection.execute(sql, values).fetchall())
        return there


INSERT_KIND = "INSERT OR IGNORE INTO kinds (kind, type, status, name, root) VALUES (?, ?, ?, ?, ?)"


def read_unlisted(
    filling: Filling, limit: int, unsealed: Unsealed, connection: sqlite3.Connection
) -> Sequence[Unlisted]:
    """Read actors whose facets are not known yet; see `Store.unlisted`."""
    rows = connection.execute(
        """
        SELECT key, type, id, CAST(record AS BLOB), coalesce(
            (SELECT at_us FROM log WHERE position = (SELECT max(position) FROM log WHERE log.key = actors.key)), 0
        ) FROM actors WHERE key > ? AND key <= ? ORDER BY key LIMIT ?
        """,
        (filling.listed_key, filling.unlisted_key, limit),
    ).fetchall()
    return [_unlisted(unsealed, *row) for row in rows]


def _unlisted(unsealed: Unsealed, key: int, type_: str, id_: str, record: Any, updated_us: int) -> Unlisted:
    try:
        sound = unseal_record(key, type_, id_, record, unsealed)
    except Damaged:
        sound = b""  # the type makes facets as far as it can
    return Unlisted(key, Address(type_, id_), Inspection(sound, None, None, updated_us))
