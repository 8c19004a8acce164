"""The sheet of a turn: the results that one turn of a workflow actor has gathered so far.

The rule: a sheet reads no clock and waits for nothing. The stages of a turn
(`receiving.py`, `native.py`, `remote.py`, `ending.py`, `effects.py`) are
functions of the sheet; `turn.py` calls them in their order. The effects of a
turn stand in the `Turn` that the sheet fills, and happen after the commit.
"""

from collections.abc import Iterable
from typing import Any
from uuid import UUID, uuid5

from ...actors.address import Address
from ...actors.turn import Envelope, SetAside, Turn
from ...journal.line import LogLine, Note
from ..dates import END_OF_TIME_US
from ..errors import InstanceNotFound, InstanceStalled
from ..execution.drive import Execution
from ..execution.pending import told
from ..history.attribution import By
from ..history.audit import AuditAction, audit_entry, row_of
from ..history.event import Arrival, Event, ExecutionStalled
from ..history.facets import changed_facets
from ..history.open_work import START_TIMER, TAKERS
from ..history.record import InstanceRecord, pack_outbox
from ..history.row import Row
from ..history.status import Status, Step, follow
from ..history.timeline import Timeline
from ..observing.spans import EndedSpan, SpanNotes
from .message import RemoteAnswer, Terminate
from .state import Instance

AUDIT = UUID("4a6d3f0e-5a64-5c0c-8f6a-2f4b7e0d9c35")  # of the ids of entries for the audit


