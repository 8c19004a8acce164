"""Rows of the audit: their checksums, and the questions of a page of them.

The rule: a row is written in the commit of the change that it describes, with a checksum before its body, and never
changed. A page examines at most `EXAMINED_MAX` rows, from the newest to the oldest.

`actors/store/tables/batch.py` seals; `actors/store/sqlite/lists/auditing.py` and
`actors/store/postgres/lists/reading.py` read pages.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple
from zlib import crc32

from ..audit import ORDER, Audited, AuditFilter, AuditPage, AuditRow
from ..cursor import Position, cursor_of
from ..listing import EXAMINED_MAX
from .asking import Asking, Question, Rows
from .checksums import BEFORE, MARK, SEALED_BYTES

AuditValues = tuple[int, str, str, str, bytes]


def audit_values(at_us: int, id_: str, rows: Iterable[AuditRow]) -> list[AuditValues]:
    """The rows of `audit` of a write, each with its checksum before its body."""
    return [
        (at_us, id_, action, author, BEFORE.pack(MARK, crc32(body, _place(at_us, id_, action, author))) + body)
        for action, author, body in rows
    ]


def unseal_audit(at_us: Any, id_: str, action: str, author: str, blob: Any) -> bytes | None:
    """Compare the checksum of a row's body, and return the body; None if it is damaged."""
    if not isinstance(blob, bytes) or not isinstance(at_us, int) or len(blob) < SEALED_BYTES:
        return None
    mark, checksum = BEFORE.unpack_from(blob)
    body = blob[SEALED_BYTES:]
    return body if (mark, checksum) == (MARK, crc32(body, _place(at_us, id_, action, author))) else None


def _place(at_us: int, id_: str, action: str, author: str) -> int:
    return crc32(f"{at_us} {id_} {action} {author}".encode())


def faults_of_audit(changed: Sequence[int]) -> list[str]:
    """Describe damaged rows of the audit, given by their numbers."""
    if not changed:
        return []
    return [f"{len(changed)} rows of the audit do not match their checksums; the first is row {changed[0]}"]


class AuditFound(NamedTuple):
    """The rows of a page of the audit, newest first."""

    numbers: Sequence[int]
    full: bool  # more rows follow after the last one
    examined_to: tuple[int, int] | None  # if the page is not full: more rows may follow after this time and number


NEWEST_FIRST = " ORDER BY at_us DESC, number DESC"


def find_audited(wanted: AuditFilter, behind: Position | None, limit: int, *, sort: bool) -> Asking[AuditFound]:
    """Find the rows of a page of the audit; see `Store.audit`.

    Args:
        sort: Whether the rows of a subquery must be sorted again. PostgreSQL promises no order otherwise; SQLite keeps
            their order, and would read all of them to sort.
    """
    given = (("id = ?", wanted.id), ("at_us >= ?", wanted.since_us), ("at_us < ?", wanted.until_us))
    range_, values = _asked(given)
    if behind is not None:
        range_.append("at_us <= ? AND (at_us < ? OR number < ?)")
        values += [behind.value, *behind.at]
    left, left_values = _asked((("action = ?", wanted.action), ("author = ?", wanted.author)))
    # Values are bound.
    examined = f"SELECT at_us, number, id, action, author FROM audit WHERE {' AND '.join(range_)}{NEWEST_FIRST} LIMIT ?"  # noqa: S608
    page = f"SELECT number FROM ({examined}) AS d WHERE {' AND '.join(left)}{NEWEST_FIRST if sort else ''} LIMIT ?"  # noqa: S608
    rows = yield Question(page, [*values, EXAMINED_MAX, *left_values, limit + 1])
    numbers = [row[0] for row in rows]
    if len(numbers) > limit:
        return AuditFound(numbers[:limit], full=True, examined_to=None)
    last = yield Question(f"{examined} OFFSET ?", [*values, 2, EXAMINED_MAX - 1])
    return AuditFound(numbers, full=False, examined_to=(last[0][0], last[0][1]) if len(last) == 2 else None)


def _asked(conditions: Iterable[tuple[str, Any]]) -> tuple[list[str], list[Any]]:
    """The conditions that have a value, and their values."""
    given = [(sql, value) for sql, value in conditions if value is not None]
    return ["true", *(sql for sql, _ in given)], [value for _, value in given]


AUDIT_COLUMNS = "number, at_us, id, action, author, body"


def audit_page(found: AuditFound, rows: Rows) -> AuditPage:
    """Make a page from its rows.

    Args:
        rows: `AUDIT_COLUMNS` of its rows, in any order. Without a snapshot, a row may have been deleted meanwhile.
    """
    audited: dict[int, Audited] = {}
    for number, at_us, id_, action, author, blob in rows:
        body = unseal_audit(at_us, id_, action, author, blob) or b""
        audited[number] = Audited(at_us, id_, action, author, body, Position(ORDER, at_us, number))
    page = [audited[number] for number in found.numbers if number in audited]
    if found.full:
        return AuditPage(page, cursor_of(page[-1].position))
    return AuditPage(page, cursor_of(Position(ORDER, *found.examined_to)) if found.examined_to is not None else None)
