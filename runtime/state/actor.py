"""The actor of a state store: it decides which changes are made, and in which order.

The rule: it never reads. Its values are items of the store (`actors/store/contract.py`). A caller whose change
depends on a value names the version of the value that it has read, and the version of the state store at that time. The
actor remembers the latest writes; if it cannot tell from them whether the value has changed since, the caller reads
again. So a change costs no lasting memory, with any number of keys.

`state.py` sends it changes, and `expiry.py` sends it the items that have expired. docs/design/state.md has the reasons.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import msgpack

from ...actors.address import Address
from ...actors.store.audit import AuditRow
from ...actors.store.contract import Inspection, Item, Stored
from ...actors.store.listing import Facets
from ...actors.turn import Envelope, ReminderDue, Turn
from ..directory import AppAddresses
from ..history.row import CorruptHistory
from .message import BeginExpiry, ChangeItems, ExpireItems, ItemChange, ItemsChanged, SeenItem

EXPIRY = "expiry"  # the name of the reminder
RECENT_MAX = 4096  # items that an actor remembers to have written
ROUND_US = 5_000_000  # expiries this close share a reminder
FORMAT = 1


class StateRecord(NamedTuple):
    """The record of a state store, beside its items."""

    version: int = 0  # grows by one with each change; that of an item is the one by which it was saved
    due_us: int = 0  # the reminder; 0: none

    def pack(self) -> bytes:
        """The record as bytes."""
        packed: bytes = msgpack.packb((FORMAT, *self))
        return packed


def unpack_state(record: bytes) -> StateRecord:
    """Read a record.

    Raises:
        CorruptHistory: It is not a record of this release.
    """
    try:
        format_, version, due_us = msgpack.unpackb(record)
        if format_ == FORMAT and isinstance(version, int) and isinstance(due_us, int):
            return StateRecord(version, due_us)
    except (ValueError, TypeError, msgpack.UnpackException):
        pass
    raise CorruptHistory("the record of a state store cannot be read")


class StateActorType:
    """Makes the actors of state stores.

    Args:
        own: The addresses of the app whose values they have.
    """

    def __init__(self, own: AppAddresses) -> None:
        self._own = own
        self.in_memory = 0  # how many actors there are now

    def purges(self, body: Any) -> bool:
        """None of its messages purges an actor: it has values that exist nowhere else."""
        return False

    def facets(self, outside: Inspection) -> Facets | None:
        """State stores are in no list."""
        return None

    def purge_audit(self, address: Address, body: Any, now_us: int) -> Sequence[AuditRow]:
        return ()

    def activate(self, address: Address, stored: Stored | None) -> "StateActor":
        """Build the actor of a store."""
        record = unpack_state(stored.record) if stored is not None else StateRecord()
        self.in_memory += 1
        return StateActor(address.id, record, expiry=self._own.state_expiry, closed=self._closed)

    def _closed(self) -> None:
        self.in_memory -= 1


class StateActor:
    """A state store.

    Args:
        store: Its name.
        record: As stored.
        expiry: The type of the address of the route that forgets expired values.
        closed: Called when it leaves memory.
    """

    was_stalled = False
    log_fields: Mapping[str, Any] = MappingProxyType({})

    def __init__(self, store: str, record: StateRecord, *, expiry: str, closed: Callable[[], None]) -> None:
        self._store = store
        self._expiry = expiry
        self._record = record
        self._closed = closed
        self._recent = RecentItems(record.version)

    def turn(self, envelopes: Sequence[Envelope], now_us: int) -> Turn:
        """Take the messages one by one, each on the outcome of the ones before it."""
        turn, before = Turn(items=[]), self._record
        for envelope in envelopes:
            answer = self._receive(envelope.body, turn, now_us)
            if envelope.reply is not None:
                turn.replies.append((envelope.reply, answer))
        if self._record != before:
            turn.record = self._record.pack()
        return turn

    def close(self) -> None:
        """Leave memory."""
        self._closed()

    def _receive(self, body: Any, turn: Turn, now_us: int) -> ItemsChanged | None:
        if isinstance(body, ChangeItems):
            return self._change(body, turn, now_us)
        if isinstance(body, ExpireItems):
            return self._expire(body, turn)
        if isinstance(body, ReminderDue):
            self._remind(body, turn)
        return None

    # Changes.

    def _change(self, asked: ChangeItems, turn: Turn, now_us: int) -> ItemsChanged:
        there: dict[str, SeenItem] = {}
        for change in asked.changes:
            if change.conditional and change.name not in there:
                item = self._recent.now(change.name, asked.seen.get(change.name), asked.seen_at)
                if item is None:
                    return ItemsChanged(stale=True, refused=[])
                there[change.name] = item
        if asked.whole:
            # As in Dapr's stores, all conditions refer to the values before the transaction.
            for position, change in enumerate(asked.changes):
                if change.conditional and (why := refusal(change, there[change.name], now_us)) is not None:
                    return ItemsChanged(stale=False, refused=[(position, why)])
        refused: list[tuple[int, str]] = []
        for position, change in enumerate(asked.changes):
            if not asked.whole and change.conditional:
                why = refusal(change, self._recent.get(change.name) or there[change.name], now_us)
                if why is not None:
                    refused.append((position, why))
                    continue
            self._apply(change, turn, now_us)
        return ItemsChanged(stale=False, refused=refused)

    def _apply(self, change: ItemChange, turn: Turn, now_us: int) -> None:
        version = self._next_version()
        if change.value is None:
            self._put(change.name, None, turn)
            return
        expires_us = now_us + change.ttl_us if change.ttl_us else 0
        self._put(change.name, Item(change.value, version, expires_us), turn)
        if expires_us:
            self._remind_at(expires_us, turn)

    def _put(self, name: str, item: Item | None, turn: Turn) -> None:
        assert isinstance(turn.items, list)
        turn.items.append((name, item))
        seen = SeenItem(item.version, item.expires_us) if item is not None else SeenItem(0, 0)
        self._recent.put(name, seen, self._record.version)

    def _next_version(self) -> int:
        self._record = self._record._replace(version=self._record.version + 1)
        return self._record.version

    # Expiry.

    def _expire(self, asked: ExpireItems, turn: Turn) -> ItemsChanged:
        if asked.seen_at < self._recent.floor:
            return ItemsChanged(stale=True, refused=[])
        for name, version in asked.items:
            there = self._recent.get(name)
            if there is None or there.version == version:
                self._next_version()
                self._put(name, None, turn)
        if asked.next_us >= 0:
            later = self._recent.expiries_since(asked.seen_at)
            soonest = min(filter(None, (asked.next_us, *later)), default=0)
            self._set_due(_rounded(soonest), turn)
        return ItemsChanged(stale=False, refused=[])

    def _remind(self, reminder: ReminderDue, turn: Turn) -> None:
        if reminder.due_us != self._record.due_us:
            turn.reminders_cleared.append((reminder.name, reminder.due_us))
            return
        # The reminder is cleared together with its expiry, so that it fires again after a crash.
        turn.messages.append((Address(self._expiry, self._store), BeginExpiry()))

    def _remind_at(self, expires_us: int, turn: Turn) -> None:
        due_us = _rounded(expires_us)
        if not self._record.due_us or due_us < self._record.due_us:
            self._set_due(due_us, turn)

    def _set_due(self, due_us: int, turn: Turn) -> None:
        if due_us == self._record.due_us:
            return
        if self._record.due_us:
            turn.reminders_cleared.append((EXPIRY, self._record.due_us))
        if due_us:
            turn.reminders_set.append((EXPIRY, due_us))
        self._record = self._record._replace(due_us=due_us)


class RecentItems:
    """The latest writes of an actor: the version and the expiry of each item, and when.

    Args:
        floor: The version of the store up to which nothing is known.
    """

    def __init__(self, floor: int) -> None:
        self.floor = floor
        self._items: OrderedDict[str, tuple[SeenItem, int]] = OrderedDict()  # with the version of the store, rising

    def get(self, name: str) -> SeenItem | None:
        """An item as it was last written; None if that is unknown."""
        known = self._items.get(name)
        return known[0] if known is not None else None

    def now(self, name: str, seen: SeenItem | None, seen_at: int) -> SeenItem | None:
        """The present version of an item; None if it cannot be determined.

        Args:
            seen: The version that the caller has read, if it has read the item.
            seen_at: The version of the state store at that read.
        """
        known = self.get(name)
        return known if known is not None else seen if seen_at >= self.floor else None

    def put(self, name: str, item: SeenItem, at: int) -> None:
        """Note a write. The oldest note makes room if there are too many.

        Args:
            name: Of the item.
            item: Its version and expiry after the write.
            at: The version of the store's record with the write.
        """
        self._items.pop(name, None)
        self._items[name] = item, at
        if len(self._items) > RECENT_MAX:
            _, (_, self.floor) = self._items.popitem(last=False)

    def expiries_since(self, version: int) -> list[int]:
        """When the items expire that were written since the store had this version."""
        return [item.expires_us for item, at in self._items.values() if at > version]


def refusal(change: ItemChange, there: SeenItem, now_us: int) -> str | None:
    """Why a change cannot be made, in Dapr's words; None if it can.

    Args:
        there: The present item.
        now_us: Unix time, microseconds.

    Source: components-contrib `state/in-memory/in_memory.go`.
    """
    exists = bool(there.version) and not is_over(there.expires_us, now_us)
    if not change.etag:
        return "item already exists and no etag was passed" if exists else None
    if not exists:
        return f"state not exist or expired for key={change.name}"
    if change.etag != str(there.version):
        return f"state etag not match for key={change.name}: current={there.version}, expect={change.etag}"
    return None


def is_over(expires_us: int, now_us: int) -> bool:
    """Whether an item has expired."""
    return 0 < expires_us <= now_us


def _rounded(due_us: int) -> int:
    """The next time at or after `due_us` at which a reminder may fire."""
    return -(-due_us // ROUND_US) * ROUND_US
