"""The table of shards, as one host of a leased membership knows it.

The rule: of two rows of a shard the one with the higher epoch is newer, in whichever order they come. So rows that were
read, results of takes and reports of other hosts can arrive in any order. A shard with a dead owner counts as unowned.

`actors/cluster/leased.py` has a table for each life.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

from ...store.cluster import ShardRow
from ..placement import Ownership


class TableChanges(NamedTuple):
    """The changes of the table that follow from rows."""

    mine: dict[int, int]  # shards that have become this host's -> epoch
    moved: dict[int, Ownership | None]  # other shards that have another owner than before, or none
    given: dict[int, Ownership | None]  # shards that this host does not own any more


class ShardTable:
    """The owner and the epoch of each shard.

    Args:
        me: The id of this host.
        name_of: Makes the name of a host from its id.
    """

    def __init__(self, me: int, name_of: Callable[[int], str]) -> None:
        self._me = me
        self._name_of = name_of
        self._rows: dict[int, ShardRow] = {}
        self._told: dict[int, Ownership | None] = {}  # the reported owners of shards that are not this host's
        self._free_since: dict[int, float] = {}
        self.mine: dict[int, int] = {}  # shard -> epoch

    @property
    def owners(self) -> Mapping[int, int | None]:
        """Shard -> the host in its row."""
        return {shard: row.host for shard, row in self._rows.items()}

    def read(self, rows: Sequence[ShardRow], living: Collection[int], now: float) -> TableChanges:
        """Take in rows that were read.

        Args:
            living: All living hosts, read after the rows.
            now: The time of a clock that measures for how long a shard is unowned; seconds.
        """
        changes = TableChanges({}, {}, {})
        for row in rows:
            known = self._rows.get(row.shard)
            if known is None or row.epoch >= known.epoch:
                self._rows[row.shard] = row
        for shard, row in self._rows.items():
            self._enter(shard, row, living, now, changes)
        return changes

    def _enter(self, shard: int, row: ShardRow, living: Collection[int], now: float, changes: TableChanges) -> None:
        if row.host == self._me:
            if self.mine.get(shard) != row.epoch:
                self.own(shard, row.epoch)
                changes.mine[shard] = row.epoch
            return
        lives = row.host is not None and row.host in living
        owner = Ownership(host=self._name_of(row.host), epoch=row.epoch) if lives and row.host is not None else None
        if lives:
            self._free_since.pop(shard, None)
        else:
            self._free_since.setdefault(shard, now)
        if shard in self.mine:
            del self.mine[shard]
            changes.given[shard] = owner
        elif shard not in self._told or self._told[shard] != owner:
            changes.moved[shard] = owner
        self._told[shard] = owner

    def own(self, shard: int, epoch: int) -> bool:
        """Take note that this host owns a shard; return False if a newer row of it is known."""
        known = self._rows.get(shard)
        if known is not None and (epoch < known.epoch or self.mine.get(shard, -1) >= epoch):
            return False
        self._rows[shard] = ShardRow(shard, self._me, epoch)
        self.mine[shard] = epoch
        self._told.pop(shard, None)
        self._free_since.pop(shard, None)
        return True

    def gave(self, shard: int, to: int, epoch: int) -> Ownership:
        """Take note that this host has given a shard away."""
        del self.mine[shard]
        self._rows[shard] = ShardRow(shard, to, epoch)
        owner = self._told[shard] = Ownership(host=self._name_of(to), epoch=epoch)
        return owner

    @property
    def free(self) -> Mapping[int, tuple[int, float]]:
        """Unowned shard -> its epoch, and since when it is known to be unowned."""
        return {shard: (self._rows[shard].epoch, since) for shard, since in self._free_since.items()}

    def row(self, shard: int) -> ShardRow:
        """The owner and the epoch of a shard, as this host knows them."""
        return self._rows[shard]
