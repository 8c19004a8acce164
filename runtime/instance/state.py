"""The memory of a workflow actor: its instance, between two turns.

The rule: all of it can be made again from the store. Only the
stages of a turn change a field (`turn.py` and the files that it names).
"""

from collections.abc import Sequence
from typing import Protocol

from ...actors.store.contract import Stored
from ...actors.store.listing import Facets
from ...actors.turn import Turn
from ..execution.drive import Execution
from ..history.event import Arrival, DetachedCreated, EventRaised, EventSent, ExecutionStarted, Trace
from ..history.facets import facets_of
from ..history.open_work import OpenWork
from ..history.patches import patches_of
from ..history.record import EVENT_KEY_BYTES, InstanceRecord, unpack_outbox, unpack_record
from ..history.row import Row, last_waits, unpack_row
from ..history.timeline import Timeline
from ..observing.spans import SpanNotes, notes_of
from ..observing.trace_context import TraceContext
from .message import WorkflowTurnWork
from .surroundings import Surroundings


class Offered(Protocol):
    """A turn that an instance offers to remote workers.

    `offer.py` fulfils it and describes each field; the dispatcher takes and settles an offer.
    """

    instance_id: str
    execution_id: str
    name: str
    position: int
    patience_s: float

    @property
    def fed(self) -> Sequence[Arrival]:
        """The events that the turn feeds, once they are settled."""
        ...

    def settle(self) -> WorkflowTurnWork | None:
        """Settle the events and return the work for the worker; None: the turn cannot be taken any more."""
        ...

    def hurry(self) -> bool:
        """End the wait for further events if none can come soon; return whether it ends only now."""
        ...


