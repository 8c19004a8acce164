"""The audit of a store: the author, the actor and the time of each recorded change.

The rule: a row is written in the commit of the change that it describes, and never changed. A store knows the fields
by which rows are searched; the rest of a row is bytes, which only the actor's type can read.

`actors/store/contract.py` has the methods; the rows come from turns (`Turn.audit` in `actors/turn.py`).
"""

from collections.abc import Sequence
from typing import NamedTuple

from .cursor import Position

ORDER = "-audit"  # the order in its cursors


class AuditRow(NamedTuple):
    """A row as a turn makes it. It is about the actor that takes the turn."""

    action: str
    author: str
    body: bytes


class Audited(NamedTuple):
    """A row as the store returns it."""

    at_us: int  # when the turn ran; Unix time, microseconds
    id: str  # of the actor that was changed
    action: str
    author: str
    body: bytes  # empty if it is damaged
    position: Position


class AuditFilter(NamedTuple):
    """The conditions for rows of the audit to be listed. All must hold."""

    id: str | None = None
    author: str | None = None
    action: str | None = None
    since_us: int | None = None  # included
    until_us: int | None = None  # excluded


class AuditPage(NamedTuple):
    """A part of the audit, newest first."""

    rows: Sequence[Audited]  # may be fewer than the limit, or none, although more follow
    cursor: str | None  # None: this is the end


def matches_row(wanted: AuditFilter, at_us: int, id_: str, row: AuditRow) -> bool:
    """Whether a row matches a filter."""
    return (
        (wanted.id is None or wanted.id == id_)
        and (wanted.author is None or wanted.author == row.author)
        and (wanted.action is None or wanted.action == row.action)
        and (wanted.since_us is None or at_us >= wanted.since_us)
        and (wanted.until_us is None or at_us < wanted.until_us)
    )
