"""The audit in a store's SQLite file.

The rule: a row is written in the commit of the change that it describes, and never changed; rows that are too old are
deleted.
`actors/store/sqlite/writing.py` writes it, and `actors/store/sqlite/store.py` reads and thins.
"""

import sqlite3
from typing import Any

from ...audit import AuditFilter, AuditPage
from ...cursor import Position
from ...tables.auditing import AUDIT_COLUMNS, audit_page, find_audited
from ..rows import rows_of
from .reading import answer, snapshot

INSERT_AUDIT = "INSERT INTO audit (at_us, id, action, author, body) VALUES "


def read_audit(wanted: AuditFilter, behind: Position | None, limit: int, connection: sqlite3.Connection) -> AuditPage:
    """Read a page of the audit; see `Store.audit`."""
    select = f"SELECT {AUDIT_COLUMNS} FROM audit WHERE number IN (VALUES "  # noqa: S608  ours
    rows: list[Any] = []
    with snapshot(connection):
        found = answer(find_audited(wanted, behind, limit, sort=False), connection)
        for sql, values in rows_of(select, 1, found.numbers, ")"):
            rows += connection.execute(sql, values).fetchall()
    return audit_page(found, rows)


# The most rows that one commit deletes, so that no turn waits for long.
THINNED_AT_ONCE = 2_000


def thin_audit(before_us: int, connection: sqlite3.Connection) -> int:
    """Delete some of the rows that were written before a time, and return how many; see `Store.thin_audit`."""
    return connection.execute(
        "DELETE FROM audit WHERE number IN (SELECT number FROM audit WHERE at_us < ? ORDER BY at_us LIMIT ?)",
        (before_us, THINNED_AT_ONCE),
    ).rowcount
