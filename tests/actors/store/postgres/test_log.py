"""Positions grow over all owners of a shard, and an entry has a checksum of its place."""

from perdure.actors.store.postgres.log import EPOCH_SHIFT, placed
from perdure.actors.store.tables.checksums import Unsealed, unseal_entry


def test_a_position_is_the_epoch_and_a_number_that_is_counted() -> None:
    rows = placed([(1, 0, 5, b"a"), (2, 1, 6, b"b")], 7, {0: 3, 1: 4})
    assert [row[:3] for row in rows] == [(1, 3 << EPOCH_SHIFT | 7, 5), (2, 4 << EPOCH_SHIFT | 8, 6)]


def test_a_later_owner_writes_behind_an_earlier_one_whatever_it_counts() -> None:
    (early,) = placed([(1, 0, 5, b"a")], 2**EPOCH_SHIFT - 1, {0: 3})
    (late,) = placed([(1, 0, 5, b"a")], 0, {0: 4})
    assert early[1] < late[1] < 2**63


def test_an_entry_is_read_back_from_its_place_only() -> None:
    (row,) = placed([(1, 0, 5, b"a")], 0, {0: 1})
    assert unseal_entry(*row, Unsealed()) == b"a"
