"""Receiving: what each message means for an instance as it stands.

The one law: a receiver changes the sheet and runs no code. The table
`RECEIVERS` has one function for each type of message; `turn.py` calls it for
each envelope, and feeds the code afterwards.
"""

import logging
import re
from collections.abc import Callable
from typing import Any

from ...actors.turn import Envelope, Recover, ReminderDue, SetAside
from ..dates import END_OF_TIME_US
from ..errors import (
    DescendantsUnknown,
    InstanceExists,
    InstanceFull,
    InstanceNotFound,
    InstanceNotSetAside,
    InstanceStalled,
    InstanceUnfinished,
    RequestRefused,
)
from ..history.event import (
    ChildCompleted,
    ChildFailed,
    EventRaised,
    ExecutionResumed,
    ExecutionStarted,
    ExecutionSuspended,
    TaskCompleted,
    TaskFailed,
    TimerFired,
)
from ..history.failure import failure_of
from ..history.open_work import START_TIMER, OpenWork
from ..history.patches import patches_of
from ..history.record import InstanceRecord
from ..history.row import last_waits
from ..history.status import Status, Step, follow
from ..history.timeline import Timeline
from .bounds import bounded
from .effects import (
    clear_timers,
    create_child,
    invoke,
    send_again,
    start_child,
    tell_parent,
    tell_parent_again,
    terminate_child,
    terminate_children,
    was_terminated_with_children,
    withdraw,
)
from .ending import release, set_aside
from .message import (
    ActivityDone,
    ChildDone,
    ChildStarted,
    Continue,
    EventsTaken,
    Purge,
    RaiseEvent,
    ReleaseAside,
    RemoteAnswer,
    Resume,
    Start,
    StartCopy,
    Suspend,
    Terminate,
    TryAgain,
    WorkflowTurnWork,
)
from .sheet import TurnSheet

logger = logging.getLogger(__name__)

NUMBER = re.compile(r"-?[0-9]+", re.ASCII)


def _receive_start(sheet: TurnSheet, envelope: Envelope) -> None:
    """Begin an instance, in the place of a finished one with the same id if need be."""
    start: Start = envelope.body
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
    elif start.unique:
        _refuse_start(sheet, envelope, InstanceExists(sheet.actor.instance_id, unique=True))
        return
    elif record.has_children and envelope.reply is not None and start.descendants_finished != record.execution_id:
        _refuse_start(sheet, envelope, DescendantsUnknown(sheet.actor.instance_id, record.execution_id))
        return
    else:
        outbox = sheet.actor.outbox
        sheet.actor.forget()
        sheet.turn.reset = True
        _begin(sheet, start)
        sheet.actor.outbox, sheet.posted = outbox, bool(outbox)  # the last holder of the id has sent them
    sheet.answer(envelope, sheet.actor.instance_id)


def _has_begun(record: InstanceRecord, start: Start) -> bool:
    """Whether an instance is, or may be, the one that a start has begun before.

    A later generation has another execution id. One that has ended is taken for it: to run it again would be worse than
    not to start another.
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
        tags=start.tags,
    )
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
        )
    )
    if later is not None:
        sheet.timers_set[START_TIMER] = later


def _receive_copy(sheet: TurnSheet, envelope: Envelope) -> None:
    """Begin with the history of another instance, and ask again for what that history has no answer to."""
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
    for task in actor.open.tasks.values():
        invoke(sheet, task)
    for child in actor.open.children.values():
        create_child(sheet, child)
    sheet.timers_set.update(
        {timer_id: due_us for timer_id, due_us in actor.open.timers.items() if due_us < END_OF_TIME_US}
    )
    packed = [actor.surroundings.packer.pack(*row) for row in actor.rows]
    sheet.turn.earlier, sheet.turn.entry = packed[:-1], packed[-1]
    if record.remote:
        actor.timeline = Timeline.of(actor.rows)
    sheet.answer(envelope, None)


def _refuse_start(sheet: TurnSheet, envelope: Envelope, error: RequestRefused) -> None:
    start: Start = envelope.body
    if envelope.reply is not None:
        sheet.answer(envelope, error)
    elif start.parent is not None:
        # The parent may not wait for it, or have ended: then this line alone tells.
        logger.warning(
            "child %r (workflow %r) of %r was not started: %s",
            sheet.actor.instance_id,
            start.name,
            start.parent.instance_id,
            error,
        )
        tell_parent(sheet, start.parent, Status.FAILED, None, failure_of(error))


def _receive_event(sheet: TurnSheet, envelope: Envelope) -> None:
    actor = sheet.actor
    if len(actor.held) >= actor.surroundings.limits.held_events_max and not sheet.ended:
        # Another instance's event stays with its sender, which tries again.
        sheet.answer(envelope, InstanceFull(actor.instance_id, held=len(actor.held)))
    elif envelope.body.key is not None:
        _receive_sent_event(sheet, envelope)
    elif sheet.takes(envelope):
        sheet.arrive(EventRaised(envelope.body.name, envelope.body.input))


def _receive_sent_event(sheet: TurnSheet, envelope: Envelope) -> None:
    """Take an event of another instance, which sends it again until it knows that it was taken, once.

    A stalled instance takes it too: the sender cannot be told to try later.
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


