"""A store in memory, for tests and for trying the engine. It ends with the process.

The rule: it keeps every promise of the contract except those about crashes. Its code is
as plain as possible, because other stores are compared with it.

The engine (`runtime/engine.py`, for `:memory:`) and tests use it.
"""

from bisect import bisect_left, bisect_right, insort
from collections import ChainMap
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import count

import anyio

from ..address import Address
from .audit import ORDER, Audited, AuditFilter, AuditPage, AuditRow, matches_row
from .cluster import Cluster
from .contract import Expiring, FoundItems, Inspection, Item, Reminder, Stored, Unlisted, Write
from .cursor import Position, cursor_of, position_of
from .errors import StoreFailed, StoreFenced, StoreLocked
from .listing import (
    COUNTED_MAX,
    Counted,
    Facets,
    Listed,
    ListFilter,
    ListPage,
    Order,
    asks_kinds_only,
    grouped,
    matches,
    place,
)
from .part import WHOLE, Part, check_parts
from .presence.apps import AppNames, shard_in, with_apps


class MemoryStore:
    """Actors in plain dictionaries, on any of anyio's backends.

    Its contents outlive `close()`, so that a test can restart a host on it, and
    can be read while it is closed, so that a test can see the rows that a host left.
    Each method lets other tasks run once, as they would during a call of a real store,
    and then does all its work without a break.

    Args:
        shards: How many shards the whole store has.
        part: The part of the store that this is.
    """

    kind = "memory"
    path = None
    cluster: Cluster | None = None
    commits_elsewhere = False
    intact = True
    rings_apart = False

    def __init__(self, *, shards: int = 64, part: Part = WHOLE) -> None:
        check_parts(part.of, shards=shards)
        self._apps: dict[str, int] = {}
        self._shards = shards
        self._epochs = dict.fromkeys(filter(part.holds, range(shards)), 0)
        self._new_keys = count(1)
        self._keys: dict[Address, int] = {}
        self._records: dict[int, tuple[Address, bytes]] = {}
        self._logs: dict[int, list[tuple[int, bytes]]] = {}  # (at_us, entry), oldest first
        self._active: set[int] = set()
        self._reminders: list[tuple[int, int, str]] = []  # (due_us, key, name), in order
        self._facets: dict[int, Facets] = {}
        self._items: dict[int, dict[str, Item]] = {}  # by key, then by name
        self._audit: list[tuple[int, int, str, AuditRow]] = []  # (at_us, number, id, row), in order
        self._audit_numbers = count(1)
        self._is_open = False

    @property
    def shards(self) -> int:
        return self._shards

    async def open(self) -> None:
        await anyio.lowlevel.checkpoint()
        if self._is_open:
            raise StoreLocked("this store in memory")
        self._is_open = True

    async def close(self) -> None:
        # Closed before the checkpoint, so that a caller that is cancelled there does not leave the store open.
        self._is_open = False
        await anyio.lowlevel.checkpoint()

    def abandon(self) -> None:
        """Treat the store as closed: the process that had it open has ended without closing it."""
        self._is_open = False

    async def enter_apps(self, asked: AppNames) -> Mapping[str, int]:
        await self._writing()
        apps = with_apps(self._apps, asked, alone=not self.rings_apart)
        self._apps.clear()
        self._apps.update(apps)
        return dict(apps)

    async def claim(self, host: str, *, now_us: int) -> Mapping[int, int]:
        await self._writing()
        self._epochs = {shard: epoch + 1 for shard, epoch in self._epochs.items()}
        return dict(self._epochs)

    def new_key(self) -> int:
        return next(self._new_keys)

    async def commit(self, writes: Sequence[Write], fences: Mapping[int, int]) -> None:
        assert fences.keys() >= {write.shard for write in writes}, "a shard without its epoch"
        await self._writing()
        for shard, epoch in fences.items():
            if self._epochs.get(shard) != epoch:
                raise StoreFenced(shard, expected=epoch, found=self._epochs.get(shard))
        self._check(writes)
        for write in writes:
            self._apply(write)

    async def load(self, addresses: Sequence[Address]) -> Sequence[Stored | None]:
        await anyio.lowlevel.checkpoint()
        return [self._stored(address) for address in addresses]

    async def inspect(self, addresses: Sequence[Address]) -> Sequence[Inspection | None]:
        await anyio.lowlevel.checkpoint()
        return [self._inspection(address) for address in addresses]

    async def items(self, address: Address, names: Sequence[str] = (), *, expiring: int = 0) -> FoundItems | None:
        await anyio.lowlevel.checkpoint()
        key = self._keys.get(address)
        if key is None:
            return None
        there = self._items.get(key, {})
        found = {name: there[name] for name in names if name in there}
        later = sorted(Expiring(item.expires_us, name, item.version) for name, item in there.items() if item.expires_us)
        return FoundItems(self._records[key][1], found, {}, later[:expiring] if expiring else ())

    async def ids(self, actor_type: str, *, after: str | None, limit: int) -> Sequence[str]:
        await anyio.lowlevel.checkpoint()
        ids = sorted(address.id for address in self._keys if address.type == actor_type)
        return [each for each in ids if after is None or each > after][:limit]

    async def active(self, shards: Collection[int] | None = None) -> Sequence[Address]:
        await anyio.lowlevel.checkpoint()
        marked = [self._records[key][0] for key in sorted(self._active)]
        return [address for address in marked if self._is_in(address, shards)]

    async def reminders(
        self,
        *,
        after: Reminder | None,
        limit: int,
        until: Reminder | None = None,
        shards: Collection[int] | None = None,
    ) -> Sequence[Reminder]:
        await anyio.lowlevel.checkpoint()
        begin = 0 if after is None else bisect_right(self._reminders, after[:3])
        found: list[Reminder] = []
        for due_us, key, name in self._reminders[begin:]:
            if len(found) == limit or (until is not None and (due_us, key, name) > until[:3]):
                break
            if key in self._records and self._is_in(address := self._records[key][0], shards):
                found.append(Reminder(due_us, key, name, address))
        return found

    async def list(
        self, actor_type: str, wanted: ListFilter, *, order: Order, cursor: str | None, limit: int
    ) -> ListPage:
        await anyio.lowlevel.checkpoint()
        behind = None if cursor is None else position_of(cursor, order.value, numbers=order is not Order.ID)
        found = [
            Listed(id_, facets, self._records[key][1], place(order, key, id_, facets))
            for key, id_, facets in self._matching(actor_type, wanted)
        ]
        found.sort(key=lambda listed: listed.position.at, reverse=order.descending)
        if behind is not None:
            found = [listed for listed in found if _is_behind(listed.position, behind, descending=order.descending)]
        return ListPage(found[:limit], cursor_of(found[limit - 1].position) if len(found) > limit else None)

    async def count(self, actor_type: str, wanted: ListFilter, *, by: Sequence[str]) -> Counted:
        await anyio.lowlevel.checkpoint()
        found = [facets for _, _, facets in self._matching(actor_type, wanted)]
        more = len(found) > COUNTED_MAX and not asks_kinds_only(wanted)
        kinds = [(facets.status, facets.name, facets.parent is None, 1) for facets in found]
        return grouped(kinds[:COUNTED_MAX] if more else kinds, by, more=more)

    async def audit(self, wanted: AuditFilter, *, cursor: str | None, limit: int) -> AuditPage:
        await anyio.lowlevel.checkpoint()
        behind = None if cursor is None else position_of(cursor, ORDER)
        rows = [
            Audited(at_us, id_, *row, Position(ORDER, at_us, number))
            for at_us, number, id_, row in reversed(self._audit)
            if matches_row(wanted, at_us, id_, row)
        ]
        if behind is not None:
            rows = [row for row in rows if _is_behind(row.position, behind, descending=True)]
        return AuditPage(rows[:limit], cursor_of(rows[limit - 1].position) if len(rows) > limit else None)

    async def thin_audit(self, before_us: int) -> int:
        await self._writing()
        gone = bisect_left(self._audit, (before_us,))
        del self._audit[:gone]
        return gone

    async def unlisted(self, *, limit: int) -> Sequence[Unlisted]:
        await anyio.lowlevel.checkpoint()
        return ()

    async def enlist(self, found: Sequence[tuple[Unlisted, Facets | None]]) -> None:
        await self._writing()
        assert not found, "no release has left actors without facets in memory"

    def _matching(self, actor_type: str, wanted: ListFilter) -> Iterator[tuple[int, str, Facets]]:
        for key, facets in self._facets.items():
            address, _ = self._records[key]
            log = self._logs.get(key)
            idle_since_us = (log[-1][0] if log else 0) if key in self._active else None
            if address.type == actor_type and matches(wanted, address.id, facets, idle_since_us=idle_since_us):
                yield key, address.id, facets

    def _is_in(self, address: Address, shards: Collection[int] | None) -> bool:
        if shards is None:
            return True
        return shard_in(address, self._apps, shards=self._shards, apart=self.rings_apart) in shards

    async def _writing(self) -> None:
        if not self._is_open:
            raise StoreFailed("this store in memory is not open")
        await anyio.lowlevel.checkpoint()

    def _check(self, writes: Sequence[Write]) -> None:
        """Check that all writes of a batch can be applied, before the first is applied."""
        owners: ChainMap[Address, int | None] = ChainMap({}, {**self._keys})
        for write in writes:
            owner = owners.get(write.address)
            if write.delete:
                if owner == write.key:
                    owners[write.address] = None
            elif write.record is not None:
                if owner not in (None, write.key):
                    raise StoreFailed(f"{write.address} is there already, under another key")
                owners[write.address] = write.key
            elif (
                write.entry is not None
                or write.active
                or write.reminders_set
                or write.facets is not None
                or write.items
            ):
                assert owner == write.key, f"the first write of {write.address} has no record"

    def _apply(self, write: Write) -> None:
        key = write.key
        if write.reset or write.delete:
            self._logs.pop(key, None)
        for name, due_us in write.reminders_cleared:
            self._clear_reminder((due_us, key, name))
        for row in write.audit:
            insort(self._audit, (write.at_us, next(self._audit_numbers), write.address.id, row))
        if write.delete:
            self._delete(key)
            return
        if write.record is not None:
            self._keys[write.address] = key
            self._records[key] = (write.address, write.record)
        if write.facets is not None:
            self._facets[key] = write.facets
        if write.entry is not None:
            self._logs.setdefault(key, []).append((write.at_us, write.entry))
        if write.active is not None:
            (self._active.add if write.active else self._active.discard)(key)
        for name, item in write.items:
            there = self._items.setdefault(key, {})
            if item is not None:
                there[name] = item
            else:
                there.pop(name, None)
        for name, due_us in write.reminders_set:
            self._clear_reminder((due_us, key, name))
            insort(self._reminders, (due_us, key, name))

    def _delete(self, key: int) -> None:
        self._active.discard(key)
        self._facets.pop(key, None)
        if key in self._records:
            address, _ = self._records.pop(key)
            del self._keys[address]

    def _clear_reminder(self, reminder: tuple[int, int, str]) -> None:
        position = bisect_left(self._reminders, reminder)
        if self._reminders[position : position + 1] == [reminder]:
            del self._reminders[position]

    def _stored(self, address: Address) -> Stored | None:
        key = self._keys.get(address)
        if key is None:
            return None
        entries = tuple(entry for _, entry in self._logs.get(key, ()))
        return Stored(
            key=key,
            record=self._records[key][1],
            entries=entries,
            active=key in self._active,
            facets=self._facets.get(key),
        )

    def _inspection(self, address: Address) -> Inspection | None:
        key = self._keys.get(address)
        if key is None:
            return None
        record, facets = self._records[key][1], self._facets.get(key)
        log = self._logs.get(key)
        if not log:
            return Inspection(record=record, first=None, last=None, updated_us=0, facets=facets)
        return Inspection(record=record, first=log[0][1], last=log[-1][1], updated_us=log[-1][0], facets=facets)


def _is_behind(position: Position, other: Position, *, descending: bool) -> bool:
    return position.at < other.at if descending else position.at > other.at
