"""A queue takes its owners in turn, and each owner's items in order."""

import pytest

from perdure.runtime.workers.fair_queue import FairQueue


def queue_of(*items: str) -> FairQueue[str]:
    """A queue of items whose first letter is their owner."""
    queue: FairQueue[str] = FairQueue()
    for item in items:
        queue.push(item[0], item)
    return queue


def taken(queue: FairQueue[str]) -> list[str]:
    return [queue.pop() for _ in range(len(queue))]


@pytest.mark.parametrize(
    ("pushed", "order"),
    [
        ("", ""),
        ("a1 a2 a3", "a1 a2 a3"),
        ("a1 b1 c1", "a1 b1 c1"),
        ("a1 a2 a3 b1", "a1 b1 a2 a3"),
        ("a1 a2 b1 b2 c1", "a1 b1 c1 a2 b2"),
    ],
)
def test_owners_are_taken_in_turn(pushed: str, order: str) -> None:
    queue = queue_of(*pushed.split())
    assert bool(queue) is bool(pushed)
    assert taken(queue) == order.split()
    assert not queue


def test_a_new_owner_waits_for_one_item_of_each_that_was_there() -> None:
    queue = queue_of("a1", "a2", "a3", "b1", "b2")
    assert queue.pop() == "a1"
    queue.push("c", "c1")
    assert taken(queue) == ["b1", "a2", "c1", "b2", "a3"]


def test_an_item_that_is_given_back_is_the_next_one() -> None:
    queue = queue_of("a1", "a2", "b1")
    queue.push_front("a", queue.pop())
    assert taken(queue) == ["a1", "b1", "a2"]
    queue.push_front("c", "c1")
    assert taken(queue) == ["c1"]


def test_items_are_removed_wherever_they_stand_and_those_that_are_not_there_do_no_harm() -> None:
    queue = queue_of("a1", "a2", "a3", "b1")
    queue.remove("a", {"a1", "a3", "b1"})
    assert list(queue) == ["a2", "b1"]
    queue.remove("a", {"a2"})
    queue.remove("nobody", {"a2"})
    assert taken(queue) == ["b1"]


def test_an_empty_queue_has_no_next_item() -> None:
    queue = queue_of("a1")
    queue.clear()
    with pytest.raises(KeyError):
        queue.pop()
