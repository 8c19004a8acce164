"""Histories in pages: the events of an instance's current generation, from either end, and one payload by its key.

The rule: a key names an event for good. The timeline only grows at its end (`runtime/history/timeline.py`), so a key is
the event's place in it, and the execution id says in which generation.

An arrival that has not been fed to the code yet is not part of the history.

The management API writes the events as the wire has them.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from ....actors.hosting.host import Host
from ...errors import InstanceNotFound, InvalidRequest, RequestRefused
from ...history.event import (
    ChildCompleted,
    ChildCreated,
    ChildFailed,
    DetachedCreated,
    EventRaised,
    EventSent,
    ExecutionCompleted,
    ExecutionResumed,
    ExecutionStarted,
    ExecutionSuspended,
    ExecutionTerminated,
    TaskCompleted,
    TaskFailed,
    TaskScheduled,
)
from ...history.failure import FailureDetails
from ...history.timed_event import TimedEvent
from ...history.timeline import Timeline
from .stored_history import read_history

EVENTS_MAX = 500  # of a page


class HistoryChanged(RequestRefused):
    """A key of an earlier generation, or of an earlier holder of the id: that history is gone."""

    def __init__(self, instance_id: str) -> None:
        super().__init__(instance_id)
        self.instance_id = instance_id

    def __str__(self) -> str:
        return (
            f"instance '{self.instance_id}' has begun a new history since (it continued as new, or was started again). "
            "Read it from its beginning, without a key."
        )


class EventMissing(RequestRefused):
    """The history has no event with this key, or the event has no such payload."""

    def __init__(self, instance_id: str, what: str) -> None:
        super().__init__(instance_id, what)
        self.instance_id = instance_id
        self.what = what

    def __str__(self) -> str:
        return f"the history of instance '{self.instance_id}' has {self.what}"


class KeyedEvent(NamedTuple):
    """An event in a page."""

    key: str  # opaque
    timed: TimedEvent


class HistoryPage(NamedTuple):
    """A part of a history."""

    events: Sequence[KeyedEvent]
    cursor: str | None  # the key behind which the next page begins; None: this is the end


class Histories:
    """Reads histories as last committed."""

    def __init__(self, host: Host) -> None:
        self._host = host

    async def page(
        self, instance_id: str, *, after: str | None = None, limit: int = 100, newest_first: bool = False
    ) -> HistoryPage:
        """Read a page.

        Args:
            after: The cursor of the page before, or the key of any event; None: from the beginning, or from the end.
            limit: How many events, 1 to 500.
            newest_first: From the newest event back.

        Raises:
            InstanceNotFound, HistoryChanged
            InvalidRequest: The limit or the key is none.
            StoreDamaged, CorruptHistory: It cannot be read.
        """
        if not 1 <= limit <= EVENTS_MAX:
            raise InvalidRequest(f"a page of a history has 1 to {EVENTS_MAX} events, not {limit}")
        execution_id, events = await self._events(instance_id)
        count = len(events)
        if newest_first:
            end = count if after is None else min(count, self._position(instance_id, execution_id, after))
            places = range(end - 1, max(-1, end - 1 - limit), -1)
            more = end - limit > 0
        else:
            begin = 0 if after is None else self._position(instance_id, execution_id, after) + 1
            places = range(begin, min(count, begin + limit))
            more = begin + limit < count
        page = [KeyedEvent(_key(execution_id, place), events[place]) for place in places]
        return HistoryPage(page, page[-1].key if more else None)

    async def event(self, instance_id: str, key: str) -> TimedEvent:
        """Read one event.

        Raises:
            InstanceNotFound, HistoryChanged, EventMissing
            InvalidRequest: This is no key.
        """
        execution_id, events = await self._events(instance_id)
        place = self._position(instance_id, execution_id, key)
        if place >= len(events):
            raise EventMissing(instance_id, f"no event {key!r}")
        return events[place]

    async def payload(self, instance_id: str, key: str, kind: str) -> str | FailureDetails | None:
        """Read one payload of an event.

        Args:
            kind: "input", "result" or "failure".

        Returns:
            JSON text as it was given, or a failure; None if the event has such a payload, and it is none.

        Raises:
            InstanceNotFound, HistoryChanged, EventMissing
            InvalidRequest: This is no key.
        """
        event = (await self.event(instance_id, key)).event
        field = PAYLOADS.get((type(event), kind))
        if field is None:
            raise EventMissing(instance_id, f"no {kind} at event {key!r}, which is {type(event).__name__}")
        found: Any = getattr(event, field)
        return FailureDetails.unpack(found) if kind == "failure" and found is not None else found

    async def _events(self, instance_id: str) -> tuple[str, Sequence[TimedEvent]]:
        history = await read_history(self._host, instance_id)
        if history is None:
            raise InstanceNotFound(instance_id)
        return history.record.execution_id, Timeline.of(history.rows).events

    def _position(self, instance_id: str, execution_id: str, key: str) -> int:
        place, dash, generation = key.partition("-")
        if not dash or not place.isascii() or not place.isdecimal() or len(place) > 12:
            raise InvalidRequest(f"{key!r} is not the key of an event: take one that a page of the history has")
        if generation != execution_id:
            raise HistoryChanged(instance_id)
        return int(place)


def _key(execution_id: str, place: int) -> str:
    return f"{place}-{execution_id}"


# The field in which an event has a payload.
PAYLOADS: dict[tuple[type[Any], str], str] = {
    (ExecutionStarted, "input"): "input",
    (ExecutionCompleted, "result"): "result",
    (ExecutionCompleted, "failure"): "failure",
    (ExecutionTerminated, "input"): "output",  # the wire calls it that
    (ExecutionSuspended, "input"): "reason",
    (ExecutionResumed, "input"): "reason",
    (TaskScheduled, "input"): "input",
    (TaskCompleted, "result"): "result",
    (TaskFailed, "failure"): "failure",
    (ChildCreated, "input"): "input",
    (ChildCompleted, "result"): "result",
    (ChildFailed, "failure"): "failure",
    (DetachedCreated, "input"): "input",
    (EventRaised, "input"): "input",
    (EventSent, "input"): "input",
}