def _receive_taken(sheet: TurnSheet, envelope: Envelope) -> None:
    taken: EventsTaken = envelope.body
    outbox = sheet.actor.outbox or {}
    for key in taken.keys:
        sheet.posted |= outbox.pop(key, None) is not None


def _receive_suspend(sheet: TurnSheet, envelope: Envelope) -> None:
    if _refuses_while_aside(sheet, envelope):
        return
    if sheet.takes(envelope) and sheet.status is not Status.SUSPENDED:
        sheet.step(Step.SUSPEND)
        sheet.hold(ExecutionSuspended(envelope.body.reason))


def _refuses_while_aside(sheet: TurnSheet, envelope: Envelope) -> bool:
    """Refuse a request that an instance takes only when it is not set aside."""
    record = sheet.actor.record
    refused = record is not None and record.set_aside is not None and not record.status.terminal
    if refused:
        sheet.answer(envelope, InstanceStalled(sheet.actor.instance_id))
    return refused


def _receive_resume(sheet: TurnSheet, envelope: Envelope) -> None:
    if _refuses_while_aside(sheet, envelope):
        return
    if sheet.takes(envelope) and sheet.status is Status.SUSPENDED:
        sheet.step(Step.RESUME if sheet.has_run else Step.RESUME_START)
        sheet.hold(ExecutionResumed(envelope.body.reason))
        # What stalled it while it was suspended is found again, and recorded then.
        sheet.actor.stalled_here = False
        if not sheet.waits_for_start:
            sheet.arrived.extend(sheet.holding)
            sheet.holding.clear()


def _receive_terminate(sheet: TurnSheet, envelope: Envelope) -> None:
    termination: Terminate = envelope.body
    record = sheet.actor.record
    if termination.parent is not None and (record is None or record.parent != termination.parent):
        # The id belongs to another instance, or the child does not exist yet (see `_receive_child_started`).
        return
    if sheet.takes(envelope):
        sheet.termination = termination


def _receive_purge(sheet: TurnSheet, envelope: Envelope) -> None:
    record = sheet.actor.record
    if record is None:
        sheet.answer(envelope, InstanceNotFound(sheet.actor.instance_id))
    elif record.set_aside is not None:
        _forget(sheet, envelope)
    elif record.status is Status.STALLED and not envelope.body.force:
        sheet.answer(envelope, InstanceStalled(sheet.actor.instance_id))
    elif not record.status.terminal and not envelope.body.force:
        sheet.answer(envelope, InstanceUnfinished(sheet.actor.instance_id))
    else:
        _forget(sheet, envelope)


def _forget(sheet: TurnSheet, envelope: Envelope) -> None:
    record = sheet.actor.record
    clear_timers(sheet)
    withdraw(sheet, sheet.actor.open.tasks, ended=record is not None and not record.status.terminal)
    sheet.actor.forget()
    sheet.arrived.clear()
    sheet.holding.clear()
    sheet.termination = None
    sheet.answered = None
    sheet.turn.delete = True
    sheet.answer(envelope, None)


