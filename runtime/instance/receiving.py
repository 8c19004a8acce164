"""Receiving: the effect of each message on an instance in its present state.

The rule: a receiver changes the sheet and runs no code. The table
`RECEIVERS` has one function for each type of message; `turn.py` calls it for
each envelope, and feeds the code afterwards.
"""

import re
from collections.abc import Callable
from typing import Any

from ...actors.store.contract import Stored
from ...actors.text import type_name
from ...actors.turn import Envelope, Recover, ReminderDue, SetAside
from ...journal.vocabulary import CHILD_NOT_STARTED, LIMIT_REACHED
from ..dates import END_OF_TIME_US
from ..errors import (
    DescendantsUnknown,
    EventRefused,
    InstanceExists,
    InstanceFull,
    InstanceNotFound,
    RequestRefused,
)
from ..history.attempts import UNREAD, failed_for_good
from ..history.audit import AuditAction
from ..history.event import (
    ChildCompleted,
    ChildCreated,
    ChildFailed,
    DetachedCreated,
    EventRaised,
    EventSent,
    ExecutionStarted,
    TaskFailed,
    TaskScheduled,
    TimerCreated,
    TimerFired,
    task_completed,
)
from ..history.facets import facets_of
from ..history.failure import failure_of
from ..history.keys import is_same_key
from ..history.open_work import START_TIMER, OpenWork
from ..history.patches import patches_of
from ..history.record import InstanceRecord
from ..history.row import last_waits
from ..history.status import Status, Step, follow
from ..history.timeline import Timeline
from .bounds import bounded
from .effects import (
    EFFECTS,
    create_child,
    drop_asked_again,
    invoke,
    tell_parent,
    tell_parent_again,
    terminate_child,
    was_terminated_with_children,
)
from .ending import terminate
from .message import (
    ActivityDone,
    Check,
    ChildDone,
    ChildStarted,
    Continue,
    EventsTaken,
    Import,
    Purge,
    RaiseEvent,
    ReleaseAside,
    RemoteAnswer,
    Repair,
    Resume,
    Start,
    StartCopy,
    Suspend,
    Terminate,
    TryAgain,
    WorkflowAnswer,
    WorkflowTurnWork,
)
from .requests.repairing import receive_repair
from .requests.steering import (
    meets,
    receive_check,
    receive_purge,
    receive_recover,
    receive_release,
    receive_resume,
    receive_set_aside,
    receive_suspend,
    receive_terminate,
)
from .sheet import TurnSheet
from .state import trace_in

NUMBER = re.compile(r"-?[0-9]+", re.ASCII)


def _receive_start(sheet: TurnSheet, envelope: Envelope) -> None:
    """Begin an instance, in the place of a finished one with the same id if need be."""
    start: Start = envelope.body
    if sheet.termination is not None and not sheet.ended:
        # The termination was sent before the start, so it applies to the instance of the last run with this child id.
        terminate(sheet, sheet.termination)
        sheet.termination = None
    record = sheet.actor.record
    if record is None:
        _begin(sheet, start)
    elif start.parent is not None and start.parent == record.parent:
        # The parent sends its start again, because it does not know that the first one arrived.
        tell_parent_again(sheet)
    elif start.repeatable and _has_begun(record, start):
        pass
    elif not record.status.terminal:
        _refuse_start(sheet, envelope, InstanceExists(sheet.actor.instance_id))
        return
    elif start.unique or (start.keyed and is_same_key(record.run_id, start.execution_id)):
        _refuse_start(sheet, envelope, InstanceExists(sheet.actor.instance_id, unique=True))
        return
    elif record.has_children and envelope.reply is not None and start.descendants_finished != record.execution_id:
        _refuse_start(sheet, envelope, DescendantsUnknown(sheet.actor.instance_id, record.execution_id))
        return
    else:
        outbox = sheet.actor.outbox
        sheet.actor.forget()
        sheet.turn.reset = True
        sheet.holding.clear()
        sheet.asked = None
        _begin(sheet, start)
        sheet.actor.outbox, sheet.posted = outbox, bool(outbox)  # messages of the last holder of the id
    sheet.answer(envelope, sheet.actor.instance_id)


def _has_begun(record: InstanceRecord, start: Start) -> bool:
    """Whether a start has, or may have, begun this instance before.

    A later generation has another execution id. An ended instance counts as begun by it: to run one twice would be
    worse than not to start another.
    """
    return record.execution_id == start.execution_id or (record.generation > 0 and record.status.terminal)