class Instance:
    """One instance in memory. Its fields belong to the turn (`turn.py`), and one turn is taken at a time."""

    __slots__ = (
        "asked_again",
        "changed_us",
        "events",
        "execution",
        "held",
        "instance_id",
        "interrupted",
        "last_us",
        "offered",
        "open",
        "outbox",
        "patches",
        "ran_us",
        "received",
        "record",
        "rows",
        "spans",
        "stalled_here",
        "surroundings",
        "timeline",
        "trace",
        "unconfirmed",
        "waits",
        "was_stalled",
    )

    def __init__(self, surroundings: Surroundings, instance_id: str, stored: Stored | None) -> None:
        self.surroundings = surroundings
        self.instance_id = instance_id
        # None: there is no instance with this id.
        self.record: InstanceRecord | None = None
        self.changed_us = 0  # when its status, custom status or generation has changed last; Unix time, microseconds
        # Of this generation; kept only until the execution is built from it.
        self.rows: list[Row] = []
        self.open = OpenWork()
        # The last turn that requests activities of earlier turns again, until all of these have answers. While the turn
        # is being committed, none of them has begun.
        self.asked_again: Turn | None = None
        self.events = 0  # the number of events in the history of this generation
        self.execution: Execution | None = None
        # Events that are durable and not fed yet.
        self.held: list[Arrival] = []
        # Of a remote execution: its history as its worker knows it, the patches that were applied, the turn that
        # is offered to workers or with one now, and when the code has run last (Unix time, microseconds).
        self.timeline: Timeline | None = None
        self.patches: tuple[str, ...] = ()
        self.offered: Offered | None = None
        self.ran_us = 0
        # The external events that the app's own code waits for, from the last row that lists them.
        self.waits: tuple[str | int, ...] = ()
        # When its last turn was taken; Unix time, microseconds.
        self.last_us = 0
        # Children whose id the code chose, until a message says that they exist.
        self.unconfirmed: set[int] = set()
        # Events for other instances that are not known to have arrived, by key; and the keys of events that came from
        # other instances. Oldest first; None: there was none yet, as in most instances.
        self.outbox: dict[bytes, EventSent | DetachedCreated] | None = None
        self.received: dict[bytes, None] | None = None
        # The code that is here has been tried on the history and does not fit.
        self.stalled_here = False
        # The trace that its requests are part of; and the notes for its own span, if spans are made of it.
        self.trace: Trace | None = None
        self.spans: SpanNotes | None = None
        # Its turns failed in this process or an earlier one, and the record says so.
        self.was_stalled = False
        # Its code was interrupted, and is not tried again before the instance is loaded anew.
        self.interrupted = False
        if stored is not None:
            self.remember(stored)

    @property
    def facets(self) -> Facets | None:
        """The facets that lists have of it, or will have after the commit; None without an instance."""
        return facets_of(self.record, self.changed_us) if self.record is not None else None

    def close(self) -> None:
        """Leave memory."""
        if self.execution is not None:
            self.execution.close()

    def forget(self) -> None:
        """Clear the state, as if no instance had ever had this id."""
        self.close()
        self.record = None
        self.changed_us = 0
        self.rows = []
        self.open = OpenWork()
        self.events = 0
        self.execution = None
        self.held = []
        self.timeline = None
        self.patches = ()
        self.waits = ()
        self.offered = None
        self.unconfirmed = set()
        self.outbox = None
        self.received = None
        self.trace = None
        self.spans = None
        self.stalled_here = False
        self.interrupted = False

    def join(self, trace: Trace | None, execution_id: str, link: TraceContext | None = None) -> None:
        """Be part of a trace from now on.

        Args:
            trace: The trace in which the generation begins, if any.
            link: The span of the generation before, if that is in another trace.
        """
        notes = (
            notes_of(trace, execution_id, link) if trace is not None and self.surroundings.spans is not None else None
        )
        self.spans = notes
        self.trace = notes.context.trace if notes is not None else trace

    def remember(self, stored: Stored) -> None:
        """Take the state that the store has."""
        self.record = unpack_record(stored.record)
        self.was_stalled = self.record.set_aside is not None and self.record.set_aside.until_restart
        self.rows = [unpack_row(entry) for entry in stored.entries]
        self.open = OpenWork.of(self.rows, remote=self.record.remote)
        self.events = sum(len(row.turn or ()) + len(row.held) for row in self.rows)
        if stored.active:
            self.unconfirmed = {child.event_id for child in self.open.children.values() if child.named}
        if self.rows:
            self.last_us = self.rows[-1].at_us
        self.changed_us = self.last_us or self.record.created_us
        if stored.facets is not None:
            self.changed_us = stored.facets.updated_us
        if self.record.outbox:
            self.outbox = unpack_outbox(self.record.outbox)
        self.received = _received(self.record.received, self.rows)
        if self.record.status.terminal:
            self.rows = self.rows[-1:]
            self.open.keep_only(self.rows)
            if not stored.active and self.record.set_aside is None:
                self.open.tasks = {}  # they have been performed: no row shows it any more, but the mark is gone
            return
        if (trace := trace_in(self.rows)) is not None:
            self.join(trace, self.record.execution_id)
            if self.spans is not None:
                self.spans.remember(self.rows)
        for row in self.rows:
            row.taken_from(self.held)
            self.held.extend(row.held)  # type: ignore[arg-type]  # only arrivals are ever held
        self.waits = last_waits(self.rows)
        if self.record.remote:
            self.timeline = Timeline.of(self.rows)
            self.patches = patches_of(self.rows)
            self.rows = self.rows[-1:]


def trace_in(rows: Sequence[Row]) -> Trace | None:
    """The trace in which a generation began. Its start is in its first row."""
    for row in rows[:1]:
        for event in (*(row.turn or ()), *row.held):
            if isinstance(event, ExecutionStarted):
                return event.trace
    return None


def _received(earlier: bytes, rows: Sequence[Row]) -> dict[bytes, None] | None:
    """The keys of the events that other instances have sent: to earlier generations, and to this one."""
    keys = [earlier[begin : begin + EVENT_KEY_BYTES] for begin in range(0, len(earlier), EVENT_KEY_BYTES)]
    for row in rows:
        for events in (row.turn or (), row.held):
            keys += [event.key for event in events if isinstance(event, EventRaised) and event.key is not None]
    return dict.fromkeys(keys) if keys else None
