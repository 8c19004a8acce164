"""The row of a shard with the higher epoch counts, in any order of the rows and the news."""

from hypothesis import given
from hypothesis import strategies as st

from perdure.actors.cluster.leases.shard_table import ShardTable
from perdure.actors.cluster.placement import Ownership
from perdure.actors.store.cluster import ShardRow

ME, OTHER, DEAD = 1, 2, 3
LIVING = {ME, OTHER}


def table(*rows: ShardRow, now: float = 0.0) -> ShardTable:
    made = ShardTable(ME, str)
    made.read(rows, LIVING, now)
    return made


def test_rows_say_which_shards_are_mine_anothers_and_unowned() -> None:
    made = ShardTable(ME, str)
    rows = [ShardRow(0, ME, 3), ShardRow(1, OTHER, 4), ShardRow(2, DEAD, 5), ShardRow(3, None, 0)]
    changes = made.read(rows, LIVING, 7.0)
    assert changes == ({0: 3}, {1: Ownership(host="2", epoch=4), 2: None, 3: None}, {})
    assert made.mine == {0: 3}
    assert made.free == {2: (5, 7.0), 3: (0, 7.0)}
    assert made.owners == {0: ME, 1: OTHER, 2: DEAD, 3: None}
    # The same rows again change nothing.
    assert made.read(rows, LIVING, 8.0) == ({}, {}, {})
    assert made.free == {2: (5, 7.0), 3: (0, 7.0)}


def test_the_shards_of_a_host_that_dies_are_unowned_from_then_on() -> None:
    made = table(ShardRow(1, OTHER, 4))
    assert made.read([ShardRow(1, OTHER, 4)], {ME}, 9.0) == ({}, {1: None}, {})
    assert made.free == {1: (4, 9.0)}


def test_what_was_taken_and_given_is_known_before_it_is_read() -> None:
    made = table(ShardRow(1, DEAD, 4))
    assert made.own(1, 5)
    assert made.free == {}
    assert made.read([ShardRow(1, DEAD, 4)], LIVING, 1.0) == ({}, {}, {})  # read before it was taken
    assert made.gave(1, OTHER, 6) == Ownership(host="2", epoch=6)
    assert made.read([ShardRow(1, ME, 5)], LIVING, 1.0) == ({}, {}, {})
    assert made.read([ShardRow(1, OTHER, 6)], LIVING, 1.0) == ({}, {}, {})


def test_a_shard_that_is_another_s_by_its_row_is_not_mine_any_more() -> None:
    made = table(ShardRow(1, ME, 4))
    assert made.read([ShardRow(1, OTHER, 5)], LIVING, 1.0) == ({}, {}, {1: Ownership(host="2", epoch=5)})
    assert made.mine == {}


def test_what_is_older_than_what_is_known_is_not_taken_in() -> None:
    made = table(ShardRow(1, OTHER, 4))
    assert not made.own(1, 3)
    assert made.own(1, 5)
    assert not made.own(1, 5)
    assert made.mine == {1: 5}


@given(st.lists(st.sampled_from([ME, OTHER, DEAD]), min_size=1, max_size=8), st.data())
def test_whatever_the_order_in_which_rows_come_the_newest_counts(owners: list[int], data: st.DataObject) -> None:
    # Given the history of a shard, in which each owner has its epoch, and reads of it in any order,
    history = [ShardRow(0, host, epoch) for epoch, host in enumerate(owners, start=1)]
    reads = data.draw(st.permutations(history))
    made, newest, mine = ShardTable(ME, str), 0, list[int]()
    for row in reads:
        changes = made.read([row], LIVING, 0.0)
        if row.epoch < newest:
            assert changes == ({}, {}, {})
        newest = max(newest, row.epoch)
        mine += changes.mine.values()
    # then the last owner is known, and the epochs reported as the host's own have grown.
    assert made.row(0) == history[-1]
    assert made.mine == ({0: len(history)} if owners[-1] == ME else {})
    assert mine == sorted(set(mine))
