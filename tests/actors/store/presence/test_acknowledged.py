"""The last acknowledged commits are known for the actors written last, while their shards stay."""

from perdure.actors.store.presence.acknowledged import KEPT_MAX, Acknowledged, NotedItem


def test_the_newest_entry_of_each_actor_counts() -> None:
    known = Acknowledged()
    known.note([(7, 1), (8, 2), (7, 1)], [100, 101, 102], [], {1: 5, 2: 6})
    assert known.under({1: 5, 2: 6}) == [(8, 101), (7, 102)]
    known.note([(8, 2)], [103], [], {2: 6})
    assert known.under({1: 5, 2: 6}) == [(7, 102), (8, 103)]


def test_what_was_forgotten_is_not_looked_for_and_what_came_with_it_is() -> None:
    known = Acknowledged()
    known.note([(7, 1), (8, 1)], [100, 101], [], {1: 5})
    # One begins again, and one is deleted.
    known.note([(7, 1)], [102], [7, 8], {1: 5})
    assert known.under({1: 5}) == [(7, 102)]


def test_what_another_owner_may_have_changed_is_not_looked_for() -> None:
    known = Acknowledged()
    known.note([(7, 1), (8, 2)], [100, 101], [], {1: 5, 2: 6})
    # One shard has gone, and come back under another epoch.
    assert known.under({1: 7, 2: 6}) == [(8, 101)]
    assert known.under({}) == []


def test_it_keeps_the_actors_that_were_written_last() -> None:
    known = Acknowledged()
    for key in range(KEPT_MAX + 3):
        known.note([(key, 1)], [key], [], {1: 5})
    known.note([(3, 1)], [KEPT_MAX + 3], [], {1: 5})
    found = known.under({1: 5})
    assert len(found) == KEPT_MAX
    assert found[0] == (4, 4)
    assert found[-1] == (3, KEPT_MAX + 3)


def test_it_knows_the_items_that_were_written_last_and_those_that_were_forgotten() -> None:
    known = Acknowledged()
    epochs = {1: 5, 2: 6}
    known.note_items([(1, NotedItem(7, b"a", 1)), (1, NotedItem(7, b"b", 2)), (2, NotedItem(8, b"a", 1))], [], epochs)
    known.note_items([(1, NotedItem(7, b"a", 3)), (1, NotedItem(7, b"b", 0))], [9], epochs)
    assert known.items_under({1: 5, 2: 7}) == [(7, b"a", 3), (7, b"b", 0)]
    # A deleted actor has no acknowledged commits.
    known.note_items([(1, NotedItem(7, b"c", 1))], [7], epochs)
    assert known.items_under(epochs) == [(8, b"a", 1), (7, b"c", 1)]


def test_it_keeps_so_many_items_and_no_more() -> None:
    known = Acknowledged()
    for number in range(KEPT_MAX + 3):
        known.note_items([(1, NotedItem(7, b"%d" % number, 1))], [], {1: 5})
    assert len(known.items_under({1: 5})) == KEPT_MAX
    assert known.items_under({1: 5})[0].name == b"3"
