"""A store that passes every call on to another, for stores in tests that change a few of the calls.

The rule: it adds nothing and keeps nothing.
"""

from collections.abc import Collection, Mapping, Sequence

from ..actors.address import Address
from ..actors.store.audit import AuditFilter, AuditPage
from ..actors.store.cluster import Cluster
from ..actors.store.contract import FoundItems, Inspection, Reminder, Store, Stored, Unlisted, Write
from ..actors.store.errors import StoreError
from ..actors.store.listing import Counted, Facets, ListFilter, ListPage, Order
from ..actors.store.presence.apps import AppNames


class PassingStore:
    """`inner`, unchanged.

    Args:
        inner: The store behind it.
    """

    def __init__(self, inner: Store) -> None:
        self.inner = inner

    @property
    def kind(self) -> str:
        return self.inner.kind

    @property
    def path(self) -> str | None:
        return self.inner.path

    @property
    def cluster(self) -> Cluster | None:
        return self.inner.cluster

    @property
    def shards(self) -> int:
        return self.inner.shards

    @property
    def intact(self) -> bool:
        return self.inner.intact

    @property
    def commits_elsewhere(self) -> bool:
        return self.inner.commits_elsewhere

    async def open(self) -> None:
        await self.inner.open()

    async def close(self) -> None:
        await self.inner.close()

    @property
    def rings_apart(self) -> bool:
        return self.inner.rings_apart

    async def enter_apps(self, asked: AppNames) -> Mapping[str, int]:
        return await self.inner.enter_apps(asked)

    async def claim(self, host: str, *, now_us: int) -> Mapping[int, int]:
        return await self.inner.claim(host, now_us=now_us)

    def new_key(self) -> int:
        return self.inner.new_key()

    async def commit(self, writes: Sequence[Write], fences: Mapping[int, int]) -> None:
        await self.inner.commit(writes, fences)

    async def load(self, addresses: Sequence[Address]) -> Sequence[Stored | StoreError | None]:
        return await self.inner.load(addresses)

    async def inspect(self, addresses: Sequence[Address]) -> Sequence[Inspection | StoreError | None]:
        return await self.inner.inspect(addresses)

    async def items(self, address: Address, names: Sequence[str] = (), *, expiring: int = 0) -> FoundItems | None:
        return await self.inner.items(address, names, expiring=expiring)

    async def ids(self, actor_type: str, *, after: str | None, limit: int) -> Sequence[str]:
        return await self.inner.ids(actor_type, after=after, limit=limit)

    async def active(self, shards: Collection[int] | None = None) -> Sequence[Address]:
        return await self.inner.active(shards)

    async def reminders(
        self,
        *,
        after: Reminder | None,
        limit: int,
        until: Reminder | None = None,
        shards: Collection[int] | None = None,
    ) -> Sequence[Reminder]:
        return await self.inner.reminders(after=after, limit=limit, until=until, shards=shards)

    async def list(
        self, actor_type: str, wanted: ListFilter, *, order: Order, cursor: str | None, limit: int
    ) -> ListPage:
        return await self.inner.list(actor_type, wanted, order=order, cursor=cursor, limit=limit)

    async def count(self, actor_type: str, wanted: ListFilter, *, by: Sequence[str]) -> Counted:
        return await self.inner.count(actor_type, wanted, by=by)

    async def audit(self, wanted: AuditFilter, *, cursor: str | None, limit: int) -> AuditPage:
        return await self.inner.audit(wanted, cursor=cursor, limit=limit)

    async def thin_audit(self, before_us: int) -> int:
        return await self.inner.thin_audit(before_us)

    async def unlisted(self, *, limit: int) -> Sequence[Unlisted]:
        return await self.inner.unlisted(limit=limit)

    async def enlist(self, found: Sequence[tuple[Unlisted, Facets | None]]) -> None:
        await self.inner.enlist(found)
