"""Windows of a history: the events of some of its rows, without unpacking the rows before them.

The rule: an event is the same in any window, and the same as in the whole timeline (`runtime/history/timeline.py`).
The facts that a row takes from earlier rows are read there: the arrivals that it feeds, the execution ids of the tasks
that were answered, and the version that was settled last.

Pages of histories are made of windows (`runtime/operations/reading/history_page.py`).
"""

from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

from ....actors.instruments import Stopwatch
from ...history.event import Arrival, PatchesApplied, TaskCompleted, TaskFailed, TaskScheduled, TimerFired
from ...history.open_work import START_TIMER
from ...history.row import Row, unpack_row
from ...history.timed_event import TimedEvent
from ...history.timeline import Timeline
from .stored_history import Pieces


class EventPlace(NamedTuple):
    """The place of an event in the history of a generation. It never changes."""

    row: int
    offset: int  # among the events of the row


class PlacedEvent(NamedTuple):
    """An event in a window."""

    place: EventPlace
    timed: TimedEvent


class HistoryWindows:
    """The windows of one history.

    Args:
        entries: Its rows, packed.
        versioned: Whether its code has named versions.
        stopwatch: Times the pieces in which it is read.
    """

    def __init__(self, entries: Sequence[bytes], *, versioned: bool, stopwatch: Stopwatch) -> None:
        self._entries = entries
        self._versioned = versioned
        self._unpacked: dict[int, Row] = {}
        self._pieces = Pieces(stopwatch)

    def __len__(self) -> int:
        """How many rows there are."""
        return len(self._entries)

    async def events(self, begin: int, end: int) -> list[PlacedEvent]:
        """The events of the rows from `begin` to just before `end`.

        Raises:
            CorruptHistory: This release cannot read a row.
        """
        timeline = Timeline()
        timeline.held = await self._held_before(begin)
        timeline.version = await self._version_before(begin) if self._versioned else None
        timeline.timers = self._fired(timeline.held, begin, end)
        placed: list[PlacedEvent] = []
        for number in range(begin, end):
            before = len(timeline.events)
            timeline.add(self._row(number))
            placed += [
                PlacedEvent(EventPlace(number, offset), timed) for offset, timed in enumerate(timeline.events[before:])
            ]
            await self._pieces.cut()
        return await self._with_execution_ids(placed, begin)

    def _fired(self, held: Sequence[Arrival], begin: int, end: int) -> set[int]:
        """The timers that fire in a window. All of them were set, but for that of a scheduled start."""
        rows = (self._row(number) for number in range(begin, end))
        events = chain(held, *((*(row.turn or ()), *row.held) for row in rows))
        return {event.timer_id for event in events if isinstance(event, TimerFired)} - {START_TIMER}

    def _row(self, number: int) -> Row:
        row = self._unpacked.get(number)
        if row is None:
            row = self._unpacked[number] = unpack_row(self._entries[number])
        return row

    async def _held_before(self, begin: int) -> list[Arrival]:
        """The arrivals that the rows before `begin` hold, and have not fed."""
        first = begin
        while first > 0:
            row = self._row(first - 1)
            first -= 1
            if row.turn is not None:
                if row.consumed is not None:  # it may have left some of the rows before it
                    first = 0
                break
            await self._pieces.cut()
        held: list[Arrival] = []
        for number in range(first, begin):
            row = self._row(number)
            if row.turn is not None:
                del held[: row.consumed]
            held += row.held  # type: ignore[arg-type]  # only arrivals are ever held
            await self._pieces.cut()
        return held

    async def _version_before(self, begin: int) -> str | None:
        """The version of the code that was settled last before a row."""
        for number in range(begin - 1, -1, -1):
            for event in self._row(number).turn or ():
                if isinstance(event, PatchesApplied) and event.version is not None:
                    return event.version
            await self._pieces.cut()
        return None

    async def _with_execution_ids(self, placed: list[PlacedEvent], begin: int) -> list[PlacedEvent]:
        """Add to answers the execution ids of tasks that were requested before the window."""
        wanted = {
            each.timed.event.task_id
            for each in placed
            if isinstance(each.timed.event, TaskCompleted | TaskFailed) and each.timed.event.task_execution_id is None
        }
        found: dict[int, str] = {}
        for number in range(begin - 1, -1, -1):
            if not wanted:
                break
            for event in self._row(number).turn or ():
                if isinstance(event, TaskScheduled) and event.event_id in wanted:
                    found[event.event_id] = event.task_execution_id
                    wanted.discard(event.event_id)
            await self._pieces.cut()
        return [_with_execution_id(each, found) for each in placed] if found else placed


def _with_execution_id(placed: PlacedEvent, found: dict[int, str]) -> PlacedEvent:
    event = placed.timed.event
    if not isinstance(event, TaskCompleted | TaskFailed) or event.task_execution_id is not None:
        return placed
    event = event._replace(task_execution_id=found.get(event.task_id))
    return placed._replace(timed=placed.timed._replace(event=event))
