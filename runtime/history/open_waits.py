"""Open waits of an instance: the external events that its code waits for, read from the history.

The rule: it follows from the rows alone. An event ends the oldest wait of its name, when it is fed. An event that
came before its wait ends none, and leaves no trace; so rows of the app's own code list the waits that are left
(`Row.waits`). SDKs set a timer for each wait (contract 3.10), so their rows need no list.

`runtime/history/open_work.py` uses it to find the timers that nothing waits for any more, and
`runtime/operations/reading/open_entries.py` to show what an instance waits for.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ..dates import END_OF_TIME_US
from .event import Event, EventRaised, TimerCreated, TimerFired, TimerOrigin
from .row import WAITS_TOLD_MAX, Row


class OpenWait(NamedTuple):
    """A wait for an external event."""

    name: str  # as the code spells it
    since_us: int  # of the turn in which it began; Unix time, microseconds
    event_id: int | None = None  # of the timer that ends it, where it has one
    due_us: int | None = None  # when that fires; None: never


class OpenWaits:
    """The open waits after some rows of a generation, oldest first."""

    def __init__(self) -> None:
        self.waits: list[OpenWait] = []
        # The timers of waits that began after the first row with a list of waits: their end is known. Rows of earlier
        # releases have no list, and an event may have ended another wait than it seems.
        self.certain: set[int] = set()
        self._told: Sequence[str | int] | None = None  # the last list; None: no row has had one yet
        self._held: list[Event] = []
        self._timed: dict[int, OpenWait] = {}  # all waits with a timer that have begun, by its id

    @classmethod
    def of(cls, rows: Iterable[Row]) -> "OpenWaits":
        """Find the waits that are open after the rows of a generation."""
        found = cls()
        for row in rows:
            found.add(row)
        return found

    def add(self, row: Row) -> None:
        """Take the next row into account."""
        timers: list[int] = []
        if row.turn is not None:
            for event in (*row.taken_from(self._held), *row.turn):
                self._feed(event)
                # The waits of this turn come last, behind all events that it fed.
                if isinstance(event, TimerCreated) and event.origin == TimerOrigin.EXTERNAL_EVENT:
                    due_us = event.fire_at_us if event.fire_at_us < END_OF_TIME_US else None
                    wait = OpenWait(event.reference or "", row.at_us, event.event_id, due_us)
                    self.waits.append(wait)
                    self._timed[event.event_id] = wait
                    timers.append(event.event_id)
        self._held += row.held
        if row.waits is not None:
            self._told = row.waits
        if self._told is not None and row.turn is not None:
            self._settle(self._told, row.at_us)
            self.certain.update(timers)

    def _feed(self, event: Event) -> None:
        """End the oldest wait of an event that is fed, or the wait of a timer."""
        if isinstance(event, EventRaised) and self.waits:
            key = event.name.casefold()
            position = next((n for n, wait in enumerate(self.waits) if wait.name.casefold() == key), None)
            if position is not None:
                del self.waits[position]
        elif isinstance(event, TimerFired) and self.waits:
            self.waits = [wait for wait in self.waits if wait.event_id != event.timer_id]

    def _settle(self, told: Sequence[str | int], at_us: int) -> None:
        """Keep the waits that a row lists, and add the ones that were not known or were taken for ended.

        If several waits for an event began in one turn, the history does not show which is the oldest.
        """
        if len(told) >= WAITS_TOLD_MAX:
            return  # there may be more
        timed = {wait: self._timed[wait] for wait in told if isinstance(wait, int) and wait in self._timed}
        names = Counter(wait for wait in told if isinstance(wait, str))
        surplus = Counter(wait.name for wait in self.waits if wait.event_id is None) - names
        kept: list[OpenWait] = []
        for wait in self.waits:
            if wait.event_id is not None:
                keep = timed.pop(wait.event_id, None) is not None
            else:
                keep = surplus[wait.name] <= 0
                surplus[wait.name] -= 1  # the oldest go
            if keep:
                kept.append(wait)
        missing = names - Counter(wait.name for wait in kept if wait.event_id is None)
        self.waits = [*kept, *timed.values(), *(OpenWait(name, at_us) for name in missing.elements())]
