"""Rows of items: their changes by a batch of writes, and their reading.

The rule: a row holds the name of an item as UTF-8, and the value with a checksum before it that covers the row's other
columns too.

`actors/store/sqlite/writing.py` and `reading.py` use it, and `actors/store/postgres/changes.py` and `reading.py`.
"""

from collections.abc import Iterable
from typing import Any

from ...address import Address
from ..contract import Expiring, FoundItems, Item, Write
from ..errors import StoreDamaged
from .checksums import Damaged, Unsealed, seal_item, unseal_item, unseal_record

ItemRow = tuple[int, bytes, int, int, bytes]  # key, name, version, expiry, value with its checksum


class ItemBatch:
    """The items of a batch of writes: of several changes of an item the last one wins."""

    def __init__(self) -> None:
        self._items: dict[tuple[int, bytes], Item | None] = {}

    def add(self, write: Write) -> None:
        """Add the items of a write."""
        for name, item in write.items:
            self._items[write.key, name.encode()] = item

    def put(self) -> list[ItemRow]:
        """The rows to write."""
        return [
            (*place, item.version, item.expires_us, seal_item(*place, item.version, item.expires_us, item.value))
            for place, item in self._items.items()
            if item is not None
        ]

    def dropped(self) -> list[tuple[int, bytes]]:
        """The keys and names of the rows to delete."""
        return [place for place, item in self._items.items() if item is None]


Owner = tuple[int, Any]  # an actor: its key, and its record as in the row


def found_items(address: Address, owner: Owner, rows: Iterable[tuple[Any, ...]], unsealed: Unsealed) -> FoundItems:
    """Make the answer from rows of an actor's items.

    Args:
        rows: Name, version, expiry and value of each item.

    Raises:
        StoreDamaged: The record is damaged.
    """
    found = FoundItems(_record(address, *owner, unsealed), {}, {})
    key = owner[0]
    for name, version, expires_us, value in rows:
        try:
            found.items[name.decode()] = Item(unseal_item(key, name, version, expires_us, value), version, expires_us)
        except Damaged as damage:
            found.damaged[name.decode()] = str(damage)
    return found


def found_expiring(address: Address, owner: Owner, rows: Iterable[tuple[Any, ...]], unsealed: Unsealed) -> FoundItems:
    """Make the answer from rows of an actor's items that expire.

    Args:
        rows: Expiry, name and version of each item, in order.

    Raises:
        StoreDamaged: The record is damaged.
    """
    expiring = [Expiring(expires_us, name.decode(), version) for expires_us, name, version in rows]
    return FoundItems(_record(address, *owner, unsealed), {}, {}, expiring)


def _record(address: Address, key: int, record: Any, unsealed: Unsealed) -> bytes:
    try:
        return unseal_record(key, *address, record, unsealed)
    except Damaged as damage:
        raise StoreDamaged(address, str(damage), key=key) from damage
