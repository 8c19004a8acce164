"""The audit in a store's SQLite file.

The rule: a row goes into the file with the commit that it tells of, and is never changed; rows that are too old go.
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


# So many rows go with one commit, so that no turn waits for long.
THINNED_AT_ONCE = 2_000


def thin_audit(before_us: int, connection: sqlite3.Connection) -> int:
    """Delete some of the rows that were written before that time, and return how many; see `Store.thin_audit`."""
    return connection.execute(
        "DELETE FROM audit WHERE number IN (SELECT number FROM audit WHERE at_us < ? ORDER BY at_us LIMIT ?)",
        (before_us, THINNED_AT_ONCE),
    ).rowcount
