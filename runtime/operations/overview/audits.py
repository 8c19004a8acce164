"""The audit as callers read it: each change of an instance, its author, time and reason, the newest first.

The rule: an entry is never changed; only its age takes it away.

`http/management/routes/overview.py` shows it. `runtime/history/audit.py` decides what each entry says.
"""

from collections.abc import Sequence
from typing import NamedTuple

from ....actors.hosting.host import Host
from ....actors.store.audit import Audited, AuditFilter
from ...history.audit import AuditEntry, unpack_audit
from ...history.row import CorruptHistory

ENTRIES_MAX = 500


class AuditEntries(NamedTuple):
    """A part of the audit."""

    entries: Sequence[AuditEntry]
    cursor: str | None  # opaque; None: this is the end


class Audits:
    """Reads the audit of all hosts."""

    def __init__(self, host: Host) -> None:
        self._host = host

    async def page(self, wanted: AuditFilter, *, cursor: str | None, limit: int) -> AuditEntries:
        """Read a page.

        Raises:
            CursorInvalid: The cursor is invalid.
            StoreError, HostUnreachable, HostLost, HostSilent: The store or a host did not answer.
        """
        page = await self._host.lists.audit(wanted, cursor=cursor, limit=limit)
        return AuditEntries([entry_of(row) for row in page.rows], page.cursor)


def entry_of(row: Audited) -> AuditEntry:
    """Read a row; if it cannot be read, return the parts that the store itself knows."""
    try:
        return unpack_audit(row.body)
    except CorruptHistory:
        return AuditEntry("", row.at_us, row.author, "", row.action, row.id)