def _begin(sheet: TurnSheet, start: Start) -> None:
    actor = sheet.actor
    later = start.start_at_us if start.start_at_us is not None and start.start_at_us > sheet.now_us else None
    actor.record = InstanceRecord(
        follow(None, Step.START),
        start.name,
        start.execution_id,
        sheet.now_us,
        parent=start.parent,
        root=start.root,
        parent_app=start.parent_app,
        tags=start.tags,
    )
    if start.trace is not None:
        actor.join(start.trace, start.execution_id)
    # Purged and begun anew in one turn: the old rows are replaced, not deleted.
    sheet.turn.reset = sheet.turn.reset or sheet.turn.delete
    sheet.turn.delete = False
    sheet.arrive(
        ExecutionStarted(
            start.name,
            start.input,
            start.execution_id,
            start.parent,
            later,
            start.version,
            start.trace,
            start.propagated,
            None,
            start.parent_app,
        )
    )
    if later is not None:
        sheet.timers_set[START_TIMER] = later
    if start.rerun_of is not None:
        sheet.audit(start.by, AuditAction.RERUN, source=start.rerun_of)


def _receive_copy(sheet: TurnSheet, envelope: Envelope) -> None:
    """Begin with the history of another instance, and repeat the requests that have no answer there."""
    copy: StartCopy = envelope.body
    actor = sheet.actor
    if actor.record is not None:
        sheet.answer(envelope, InstanceExists(actor.instance_id, unique=True))
        return
    record = copy.record
    actor.record = InstanceRecord(
        Status.RUNNING,
        record.name,
        record.execution_id,
        sheet.now_us,
        has_children=record.has_children,
        remote=record.remote,
        version=record.version,
        tags=record.tags,
    )
    actor.rows = list(copy.rows)
    actor.open = OpenWork.of(actor.rows, remote=record.remote)
    actor.patches = patches_of(actor.rows)
    actor.waits = last_waits(actor.rows)
    actor.events = sum(len(row.turn or ()) + len(row.held) for row in actor.rows)
    if (trace := trace_in(actor.rows)) is not None:
        actor.join(trace, record.execution_id)
        if actor.spans is not None:
            actor.spans.remember(actor.rows)
    for task in actor.open.tasks.values():
        invoke(sheet, task)
    for child in actor.open.children.values():
        create_child(sheet, child)
    for command in copy.sent:
        EFFECTS[type(command)](sheet, command)
    sheet.timers_set.update(
        {timer_id: due_us for timer_id, due_us in actor.open.timers.items() if due_us < END_OF_TIME_US}
    )
    packed = [actor.surroundings.packer.pack(*row) for row in actor.rows]
    sheet.turn.earlier, sheet.turn.entry = packed[:-1], packed[-1]
    if record.remote:
        actor.timeline = Timeline.of(actor.rows)
    sheet.audit(copy.by, AuditAction.RERUN, source=copy.source_id)
    sheet.answer(envelope, None)


def _receive_import(sheet: TurnSheet, envelope: Envelope) -> None:
    """Take over an instance that has ended elsewhere, without effects."""
    given: Import = envelope.body
    actor = sheet.actor
    if actor.record is not None:
        sheet.answer(envelope, InstanceExists(actor.instance_id, unique=True))
        return
    assert given.record.status.terminal
    record = given.record.pack(actor.surroundings.record_packer)
    facets = facets_of(given.record, given.changed_us)
    actor.remember(Stored(key=0, record=record, entries=given.entries, active=False, facets=facets))
    sheet.record_before = _record_now(sheet)  # changes of the record are announced from here
    sheet.turn.record, sheet.turn.facets = record, facets
    sheet.turn.earlier, sheet.turn.entry = given.entries[:-1], given.entries[-1]
    sheet.turn.reset = sheet.turn.reset or sheet.turn.delete
    sheet.turn.delete = False
    sheet.audit(given.by, AuditAction.IMPORT)
    sheet.answer(envelope, None)


def _record_now(sheet: TurnSheet) -> InstanceRecord | None:
    """The present record. A compiled build takes the field itself for unchanged after a call that changed it."""
    return sheet.actor.record


def _refuse_start(sheet: TurnSheet, envelope: Envelope, error: RequestRefused) -> None:
    start: Start = envelope.body
    if envelope.reply is not None:
        sheet.answer(envelope, error)
    elif start.parent is not None:
        # The parent may not wait for it, or have ended: then only this line reports it.
        sheet.note(
            CHILD_NOT_STARTED,
            instance_id=start.parent.instance_id,
            workflow=start.parent.name,
            child=start.name,
            child_id=sheet.actor.instance_id,
            error_type=type_name(error),
            reason=str(error),
        )
        tell_parent(sheet, start.parent, start.parent_app, Status.FAILED, None, failure_of(error))


