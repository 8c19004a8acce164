"""Keeps serialized histories of instances, for workers that keep no histories.

The rule: bytes are used only for the history from which they were made. The last event identifies it: a `TimedEvent` is
in one history, in one place, and the events before it never change (`runtime/history/timeline.py`). So it is compared
by identity. Equality is not enough: the same id may have had another history before a purge, and a child that was begun
again even has the same execution id.

Such a worker gets the whole history with every turn. Without this cache a turn cost as much as all turns before it
together.

`rpc/services/work_items.py` keeps one `PastEvents` for all workers.
"""

from collections import OrderedDict
from collections.abc import Iterable

from ...runtime.history.timed_event import TimedEvent
from ...runtime.workers.items import WorkflowItem
from ..messages import WorkflowRequest
from .history import HistoryWriter

BYTES_MAX = 64 * 1024 * 1024  # about a hundred histories of 5 000 small events; other histories are serialized again
PAST_BYTES = 512  # the approximate memory of one past besides its bytes


def serialize(events: Iterable[TimedEvent], writer: HistoryWriter) -> bytes:
    """Serialize events as the field `pastEvents` of a WorkflowRequest, to be joined with its other fields."""
    return WorkflowRequest(pastEvents=writer.write_all(events)).SerializeToString()


class Past:
    """The serialized beginning of one history."""

    __slots__ = ("count", "last", "serialized")

    def __init__(self) -> None:
        self.serialized = bytearray()
        self.count = 0  # the number of its events
        self.last: TimedEvent | None = None

    def __len__(self) -> int:
        return PAST_BYTES + len(self.serialized)

    def begins(self, item: WorkflowItem) -> bool:
        """Whether the history of an item begins with these events."""
        return self.count <= len(item.past) and item.past[self.count - 1] is self.last

    def grow(self, item: WorkflowItem, writer: HistoryWriter) -> None:
        """Add the newer events of the history."""
        self.serialized += serialize(item.past[self.count :], writer)
        self.count = len(item.past)
        self.last = item.past[-1]


class PastEvents:
    """Keeps the most recently sent pasts.

    Args:
        bytes_max: The limit for all pasts together. Beyond it the least recently used past is dropped.
    """

    def __init__(self, *, bytes_max: int = BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._bytes = 0
        self._pasts: OrderedDict[str, Past] = OrderedDict()  # by instance, the most recently used last

    def __len__(self) -> int:
        """The approximate number of bytes that are kept."""
        return self._bytes

    def serialized(self, item: WorkflowItem, writer: HistoryWriter) -> bytes | bytearray:
        """Return the serialized past of an item; only new events are serialized. Copy the bytes before the next call.

        Args:
            item: An item with the whole past.
        """
        assert item.cached_count is None, item.cached_count
        past = self._take(item.instance_id)
        if not item.past:
            return b""
        if past is None or not past.begins(item):
            past = Past()
        past.grow(item, writer)
        self._keep(item.instance_id, past)
        return past.serialized

    def forget(self, instance_id: str) -> None:
        """Drop the past of an instance that has ended."""
        self._take(instance_id)

    def _take(self, instance_id: str) -> Past | None:
        past = self._pasts.pop(instance_id, None)
        if past is not None:
            self._bytes -= len(past)
        return past

    def _keep(self, instance_id: str, past: Past) -> None:
        self._pasts[instance_id] = past
        self._bytes += len(past)
        while self._bytes > self._bytes_max:
            self._take(next(iter(self._pasts)))
