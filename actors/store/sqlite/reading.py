"""Reading from a store's SQLite file.

The rule: a read that takes several statements sees one snapshot. All functions
run on the reader's thread; `actors/store/sqlite/store.py` sends them there.
"""

import sqlite3
from collections.abc import Sequence
from typing import Any

from ...address import Address
from ..contract import Inspection, Reminder, Stored
from .rows import flat, rows_of


def read_actors(addresses: Sequence[Address], connection: sqlite3.Connection) -> list[Stored | None]:
    """Read actors whole; see `Store.load`."""
    connection.execute("BEGIN")  # one snapshot for all that follows
    with connection:
        actors: list[tuple[str, str, int, bytes, int]] = asked(
            connection,
            addresses,
            """
            SELECT type, id, key, record, EXISTS (SELECT 1 FROM active WHERE active.key = actors.key)
            FROM asked CROSS JOIN actors USING (type, id)
            """,
        )
        logs: dict[int, list[bytes]] = {key: [] for _, _, key, _, _ in actors}
        for sql, keys in rows_of(
            "SELECT key, entry FROM log WHERE key IN (VALUES ", 1, list(logs), ") ORDER BY key, position"
        ):
            for key, entry in connection.execute(sql, keys).fetchall():
                logs[key].append(entry)
    found = {
        (type_, id_): Stored(key=key, record=record, entries=tuple(logs[key]), active=bool(active))
        for type_, id_, key, record, active in actors
    }
    return [found.get(address) for address in addresses]


def read_outsides(addresses: Sequence[Address], connection: sqlite3.Connection) -> list[Inspection | None]:
    """Read the outside of actors; see `Store.inspect`."""
    connection.execute("BEGIN")
    with connection:
        rows: list[tuple[str, str, bytes, bytes | None, bytes | None, int | None]] = asked(
            connection,
            addresses,
            """
            SELECT type, id, record, first.entry, last.entry, last.at_us
            FROM asked CROSS JOIN actors USING (type, id)
            LEFT JOIN log AS first ON first.position = (SELECT min(position) FROM log WHERE log.key = actors.key)
            LEFT JOIN log AS last ON last.position = (SELECT max(position) FROM log WHERE log.key = actors.key)
            """,
        )
    found = {
        (type_, id_): Inspection(record=record, first=first, last=last, updated_us=at_us or 0)
        for type_, id_, record, first, last, at_us in rows
    }
    return [found.get(address) for address in addresses]


def read_ids(actor_type: str, after: str | None, limit: int, connection: sqlite3.Connection) -> list[str]:
    """List ids of a type; see `Store.ids`."""
    # SQLite compares text as UTF-8, which is the order of code points.
    rows = connection.execute(
        "SELECT id FROM actors WHERE type = ? AND id > ? ORDER BY id LIMIT ?"
        if after is not None
        else "SELECT id FROM actors WHERE type = ? AND ? IS NULL ORDER BY id LIMIT ?",
        (actor_type, after, limit),
    )
    return [row[0] for row in rows.fetchall()]


def read_active(connection: sqlite3.Connection) -> list[Address]:
    """List the actors that have the active mark; see `Store.active`."""
    rows = connection.execute("SELECT type, id FROM active CROSS JOIN actors USING (key) ORDER BY active.key")
    return [Address(*row) for row in rows.fetchall()]


def read_reminders(after: Reminder | None, limit: int, connection: sqlite3.Connection) -> list[Reminder]:
    """Read the next reminders; see `Store.reminders`."""
    # CROSS JOIN: in this order, reminders first, or SQLite might sort them all.
    rows = connection.execute(
        """
        SELECT due_us, key, name, type, id FROM reminders CROSS JOIN actors USING (key)
        WHERE (due_us, key, name) > (?, ?, ?) ORDER BY due_us, key, name LIMIT ?
        """,
        (*(after[:3] if after is not None else (-(2**63), 0, "")), limit),
    )
    return [Reminder(due_us, key, name, Address(type_, id_)) for due_us, key, name, type_, id_ in rows.fetchall()]


def asked(connection: sqlite3.Connection, addresses: Sequence[Address], select: str) -> list[Any]:
    """Run `select` with the addresses as a table `asked (type, id)`."""
    rows: list[Any] = []
    for sql, values in rows_of("WITH asked (type, id) AS (VALUES ", 2, flat(addresses), f") {select}"):
        rows += connection.execute(sql, values).fetchall()
    return rows
