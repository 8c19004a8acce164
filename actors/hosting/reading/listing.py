"""Lists, counts and the audit of a daemon: any host answers for all hosts.

The rule: lists need no activations and make none. Each host reads its own part of the store, and the host that has the
request merges the parts. A cursor has the hosts in the order of their numbers, so that any host can continue a list.

`Host.lists` returns the lists of a host.
"""

from collections.abc import Sequence
from itertools import chain
from typing import Any

from ...cluster.method import HostMethod
from ...cluster.peers import Peers
from ...store.audit import ORDER, AuditFilter, AuditPage
from ...store.contract import Store
from ...store.cursor import split
from ...store.listing import Counted, Grouped, ListFilter, ListPage, Order
from ...store.merging import Ordered, merged
from ...store.part import WHOLE, Part

IDS = HostMethod("ids", (str, str | None, int), Sequence[str])
LIST = HostMethod("list", (str, ListFilter, Order, Sequence[str | None], int), ListPage)
COUNT = HostMethod("count", (str, ListFilter, Sequence[str]), Counted)
AUDIT = HostMethod("audit", (AuditFilter, Sequence[str | None], int), AuditPage)
THIN_AUDIT = HostMethod("thin_audit", (int,), int)


class Lists:
    """Reads lists of all hosts.

    Args:
        peers: The other hosts of the daemon, if there are any. Hosts that share one store get no requests: the store
            has all actors.
    """

    def __init__(self, store: Store, peers: Peers | None) -> None:
        self._store = store
        self._part: Part = (peers.membership.part if peers is not None else None) or WHOLE
        self._peers = peers if self._part.of > 1 else None
        if self._peers is not None:
            self._peers.answer_async(IDS, self._own_ids)
            self._peers.answer_async(LIST, self._own_list)
            self._peers.answer_async(COUNT, self._own_count)
            self._peers.answer_async(AUDIT, self._own_audit)
            self._peers.answer_async(THIN_AUDIT, store.thin_audit)

    async def ids(self, actor_type: str, *, after: str | None, limit: int) -> Sequence[str]:
        """List ids of actors of a type, as a store does.

        Raises:
            HostUnreachable, HostLost, StoreError: As for `list`.
        """
        parts = await self._all(IDS, self._own_ids, actor_type, after, limit)
        return parts[0] if len(parts) == 1 else sorted(chain(*parts))[:limit]

    async def list(
        self, actor_type: str, wanted: ListFilter, *, order: Order, cursor: str | None, limit: int
    ) -> ListPage:
        """List actors of a type, as a store does.

        Raises:
            CursorInvalid: The cursor is not one of such a list.
            HostUnreachable, HostLost: A host is away, so its part cannot be read.
            StoreError: A host's part could not be read; `ListsUnfinished` while a part is being brought up to date.
        """
        if self._peers is None:
            return await self._store.list(actor_type, wanted, order=order, cursor=cursor, limit=limit)
        before = split(cursor, self._part.of)
        pages = await self._all(LIST, self._own_list, actor_type, wanted, order, before, limit)
        ordered = Ordered(order.value, numbers=order is not Order.ID, descending=order.descending)
        return ListPage(*merged(pages, before, ordered, limit=limit))

    async def count(self, actor_type: str, wanted: ListFilter, *, by: Sequence[str]) -> Counted:
        """Count actors of a type, as a store does. Each host counts up to its own limit.

        Raises:
            HostUnreachable, HostLost, StoreError: As for `list`.
        """
        counts = await self._all(COUNT, self._own_count, actor_type, wanted, tuple(by))
        totals: dict[tuple[str | bool, ...], int] = {}
        for counted in counts:
            for values, total in counted.groups:
                totals[values] = totals.get(values, 0) + total
        groups = [Grouped(values, total) for values, total in sorted(totals.items())]
        return Counted(groups, any(counted.more for counted in counts))

    async def audit(self, wanted: AuditFilter, *, cursor: str | None, limit: int) -> AuditPage:
        """List the audit, newest first, as a store does.

        Raises:
            CursorInvalid, HostUnreachable, HostLost, StoreError: As for `list`.
        """
        if self._peers is None:
            return await self._store.audit(wanted, cursor=cursor, limit=limit)
        before = split(cursor, self._part.of)
        pages = await self._all(AUDIT, self._own_audit, wanted, before, limit)
        return AuditPage(*merged(pages, before, Ordered(ORDER, numbers=True, descending=True), limit=limit))

    async def thin_audit(self, before_us: int) -> int:
        """Delete the audit of all hosts before a time (Unix time, microseconds), and return the number of rows.

        Raises:
            HostUnreachable, HostLost, StoreError: Some rows may have been deleted.
        """
        return sum(await self._all(THIN_AUDIT, self._store.thin_audit, before_us))

    # On each host.

    async def _own_ids(self, actor_type: str, after: str | None, limit: int) -> Sequence[str]:
        return await self._store.ids(actor_type, after=after, limit=limit)

    async def _own_list(
        self, actor_type: str, wanted: ListFilter, order: Order, cursors: Sequence[str | None], limit: int
    ) -> ListPage:
        cursor = cursors[self._part.index]
        if cursor is None:
            return ListPage((), None)
        return await self._store.list(actor_type, wanted, order=order, cursor=cursor or None, limit=limit)

    async def _own_count(self, actor_type: str, wanted: ListFilter, by: Sequence[str]) -> Counted:
        return await self._store.count(actor_type, wanted, by=by)

    async def _own_audit(self, wanted: AuditFilter, cursors: Sequence[str | None], limit: int) -> AuditPage:
        cursor = cursors[self._part.index]
        if cursor is None:
            return AuditPage((), None)
        return await self._store.audit(wanted, cursor=cursor or None, limit=limit)

    async def _all(self, method: HostMethod, own: Any, *arguments: Any) -> Sequence[Any]:
        """Call a method of every host, and return the answers in the order of the hosts."""
        if self._peers is None:
            return [await own(*arguments)]
        answers = await self._peers.ask_all(method, *arguments)
        answers.insert(self._part.index, await own(*arguments))
        return answers