def _receive_activity_done(sheet: TurnSheet, envelope: Envelope) -> None:
    done: ActivityDone = envelope.body
    record = sheet.actor.record
    if record is not None and record.status.terminal and record.execution_id == done.execution_id:
        # The last turn asked for it without awaiting it: the result has no reader.
        sheet.actor.open.tasks.pop(done.task_id, None)
    elif sheet.awaits(done.execution_id) and done.task_id in sheet.actor.open.tasks:
        failure = done.failure
        if done.result is not None and len(done.result) > sheet.actor.surroundings.limits.light_chars:
            failure = bounded(sheet, done)
        if failure is not None:
            sheet.arrive(TaskFailed(done.task_id, failure.pack(), None, None, done.began_us))
        else:
            sheet.arrive(TaskCompleted(done.task_id, done.result, None, None, done.began_us))


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
        # The child began after its siblings were told to end.
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
        sheet.arrive(TimerFired(timer_id, reminder.due_us))
        return
    # Its timer is of an earlier generation, or its event came first. But it may also be what is left of a row that has
    # changed on the disk, where no checksum tells. The timers that it may have been for are set again: the history
    # says when they are due, and a reminder that comes twice does no harm.
    for open_id, due_us in timers.items():
        if (due_us <= sheet.now_us or open_id == timer_id) and due_us < END_OF_TIME_US:
            sheet.timers_set.setdefault(open_id, due_us)


def _receive_continue(sheet: TurnSheet, envelope: Envelope) -> None:
    """Do nothing: `take_turn` feeds what is held."""


def _receive_answer(sheet: TurnSheet, envelope: Envelope) -> None:
    """Keep the answer of a remote worker for this turn, if it is to the state that the instance is in.

    Another answer is void: the next offer asks for the turn again.
    """
    work: WorkflowTurnWork = envelope.body.work
    actor = sheet.actor
    same_past = sheet.awaits(work.execution_id) and work.position == sheet.position
    if same_past and actor.held[: len(work.fed)] == work.fed:
        sheet.answered = envelope.body
    actor.offered = None


def _receive_try_again(sheet: TurnSheet, envelope: Envelope) -> None:
    record = sheet.actor.record
    stalled = record is not None and record.status is Status.STALLED and record.set_aside is None
    if stalled and not sheet.actor.interrupted:
        sheet.actor.stalled_here = False
        sheet.actor.offered = None


def _receive_recover(sheet: TurnSheet, envelope: Envelope) -> None:
    """Send again all messages that may not have arrived before the restart."""
    record = sheet.actor.record
    if record is None:
        return
    if record.set_aside is not None and record.set_aside.until_restart and sheet.setting_aside is None:
        release(sheet)
        record = sheet.actor.record
        assert record is not None
    send_again(sheet)
    if record.status.terminal:
        tell_parent_again(sheet)
    if record.set_aside is not None:
        return
    if was_terminated_with_children(sheet):
        terminate_children(sheet)
    if record.status is not Status.TERMINATED:
        for task in sheet.actor.open.tasks.values():
            invoke(sheet, task)
        for child in sheet.actor.open.children.values():
            # A finished instance does not wait for its children. If another instance has the id by now, the child has
            # run already.
            start_child(sheet, child, unique=record.status.terminal)


def _receive_set_aside(sheet: TurnSheet, envelope: Envelope) -> None:
    """Set the instance aside; one that does not exist yet as soon as a start in this turn makes it (`turn.py`)."""
    sheet.setting_aside = envelope.body
    if sheet.actor.record is not None:
        set_aside(sheet, sheet.setting_aside)


def _receive_release(sheet: TurnSheet, envelope: Envelope) -> None:
    """Let an instance that was set aside go on, and ask again for what is open."""
    record = sheet.actor.record
    if record is None:
        sheet.answer(envelope, InstanceNotFound(sheet.actor.instance_id))
    elif record.set_aside is None:
        sheet.answer(envelope, InstanceNotSetAside(sheet.actor.instance_id, record.status.name))
    else:
        release(sheet)
        sheet.answer(envelope, None)
        if envelope.body.begin:
            _receive_recover(sheet, envelope)


RECEIVERS: dict[type[Any], Callable[[TurnSheet, Envelope], None]] = {
    Start: _receive_start,
    RaiseEvent: _receive_event,
    Suspend: _receive_suspend,
    Resume: _receive_resume,
    Terminate: _receive_terminate,
    Purge: _receive_purge,
    ActivityDone: _receive_activity_done,
    ChildDone: _receive_child_done,
    ChildStarted: _receive_child_started,
    EventsTaken: _receive_taken,
    ReminderDue: _receive_reminder,
    Continue: _receive_continue,
    Recover: _receive_recover,
    SetAside: _receive_set_aside,
    ReleaseAside: _receive_release,
    RemoteAnswer: _receive_answer,
    StartCopy: _receive_copy,
    TryAgain: _receive_try_again,
}
