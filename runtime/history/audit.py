"""Audit rows: who changed an instance, how, and why.

The rule: a row is written in the commit of the change that it records, once, and never changed. The store keeps the
rows in a table of their own, so they outlive their instance.

Turns write rows (`TurnSheet.audit`), for changes that a caller requested. Starts and events stand in the history, and
the engine's own changes (children of a recursive request, recovery) have no row.
"""

from enum import StrEnum
from typing import NamedTuple

import msgpack

from ...actors.store.audit import AuditRow
from .attribution import By
from .row import CorruptHistory

FORMAT = 1


class AuditAction(StrEnum):
    """The changes that are audited. The words reach the disk."""

    SUSPEND = "suspend"
    RESUME = "resume"
    TERMINATE = "terminate"
    PURGE = "purge"
    RERUN = "rerun"
    REPAIR = "repair"
    IMPORT = "import"
    BULK = "bulk"
    SET_ASIDE = "set-aside"
    RELEASE = "release"


class AuditEntry(NamedTuple):
    """One row of the audit. Fields are added at the end only."""

    id: str  # 32 hexadecimal digits; the event of a repair names it
    at_us: int  # Unix time, microseconds
    actor: str  # as in `By`
    door: str  # as in `By`
    action: str  # an AuditAction
    instance_id: str
    execution_id: str | None = None  # of the generation that was changed; None: it could not be read
    reason: str | None = None
    operation: str | None = None  # the bulk operation that the change belongs to
    source: str | None = None  # of a rerun: the instance that was run again
    detail: str | None = None  # of a repair: what was done, to which event


def audit_entry(
    by: By,
    action: AuditAction,
    *,
    id: str,  # noqa: A002  the field's name
    at_us: int,
    instance_id: str,
    execution_id: str | None,
    source: str | None = None,
    detail: str | None = None,
) -> AuditEntry:
    """Make the row of a change.

    Args:
        by: On whose behalf.
        at_us: Unix time, microseconds.
    """
    return AuditEntry(
        id,
        at_us,
        by.actor,
        by.door,
        action.value,
        instance_id,
        execution_id,
        by.reason,
        by.operation,
        source,
        detail,
    )


def row_of(entry: AuditEntry) -> AuditRow:
    """The row of the store that holds an entry."""
    return AuditRow(entry.action, entry.actor, pack_audit(entry))


def pack_audit(entry: AuditEntry) -> bytes:
    """The form in which an entry reaches the disk."""
    packed: bytes = msgpack.packb((FORMAT, *entry))
    return packed


def unpack_audit(packed: bytes) -> AuditEntry:
    """Read a row.

    Raises:
        CorruptHistory: This release cannot read it.
    """
    try:
        row_format, *fields = msgpack.unpackb(packed, use_list=False)
        if row_format != FORMAT:
            raise CorruptHistory(f"a row of the audit has format {row_format}; this release reads format {FORMAT}")
        return AuditEntry(*fields[: len(AuditEntry._fields)])
    except (ValueError, TypeError) as error:
        raise CorruptHistory(f"a row of the audit of {len(packed)} bytes cannot be read: {error!r}") from error
