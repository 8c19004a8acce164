"""A batch of writes, ordered by row instead of by write, with the effects of resets and deletes.

The rule: of several changes of a row the last one wins, and entries of the log keep their order. A write that resets or
deletes an actor deletes its entries in the store, and its earlier entries in the batch; a write that deletes it adds no
rows.

`actors/store/sqlite/writing.py` and `actors/store/postgres/changes.py` sort with it; each makes the rows of actors
itself.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ..contract import Write
from .auditing import AuditValues, audit_values
from .items import ItemBatch, ItemRow

ReminderRow = tuple[int, int, str]  # due time, key, name
EntryRow = tuple[int, int, int, bytes]  # key, shard, time, entry; its position comes later


class Batch(NamedTuple):
    """The changes of a batch, apart from the rows of actors."""

    logs_forgotten: Sequence[int]  # keys of the actors whose entries in the store are deleted
    entries: Sequence[EntryRow]  # in order
    reminders_cleared: Sequence[ReminderRow]
    reminders_set: Sequence[tuple[int, int, str, int]]  # and the shard
    audit: Sequence[AuditValues]  # with checksums
    items_put: Sequence[ItemRow] = ()  # with checksums
    items_dropped: Sequence[tuple[int, bytes]] = ()  # keys and names


def sorted_batch(writes: Iterable[Write]) -> Batch:
    """Sort a batch of writes."""
    entries: list[EntryRow] = []
    reminders: dict[ReminderRow, int | None] = {}  # reminder -> its shard; None: cleared
    audit: list[AuditValues] = []
    items: ItemBatch | None = None
    forgotten: dict[int, int] = {}  # key -> how many entries of this batch came before
    for write in writes:
        key = write.key
        if write.reset or write.delete:
            forgotten[key] = len(entries)
        for name, due_us in write.reminders_cleared:
            reminders[due_us, key, name] = None
        if write.audit:
            audit += audit_values(write.at_us, write.address.id, write.audit)
        if write.delete:
            continue
        if write.entry is not None:
            entries.append((key, write.shard, write.at_us, write.entry))
        if write.items:
            items = items or ItemBatch()
            items.add(write)
        for name, due_us in write.reminders_set:
            reminders[due_us, key, name] = write.shard
    if forgotten:
        entries = [entry for i, entry in enumerate(entries) if i >= forgotten.get(entry[0], 0)]
    cleared = [row for row, shard in reminders.items() if shard is None]
    are_set = [(*row, shard) for row, shard in reminders.items() if shard is not None]
    if items is None:
        return Batch(list(forgotten), entries, cleared, are_set, audit)
    return Batch(list(forgotten), entries, cleared, are_set, audit, items.put(), items.dropped())