def _receive_event(sheet: TurnSheet, envelope: Envelope) -> None:
    if envelope.body.strict:
        _receive_strict_event(sheet, envelope)
    elif _is_full(sheet, envelope):
        return
    elif envelope.body.key is not None:
        _receive_sent_event(sheet, envelope)
    elif sheet.takes(envelope):
        sheet.arrive(EventRaised(envelope.body.name, envelope.body.input))


def _is_full(sheet: TurnSheet, envelope: Envelope) -> bool:
    """Refuse an event for an instance that holds the maximum. Another instance sends its event again later."""
    actor = sheet.actor
    full = len(actor.held) >= actor.surroundings.limits.held_events_max and not sheet.ended
    if full:
        sheet.answer(envelope, InstanceFull(actor.instance_id, held=len(actor.held)))
        sheet.note(
            LIMIT_REACHED,
            limit="held_events_max",
            maximum=actor.surroundings.limits.held_events_max,
            what=f"instance {actor.instance_id!r} holds {len(actor.held)} events that its code has not taken yet",
            then="More are refused",
        )
    return full


def _receive_sent_event(sheet: TurnSheet, envelope: Envelope) -> None:
    """Take an event of another instance once; the sender repeats it until it knows that the event was taken.

    A stalled instance takes it too: the sender has no way to learn that it should try later.
    """
    event: RaiseEvent = envelope.body
    assert event.key is not None
    actor = sheet.actor
    if actor.record is None:
        sheet.answer(envelope, InstanceNotFound(actor.instance_id))
        return
    sheet.answer(envelope, None)
    if actor.received is None:
        actor.received = {}
    if not actor.record.status.terminal and event.key not in actor.received:
        actor.received[event.key] = None
        sheet.arrive(EventRaised(event.name, event.input, key=event.key))


def _receive_strict_event(sheet: TurnSheet, envelope: Envelope) -> None:
    """Take an event of a caller that repeats it, with its key, until it is accepted."""
    event: RaiseEvent = envelope.body
    actor = sheet.actor
    if actor.record is None:
        sheet.answer(envelope, InstanceNotFound(actor.instance_id))
        return
    if not meets(sheet, envelope, event.condition):
        return
    known = event.key is not None and actor.received is not None and event.key in actor.received
    if actor.record.status.terminal and not known:
        sheet.answer(envelope, EventRefused(actor.instance_id, event.name, actor.record.status.name))
        return
    if known:
        sheet.answer(envelope, None)
        return
    if _is_full(sheet, envelope):
        return
    sheet.answer(envelope, None)
    if event.key is not None:
        actor.received = {} if actor.received is None else actor.received
        actor.received[event.key] = None
    sheet.arrive(EventRaised(event.name, event.input, key=event.key))


def _receive_taken(sheet: TurnSheet, envelope: Envelope) -> None:
    taken: EventsTaken = envelope.body
    outbox = sheet.actor.outbox or {}
    for key in taken.keys:
        sheet.posted |= outbox.pop(key, None) is not None


def _receive_activity_done(sheet: TurnSheet, envelope: Envelope) -> None:
    done: ActivityDone = envelope.body
    record = sheet.actor.record
    if record is not None and record.status.terminal and record.execution_id == done.execution_id:
        # The last turn requested it without awaiting it: the result has no reader, and only this line reports a
        # failure.
        task = sheet.actor.open.tasks.pop(done.task_id, None)
        if sheet.actor.asked_again is not None:
            drop_asked_again(sheet, task)
        if task is not None and done.failure is not None:
            took_ms = max(0, sheet.now_us - done.began_us) // 1_000 if done.began_us is not None else None
            sheet.pass_on(failed_for_good(task.name, done.task_id, done.failure, then=UNREAD), took_ms=took_ms)
    elif sheet.awaits(done.execution_id) and done.task_id in sheet.actor.open.tasks:
        failure = done.failure
        if sheet.actor.asked_again is not None:
            drop_asked_again(sheet, sheet.actor.open.tasks[done.task_id])
        if done.result is not None and len(done.result) > sheet.actor.surroundings.limits.light_chars:
            failure = bounded(sheet, done)
        if failure is not None:
            sheet.arrive(TaskFailed(done.task_id, failure.pack(), None, None, done.began_us))
        else:
            sheet.arrive(task_completed((done.task_id, done.result, None, None, done.began_us, None)))


