"""The last entries of actors, and the last items, that a host has acknowledged, so that it can report which of them
are missing on a server that took over.

The rule: it is for a report, and no decision depends on it. It has only the newest entries and items, under an epoch
that the host still has: later changes of another owner are not this host's to report.

`actors/store/postgres/store.py` notes each commit, and `actors/store/postgres/cluster_store.py` reads it after a
failover.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

KEPT_MAX = 10_000  # actors, and the same number of items


class NotedItem(NamedTuple):
    """An item as it was acknowledged."""

    key: int  # of its actor
    name: bytes  # UTF-8
    version: int  # 0: it was deleted


class Acknowledged:
    """The last acknowledged entry of each recently written actor, and the items that were written recently."""

    def __init__(self) -> None:
        self._items: dict[tuple[int, bytes], tuple[int, int, int]] = {}  # (key, name) -> shard, its epoch, version
        self._owners: set[int] = set()  # keys of the actors that have had items
        self._last: dict[int, tuple[int, int, int]] = {}  # actor's key -> shard, its epoch, position in the log

    def note(
        self,
        entries: Iterable[tuple[int, int]],
        positions: Iterable[int],
        forgotten: Iterable[int],
        epochs: Mapping[int, int],
    ) -> None:
        """Note a commit.

        Args:
            entries: Key and shard of each entry that the commit added.
            positions: The positions of these entries.
            forgotten: Keys of actors whose older entries, or all entries, the commit deleted.
            epochs: Shard -> epoch.
        """
        last = self._last
        for key in forgotten:
            last.pop(key, None)
        for (key, shard), position in zip(entries, positions, strict=True):
            last.pop(key, None)  # the latest write comes last
            last[key] = (shard, epochs[shard], position)
        while len(last) > KEPT_MAX:
            del last[next(iter(last))]

    def note_items(
        self, items: Iterable[tuple[int, NotedItem]], deleted: Iterable[int], epochs: Mapping[int, int]
    ) -> None:
        """Note the items of a commit.

        Args:
            items: In the order of their changes, each with its shard.
            deleted: Keys of actors that the commit deleted before these changes.
            epochs: Shard -> epoch.
        """
        if gone := self._owners.intersection(deleted):
            self._items = {place: noted for place, noted in self._items.items() if place[0] not in gone}
            self._owners -= gone
        known = self._items
        for shard, (key, name, version) in items:
            known.pop((key, name), None)
            known[key, name] = (shard, epochs[shard], version)
            self._owners.add(key)
        while len(known) > KEPT_MAX:
            del known[next(iter(known))]

    def under(self, epochs: Mapping[int, int]) -> Sequence[tuple[int, int]]:
        """Key and position of each entry whose shard still has the same epoch.

        Args:
            epochs: Shard -> epoch, of the host's shards.
        """
        return [(key, position) for key, (shard, epoch, position) in self._last.items() if epochs.get(shard) == epoch]

    def items_under(self, epochs: Mapping[int, int]) -> Sequence[NotedItem]:
        """The items whose shard still has the same epoch."""
        return [
            NotedItem(*place, version)
            for place, (shard, epoch, version) in self._items.items()
            if epochs.get(shard) == epoch
        ]
