"""Histories in pages: the events of an instance's current generation, from either end, and one payload by its key.

The rule: a key names an event for good. Rows are only ever appended, so a key consists of the event's row, its place in
that row, and the execution id of the generation. The cost of a page depends on its rows, not on the history's length.

An arrival that has not been fed to the code yet is not part of the history.

The management API writes the events as the wire has them.
"""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from ....actors.hosting.host import Host
from ...directory import AppAddresses
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
from .history_window import EventPlace, HistoryWindows, PlacedEvent
from .stored_history import read_stored

EVENTS_MAX = 500  # of a page


class HistoryChanged(RequestRefused):
    """A key of an earlier generation, or of an earlier holder of the id: that history does not exist any more."""

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


class EventKeyInvalid(InvalidRequest):
    """A text that is not the key of an event in any history."""

    def __init__(self, key: str) -> None:
        super().__init__(f"{key!r} is not the key of an event: take one that a page of the history has")
        self.key = key

    def __reduce__(self) -> tuple[type["EventKeyInvalid"], tuple[str]]:
        return EventKeyInvalid, (self.key,)


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

    def __init__(self, host: Host, own: AppAddresses) -> None:
        self._host = host
        self._own = own

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
            InvalidRequest: The limit is out of its range.
            EventKeyInvalid: `after` is no key.
            StoreDamaged, CorruptHistory: It cannot be read.
        """
        if not 1 <= limit <= EVENTS_MAX:
            raise InvalidRequest(f"a page of a history has 1 to {EVENTS_MAX} events, not {limit}")
        windows, execution_id = await self._windows(instance_id)
        place = _place_of(instance_id, execution_id, after) if after is not None else None
        collect = _collect_back if newest_first else _collect
        found = await collect(windows, place, limit + 1)
        page = [KeyedEvent(_key(execution_id, each.place), each.timed) for each in found[:limit]]
        return HistoryPage(page, page[-1].key if len(found) > limit else None)

    async def event(self, instance_id: str, key: str) -> TimedEvent:
        """Read one event.

        Raises:
            InstanceNotFound, HistoryChanged, EventMissing
            EventKeyInvalid: This is no key.
        """
        windows, execution_id = await self._windows(instance_id)
        place = _place_of(instance_id, execution_id, key)
        events = await windows.events(place.row, place.row + 1) if place.row < len(windows) else []
        if place.offset >= len(events):
            raise EventMissing(instance_id, f"no event {key!r}")
        return events[place.offset].timed

    async def payload(self, instance_id: str, key: str, kind: str) -> str | FailureDetails | None:
        """Read one payload of an event.

        Args:
            kind: "input", "result" or "failure".

        Returns:
            JSON text as it was given, or a failure; None if the event can have such a payload, and has none.

        Raises:
            InstanceNotFound, HistoryChanged, EventMissing
            EventKeyInvalid: This is no key.
        """
        event = (await self.event(instance_id, key)).event
        field = PAYLOADS.get((type(event), kind))
        if field is None:
            raise EventMissing(instance_id, f"no {kind} at event {key!r}, which is {type(event).__name__}")
        found: Any = getattr(event, field)
        return FailureDetails.unpack(found) if kind == "failure" and found is not None else found

    async def _windows(self, instance_id: str) -> tuple[HistoryWindows, str]:
        found = await read_stored(self._host, self._own, instance_id)
        if found is None:
            raise InstanceNotFound(instance_id)
        record = found.record
        windows = HistoryWindows(
            found.stored.entries,
            versioned=record.version is not None,
            stopwatch=self._host.instruments.stopwatch,
        )
        return windows, record.execution_id


async def _collect(windows: HistoryWindows, after: EventPlace | None, count: int) -> list[PlacedEvent]:
    """The next `count` events behind a place, or all if there are fewer; oldest first."""
    found: list[PlacedEvent] = []
    begin = after.row if after is not None else 0
    while begin < len(windows) and len(found) < count:
        end = min(len(windows), begin + count)
        found += [each for each in await windows.events(begin, end) if after is None or each.place > after]
        begin = end
    return found[:count]


async def _collect_back(windows: HistoryWindows, after: EventPlace | None, count: int) -> list[PlacedEvent]:
    """The last `count` events before a place, or all if there are fewer; newest first."""
    found: list[PlacedEvent] = []
    end = min(len(windows), after.row + 1) if after is not None else len(windows)
    while end > 0 and len(found) < count:
        begin = max(0, end - count)
        window = await windows.events(begin, end)
        found += [each for each in reversed(window) if after is None or each.place < after]
        end = begin
    return found[:count]


def _key(execution_id: str, place: EventPlace) -> str:
    return f"{place.row}.{place.offset}-{execution_id}"


KEY = re.compile(r"([0-9]{1,9})\.([0-9]{1,9})-(.*)", re.DOTALL)


def _place_of(instance_id: str, execution_id: str, key: str) -> EventPlace:
    """Read a key.

    Raises:
        EventKeyInvalid: It is no key.
        HistoryChanged: It is of another history.
    """
    match = KEY.fullmatch(key)
    if match is None:
        raise EventKeyInvalid(key)
    if match[3] != execution_id:
        raise HistoryChanged(instance_id)
    return EventPlace(int(match[1]), int(match[2]))


def execution_of(key: str) -> str | None:
    """The execution id of the generation to whose history a key belongs; None for any other text."""
    match = KEY.fullmatch(key)
    return match[3] if match is not None else None


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