def _receive_child_done(sheet: TurnSheet, envelope: Envelope) -> None:
    done: ChildDone = envelope.body
    if sheet.awaits(done.execution_id) and done.task_id in sheet.actor.open.children:
        sheet.actor.unconfirmed.discard(done.task_id)
        if done.status == Status.COMPLETED:
            sheet.arrive(ChildCompleted(done.task_id, done.result))
        else:
            sheet.arrive(ChildFailed(done.task_id, done.failure.pack() if done.failure is not None else None))


def _receive_child_started(sheet: TurnSheet, envelope: Envelope) -> None:
    started: ChildStarted = envelope.body
    record = sheet.actor.record
    if record is None or record.execution_id != started.execution_id:
        return
    sheet.actor.unconfirmed.discard(started.task_id)
    child = sheet.actor.open.children.get(started.task_id)
    if child is not None and was_terminated_with_children(sheet):
        # The child began after its siblings were terminated.
        terminate_child(sheet, child)


def _receive_reminder(sheet: TurnSheet, envelope: Envelope) -> None:
    reminder: ReminderDue = envelope.body
    sheet.turn.reminders_cleared.append((reminder.name, reminder.due_us))
    record = sheet.actor.record
    if record is None or record.status.terminal:
        return
    timers = sheet.actor.open.timers
    timer_id = int(reminder.name) if NUMBER.fullmatch(reminder.name) else None
    if timer_id is not None and timers.get(timer_id) == reminder.due_us:
        sheet.timers_set.pop(timer_id, None)  # another reminder in this turn may have set it again, see below
        sheet.arrive(TimerFired(timer_id, reminder.due_us))
        return
    # Its timer belongs to an earlier generation, or its event came first. Or it comes from a damaged row, which no
    # checksum protects. The timers that it may have been for are set again: the history has their due times, and a
    # reminder that fires twice does no harm.
    sheet.doubt_timers(each for each, due_us in timers.items() if due_us <= sheet.now_us or each == timer_id)


def _receive_continue(sheet: TurnSheet, envelope: Envelope) -> None:
    """Do nothing: `take_turn` feeds the held events."""


def _receive_answer(sheet: TurnSheet, envelope: Envelope) -> None:
    """Keep the answer of a remote worker for this turn, if it is to the state that the instance is in.

    Any other answer is ignored: the next offer repeats the turn.
    """
    work: WorkflowTurnWork = envelope.body.work
    actor = sheet.actor
    same_past = sheet.awaits(work.execution_id) and work.position == sheet.position
    if same_past and actor.held[: len(work.fed)] == work.fed and not _is_late(envelope.body.answer, actor.open.last_id):
        sheet.answered = envelope.body
    actor.offered = None


def _is_late(answer: WorkflowAnswer, last_id: int) -> bool:
    """Whether an answer is to an earlier turn, though it came under the token of this one.

    JavaScript's SDK returns no token, so an answer that a restart of the daemon has delayed is taken for an answer to
    the turn that is dispatched now. Its commands have numbers that the history has already: SDKs number their commands,
    and use no number twice. The numbers of Go's and Java's SDKs begin with 0, which is also `last_id` of a history
    without commands.
    """
    if answer.token or last_id == 0:
        return False
    return any(command.event_id <= last_id for command in answer.commands if isinstance(command, NUMBERED))


NUMBERED = (ChildCreated, DetachedCreated, EventSent, TaskScheduled, TimerCreated)


def _receive_try_again(sheet: TurnSheet, envelope: Envelope) -> None:
    record = sheet.actor.record
    stalled = record is not None and record.status is Status.STALLED and record.set_aside is None
    if stalled and not sheet.actor.interrupted:
        sheet.actor.stalled_here = False
        sheet.actor.offered = None


RECEIVERS: dict[type[Any], Callable[[TurnSheet, Envelope], None]] = {
    Start: _receive_start,
    RaiseEvent: _receive_event,
    Check: receive_check,
    Suspend: receive_suspend,
    Resume: receive_resume,
    Terminate: receive_terminate,
    Purge: receive_purge,
    ActivityDone: _receive_activity_done,
    ChildDone: _receive_child_done,
    ChildStarted: _receive_child_started,
    EventsTaken: _receive_taken,
    ReminderDue: _receive_reminder,
    Continue: _receive_continue,
    Recover: receive_recover,
    SetAside: receive_set_aside,
    ReleaseAside: receive_release,
    RemoteAnswer: _receive_answer,
    Repair: receive_repair,
    StartCopy: _receive_copy,
    Import: _receive_import,
    TryAgain: _receive_try_again,
}
