"""The audit in a store's SQLite file.

The rule: a row goes into the file with the commit that it tells of, with a checksum before its body, and is never
changed. `actors/store/sqlite/writing.py` writes with it, and `actors/store/sqlite/store.py` reads and thins.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any
from zlib import crc32

from ...audit import ORDER, Audited, AuditFilter, AuditPage, AuditRow
from ...cursor import Position, cursor_of
from ...listing import EXAMINED_MAX
from ..checksums import BEFORE, MARK, SEALED_BYTES
from ..rows import rows_of
from .reading import snapshot

AuditValues = tuple[int, str, str, str, bytes]
INSERT_AUDIT = "INSERT INTO audit (at_us, id, action, author, body) VALUES "


def audit_values(at_us: int, id_: str, rows: Iterable[AuditRow]) -> list[AuditValues]:
    """The rows of `audit` of a write, each with its checksum before its body."""
    return [
        (at_us, id_, action, author, BEFORE.pack(MARK, crc32(body, _place(at_us, id_, action, author))) + body)
        for action, author, body in rows
    ]


def unseal_audit(at_us: Any, id_: str, action: str, author: str, blob: Any) -> bytes | None:
    """Compare the checksum of a row's body, and return the body; None if it is not what was written."""
    if not isinstance(blob, bytes) or not isinstance(at_us, int) or len(blob) < SEALED_BYTES:
        return None
    mark, checksum = BEFORE.unpack_from(blob)
    body = blob[SEALED_BYTES:]
    return body if (mark, checksum) == (MARK, crc32(body, _place(at_us, id_, action, author))) else None


def _place(at_us: int, id_: str, action: str, author: str) -> int:
    return crc32(f"{at_us} {id_} {action} {author}".encode())


def read_audit(wanted: AuditFilter, behind: Position | None, limit: int, connection: sqlite3.Connection) -> AuditPage:
    """Read a page of the audit; see `Store.audit`."""
    range_, values = [], []
    for sql, value in (("id = ?", wanted.id), ("at_us >= ?", wanted.since_us), ("at_us < ?", wanted.until_us)):
        if value is not None:
            range_.append(sql)
            values.append(value)
    if behind is not None:
        range_.append("at_us <= ? AND (at_us < ? OR number < ?)")
        values += [behind.value, *behind.at]
    examined = (
        f"SELECT at_us, number, id, action, author FROM audit WHERE {' AND '.join(['1', *range_])}"  # noqa: S608
        " ORDER BY at_us DESC, number DESC LIMIT ?"
    )
    asked = [(sql, value) for sql, value in (("action = ?", wanted.action), ("author = ?", wanted.author))]
    asked = [(sql, value) for sql, value in asked if value is not None]
    with snapshot(connection):
        rows = connection.execute(
            f"SELECT number FROM ({examined}) WHERE {' AND '.join(['1', *(sql for sql, _ in asked)])} LIMIT ?",  # noqa: S608
            [*values, EXAMINED_MAX, *(value for _, value in asked), limit + 1],
        ).fetchall()
        last = []
        if len(rows) <= limit:
            sql = f"SELECT at_us, number FROM ({examined} OFFSET ?)"  # noqa: S608
            last = connection.execute(sql, [*values, 2, EXAMINED_MAX - 1]).fetchall()
        audited = _audited([number for (number,) in rows[:limit]], connection)
    if len(rows) > limit:
        return AuditPage(audited, cursor_of(audited[-1].position))
    return AuditPage(audited, cursor_of(Position(ORDER, *last[0])) if len(last) == 2 else None)


def _audited(numbers: Sequence[int], connection: sqlite3.Connection) -> Sequence[Audited]:
    found: dict[int, Audited] = {}
    for sql, values in rows_of(
        "SELECT number, at_us, id, action, author, body FROM audit WHERE number IN (VALUES ", 1, numbers, ")"
    ):
        for number, at_us, id_, action, author, blob in connection.execute(sql, values).fetchall():
            body = unseal_audit(at_us, id_, action, author, blob) or b""
            found[number] = Audited(at_us, id_, action, author, body, Position(ORDER, at_us, number))
    return [found[number] for number in numbers]


# So many rows go with one commit, so that no turn waits for long.
THINNED_AT_ONCE = 2_000


def thin_audit(before_us: int, connection: sqlite3.Connection) -> int:
    """Delete some of the rows that were written before that time, and return how many; see `Store.thin_audit`."""
    return connection.execute(
        "DELETE FROM audit WHERE number IN (SELECT number FROM audit WHERE at_us < ? ORDER BY at_us LIMIT ?)",
        (before_us, THINNED_AT_ONCE),
    ).rowcount
