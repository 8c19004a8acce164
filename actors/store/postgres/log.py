"""Positions in the log: `epoch of the shard << 40 | a number that the owner of the shard counts`.

The rule: a position is known before the commit that writes it, so that a commit can be looked up by the position of an
entry. Positions of an actor only grow, over all its owners: each owner has a higher epoch than the one before.

`actors/store/postgres/store.py` counts, and takes the entries from a batch.
"""

from collections.abc import Iterable, Mapping

from ..tables.batch import EntryRow
from ..tables.checksums import seal_entry

EPOCH_SHIFT = 40

LogRow = tuple[int, int, int, bytes]  # key, position, at_us, the entry with its checksum


def placed(entries: Iterable[EntryRow], number: int, epochs: Mapping[int, int]) -> list[LogRow]:
    """The rows of entries.

    Args:
        number: The number of the first entry; the others follow it.
        epochs: Shard -> epoch.
    """
    rows: list[LogRow] = []
    for number_, (key, shard, at_us, entry) in enumerate(entries, start=number):
        position = epochs[shard] << EPOCH_SHIFT | number_
        rows.append((key, position, at_us, seal_entry(key, position, at_us, entry)))
    return rows