class TurnSheet:
    """One turn of one actor.

    Args:
        now_us: When the turn is taken; Unix time, microseconds. It may be earlier than the last turn's, if the clock
            was set back in between: the order of turns is the order of their rows.
    """

    __slots__ = (
        "actor",
        "answered",
        "arrived",
        "asked",
        "asked_again",
        "consumed",
        "holding",
        "now_us",
        "posted",
        "record_before",
        "setting_aside",
        "spans",
        "spans_ended",
        "termination",
        "timers_doubted",
        "timers_set",
        "turn",
        "turn_at_us",
        "waits_ended",
    )

    def __init__(self, actor: Instance, now_us: int) -> None:
        self.actor = actor
        self.now_us = now_us
        self.turn = Turn()
        self.record_before = actor.record
        self.arrived: list[Arrival] = []  # to be fed
        self.holding: list[Arrival] = []  # to be kept until they can be fed
        self.asked: list[Event] | None = None  # None: the execution was not fed
        self.asked_again = False  # activities of earlier turns are requested again
        self.termination: Terminate | None = None
        self.setting_aside: SetAside | None = None  # the instance is set aside in this turn
        self.timers_set: dict[int, int] = {}  # timer id to when it fires
        self.timers_doubted: dict[int, int] = {}  # the same for timers whose reminder may be damaged: set again if open
        self.answered: RemoteAnswer | None = None
        self.turn_at_us: int | None = None  # when the turn began for a remote worker, if it did
        self.posted = False  # whether the outbox has changed
        self.waits_ended = False  # whether an event has ended a wait of native code that has a timer
        self.spans: list[EndedSpan] = []  # that end in this turn
        self.spans_ended = False  # whether the span of the generation is among them
        self.consumed: int | None = None  # how many of the held events this turn feeds; None: all

    # The state of the instance, with the changes of this turn so far.

    @property
    def status(self) -> Status:
        """The status, with the changes of this turn."""
        assert self.actor.record is not None
        return self.actor.record.status

    @property
    def ended(self) -> bool:
        """Whether there is no instance, or it has ended: it holds nothing that will be fed."""
        return self.actor.record is None or self.actor.record.status.terminal

    @property
    def waits_for_start(self) -> bool:
        """Whether the scheduled time of the start has not come."""
        return START_TIMER in self.actor.open.timers

    @property
    def has_run(self) -> bool:
        """Whether the code of this generation has had a turn."""
        actor = self.actor
        if actor.timeline is not None:
            return actor.timeline.has_run
        return actor.execution is not None or any(row.turn is not None for row in actor.rows)

    @property
    def holds_food(self) -> bool:
        """Whether a held event can be fed to the code. A stall is never fed."""
        return any(not isinstance(event, ExecutionStalled) for event in self.actor.held)

    @property
    def generation(self) -> int:
        """The number of the generation, with the changes of this turn."""
        assert self.actor.record is not None
        return self.actor.record.generation

    @property
    def position(self) -> int:
        """How much history a remote worker knows of this generation."""
        actor = self.actor
        if actor.timeline is None:  # it has not run, but may have stalled
            actor.timeline = Timeline.of(actor.rows)
        return len(actor.timeline.events)

    # The findings of the stages.

    def takes(self, envelope: Envelope, *, stalled_too: bool = False) -> bool:
        """Answer a request; True if the instance is to act on it.

        Args:
            stalled_too: A stalled instance takes it. An instance that is set aside always does.
        """
        record = self.actor.record
        if record is None:
            self.answer(envelope, InstanceNotFound(self.actor.instance_id))
        elif record.status is Status.STALLED and record.set_aside is None and not stalled_too:
            self.answer(envelope, InstanceStalled(self.actor.instance_id))
        else:
            self.answer(envelope, None)
            return not record.status.terminal
        return False

    def awaits(self, execution_id: str) -> bool:
        """Whether an answer is for the generation that is running now."""
        record = self.actor.record
        return record is not None and not record.status.terminal and record.execution_id == execution_id

    def arrive(self, event: Arrival) -> None:
        """Take in an event: it is fed in this turn, unless the instance is suspended."""
        actor = self.actor
        if (take := TAKERS.get(type(event))) is not None:
            take(actor.open, event)
        record = actor.record
        assert record is not None
        (self.holding if record.status.suspended else self.arrived).append(event)

    def hold(self, event: Arrival) -> None:
        """Keep an event until it can be fed."""
        self.holding.append(event)

    def hold_all(self) -> None:
        """Feed nothing in this turn: keep all that has arrived, in front of the events held already."""
        self.holding[:0] = self.arrived
        self.arrived.clear()

    def answer(self, envelope: Envelope, answer: Any) -> None:
        """Answer a message that has a reply, after the commit; an exception is raised at the caller."""
        if envelope.reply is not None:
            self.turn.replies.append((envelope.reply, answer))

    def note(self, line: LogLine, **values: Any) -> None:
        """Have a line written to the log after the commit, with the instance and its workflow as fields."""
        record = self.actor.record
        whose = {"instance_id": self.actor.instance_id, "workflow": record.name if record is not None else None}
        self.turn.notes = (*self.turn.notes, Note(line, whose | values))

    def pass_on(self, note: Note, *, took_ms: int | None = None) -> None:
        """Have the line of a note written that does not name the instance.

        Args:
            took_ms: How long it lasted, in milliseconds; None if unknown.
        """
        self.note(note.line, **note.values, duration_ms=took_ms)

    def audit(
        self, by: By | None, action: AuditAction, *, source: str | None = None, detail: str | None = None
    ) -> str | None:
        """Write an entry for the audit: this turn changes the instance on behalf of a caller.

        Args:
            by: The author; None: the engine itself, and nothing is written.
            source: Of a rerun: the instance that is run again.
            detail: Of a repair: its kind.

        Returns:
            The id of the entry.
        """
        record = self.actor.record
        assert record is not None
        if by is None:
            return None
        rows = self.turn.audit
        entry_id = uuid5(AUDIT, f"{record.execution_id}/{self.now_us}/{len(rows)}").hex
        entry = audit_entry(
            by,
            action,
            id=entry_id,
            at_us=self.now_us,
            instance_id=self.actor.instance_id,
            execution_id=record.execution_id,
            source=source,
            detail=detail,
        )
        self.turn.audit = (*rows, row_of(entry))
        return entry_id

    @property
    def events(self) -> list[Event]:
        """The events of this turnso far."""
        return [*self.arrived, *self.holding, *(self.asked or ())]

    def end_span(self, status: str, error: str | None = None) -> None:
        """Have the span of the generation reported, which ends in this turn.

        Args:
            status: The word for how it ends.
            error: Why it failed.
        """
        actor, notes = self.actor, self.actor.spans
        if notes is None:
            return
        record = actor.record
        assert record is not None
        self.spans += notes.take_in(self.now_us, self.events, actor.instance_id)
        span = notes.ended(
            record.name,
            status,
            instance_id=actor.instance_id,
            version=record.version,
            began_us=min(record.started_us or record.created_us, self.now_us),
            ended_us=self.now_us,
            error=error,
            patches=actor.patches,
        )
        self.spans.append(span)
        self.spans_ended = True
        actor.spans = None

    def tell_spans(self, notes: SpanNotes | None) -> None:
        """Have the spans reported that end in this turn.

        Args:
            notes: The notes of the generation that took the turn.
        """
        actor = self.actor
        if notes is None or actor.record is None:
            return
        if not self.spans_ended:
            self.spans += notes.take_in(self.now_us, self.events, actor.instance_id)
        choice = actor.surroundings.spans
        if choice is not None and choice.turns and (self.asked is not None or self.spans_ended):
            began_us = self.turn_at_us or self.now_us
            fed, asked = len(self.arrived), len(self.asked or ())
            self.spans.append(notes.turn(actor.record.name, actor.instance_id, began_us=began_us, fed=fed, asked=asked))
        if self.spans:
            self.turn.messages.append((Address(actor.surroundings.own.spans, actor.instance_id), tuple(self.spans)))

    def step(self, step: Step) -> None:
        """Change the status of the instance.

        Raises:
            IllegalStep: The table in `runtime/history/status.py` does not have the step.
        """
        record = self.actor.record
        assert record is not None
        status = follow(record.status, step)
        if status is not record.status:
            self.actor.record = record._replace(status=status)

    def doubt_timers(self, timer_ids: Iterable[int]) -> None:
        """Set open timers again, whose rows the disk may have lost; not those of waits that may have ended."""
        work = self.actor.open
        for timer_id in timer_ids:
            if work.timers[timer_id] < END_OF_TIME_US and timer_id not in work.doubtful:
                self.timers_doubted[timer_id] = work.timers[timer_id]

    # The end of the turn.

    def finish(self) -> None:
        """Write the results into the turn: the row, the record, the reminders, the active mark."""
        actor = self.actor
        turn = self.turn
        if self.timers_doubted:
            self._set_again()
        if self.timers_set:
            turn.reminders_set = [(str(timer_id), due_us) for timer_id, due_us in self.timers_set.items()]
            # A worker computes the times of its timers from the time that it was sent.
            turn.reminders_from_us = self.turn_at_us
        if self.asked is not None or self.holding:
            turn.entry = self._row()
            actor.last_us = self.now_us
        if self.posted and actor.record is not None:
            actor.record = actor.record._replace(outbox=pack_outbox(actor.outbox or {}))
        record, before = actor.record, self.record_before
        if record is not None:
            if record is not before and record != before:
                turn.record = record.pack(actor.surroundings.record_packer)
                turn.facets = facets = changed_facets(before, record, self.now_us)
                if facets is not None:
                    actor.changed_us = self.now_us
            turn.busy = busy = self.busy(record)
            turn.quiet = not busy and record.status.terminal

    def _set_again(self) -> None:
        """Set the timers that are doubted and still open."""
        for timer_id, due_us in self.timers_doubted.items():
            reminder = (str(timer_id), due_us)
            if self.actor.open.timers.get(timer_id) == due_us and reminder not in self.turn.reminders_cleared:
                self.timers_set[timer_id] = due_us

    def _row(self) -> bytes:
        """Write the row of this turn, and keep in memory the parts that the next turn needs."""
        actor, asked, holding = self.actor, self.asked, self.holding
        at_us = self.turn_at_us or self.now_us
        events = None if asked is None else [*self.arrived, *asked]
        code = actor.execution
        waits = None
        if code is not None and (code.waits or actor.waits or self.waits_ended):
            waits = self._waits(code)
        if events is not None:
            actor.events += len(events)
            if actor.held:
                del actor.held[: self.consumed]
        if holding:
            actor.events += len(holding)
            actor.held += holding
        if code is None or actor.timeline is not None:
            self._remember(Row(at_us, events, holding, self.consumed, waits))
        return actor.surroundings.packer.pack(at_us, events, holding, self.consumed, waits)

    def _waits(self, code: Execution) -> tuple[str | int, ...] | None:
        """The events that the code waits for after this turn, in the form of a row; None if they are unchanged."""
        waits = told(code.waits)
        if waits == self.actor.waits and not self.waits_ended:
            return None
        self.actor.waits = waits
        return waits

    def _remember(self, row: Row) -> None:
        """Keep the row of code that is not here."""
        actor = self.actor
        if actor.timeline is not None:
            actor.timeline.add(row)
            actor.rows = [row]
        else:
            actor.rows.append(row)

    def busy(self, record: InstanceRecord) -> bool:
        """Whether a restart would have to recover the instance."""
        actor = self.actor
        if actor.outbox:
            return True
        status = record.status
        if status.terminal:
            if record.set_aside is not None:
                return False
            return bool(actor.open.tasks or actor.unconfirmed) and status is not Status.TERMINATED
        if actor.open.tasks or actor.unconfirmed or status.stalled:
            return True
        return bool(actor.held) and self.holds_food and not status.suspended and not self.waits_for_start
