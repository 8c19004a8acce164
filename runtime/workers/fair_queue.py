"""A queue that takes its owners in turn.

The rule: the next item is the oldest one of the owner whose last item was taken
longest ago. An owner with ten thousand items delays another owner by one item
at a time.

The lanes of activities and the dispatcher of remote workers keep their jobs in
it, and the owner of a job is its instance.
"""

from collections import OrderedDict, deque
from collections.abc import Collection, Iterator
from typing import Generic, TypeVar

Item = TypeVar("Item")


class FairQueue(Generic[Item]):
    """Items by owner. It is true while it has items: read `queues` where a call for each item takes too long."""

    __slots__ = ("queues",)

    def __init__(self) -> None:
        self.queues: OrderedDict[str, deque[Item]] = OrderedDict()  # the owner whose turn it is first; none is empty

    def __bool__(self) -> bool:
        return bool(self.queues)

    def __len__(self) -> int:
        return sum(map(len, self.queues.values()))

    def __iter__(self) -> Iterator[Item]:
        for queue in self.queues.values():
            yield from queue

    def push(self, owner: str, item: Item) -> None:
        """Add an item behind the others of its owner."""
        queue = self.queues.get(owner)
        if queue is None:
            self.queues[owner] = deque((item,))
        else:
            queue.append(item)

    def push_front(self, owner: str, item: Item) -> None:
        """Give an item back: it is the next one, and its owner the next owner."""
        queue = self.queues.get(owner)
        if queue is None:
            self.queues[owner] = deque((item,))
        else:
            queue.appendleft(item)
        self.queues.move_to_end(owner, last=False)

    def pop(self) -> Item:
        """Take the next item.

        Raises:
            KeyError: The queue is empty.
        """
        owner, queue = self.queues.popitem(last=False)
        item = queue.popleft()
        if queue:
            self.queues[owner] = queue  # behind the other owners
        return item

    def remove(self, owner: str, items: Collection[Item]) -> None:
        """Drop the items of an owner that are in the queue."""
        queue = self.queues.get(owner)
        if queue is None:
            return
        kept = deque(item for item in queue if item not in items)
        if kept:
            self.queues[owner] = kept
        else:
            del self.queues[owner]

    def clear(self) -> None:
        """Drop all items."""
        self.queues.clear()
