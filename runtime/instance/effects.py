"""Effects: the actions that carry out the commands of workflow code.

The rule: an effect is written into the turn, and happens after its commit.
The table `EFFECTS` says which command has which; the other commands are
recorded and do nothing. The stages `ending`, `native`, `remote` and `receiving`
use these functions too.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any
from uuid import UUID, uuid5

from ...actors.address import Address, address_of
from ..dates import END_OF_TIME_US
from ..history.event import (
    ChildCreated,
    Command,
    DetachedCreated,
    EventSent,
    ExecutionCompleted,
    ExecutionTerminated,
    Parent,
    TaskScheduled,
    TimerCreated,
)
from ..history.failure import FailureDetails
from ..history.open_work import TAKERS
from ..history.status import Status
from .message import (
    ChildDone,
    Invoke,
    SendEvent,
    Start,
    Terminate,
    Withdraw,
)
from .sheet import TurnSheet
from .state import Instance

GENERATIONS = UUID("0d9b3c55-63b0-5f0a-9d0b-3f3e6a0f1c92")  # of the execution ids of later generations


def carry_out(sheet: TurnSheet, commands: Sequence[Command]) -> None:
    """Carry out the commands of the code, in their order."""
    work = sheet.actor.open
    for command in commands:
        kind = type(command)
        if (take := TAKERS.get(kind)) is not None:
            take(work, command)
        effect = EFFECTS.get(kind)
        if effect is not None:
            effect(sheet, command)


def invoke(sheet: TurnSheet, task: TaskScheduled, *, again: bool = False) -> None:
    """Have an activity performed. An activity of another app is a call, which an actor of that app handles.

    Args:
        again: Perform it although it is under way, because it hangs.
    """
    actor = sheet.actor
    assert actor.record is not None
    execution_id = actor.record.execution_id
    surroundings = actor.surroundings
    app = surroundings.own if task.target_app is None else surroundings.own.of(task.target_app)
    elsewhere = app is not surroundings.own
    message = Invoke(
        task.name,
        task.input,
        actor.instance_id,
        execution_id,
        task.event_id,
        task.task_execution_id,
        task.wire,
        task.propagation,
        None,
        actor.record.name,
        # The dictionary exists only after a retry: most often one look is enough.
        1 if actor.execution is not None and actor.execution.retries is None else _attempt(actor, task),
        again,
        actor.trace,
        surroundings.app_id if elsewhere else None,
    )
    kind = app.call if elsewhere else app.activity
    sheet.turn.messages.append((address_of((kind, f"{execution_id}:{task.event_id}")), message))


def invoke_again(sheet: TurnSheet, task: TaskScheduled, *, hangs: bool = False) -> None:
    """Request an activity of an earlier turn again, unless its answer comes in this turn.

    Args:
        hangs: Perform it although it is under way.
    """
    sheet.asked_again = True
    invoke(sheet, task, again=hangs)


def drop_answered(sheet: TurnSheet) -> None:
    """Drop the requests for activities that were answered in this turn, or whose generation has ended in it."""
    record, tasks = sheet.actor.record, sheet.actor.open.tasks
    execution_id = record.execution_id if record is not None else None
    sheet.turn.messages = [
        (address, body)
        for address, body in sheet.turn.messages
        if not isinstance(body, Invoke) or (body.execution_id == execution_id and body.task_id in tasks)
    ]


def drop_asked_again(sheet: TurnSheet, task: TaskScheduled | None) -> None:
    """Drop the repeated request for an activity whose answer is here, if the turn with that request is still being
    committed.

    If the commit of the answer fails, a new activation recovers, and requests the activity again.
    """
    actor = sheet.actor
    turn = actor.asked_again
    assert turn is not None
    if task is None:
        return
    task_id = task.event_id
    asked = turn.messages
    turn.messages = [
        (address, body) for address, body in asked if not isinstance(body, Invoke) or body.task_id != task_id
    ]
    if len(turn.messages) < len(asked):
        if actor.surroundings.own.of(task.target_app) is not actor.surroundings.own:
            turn.called_off += len(asked) - len(turn.messages)  # the messages to calls, which are actors
        withdraw(sheet, [task])  # it may be waiting for its place
    if not any(isinstance(body, Invoke) for _, body in turn.messages):
        actor.asked_again = None


def _attempt(actor: Instance, task: TaskScheduled) -> int | None:
    """The number of a try of an activity; None for code that is with a remote worker."""
    execution = actor.execution
    if execution is not None:
        return execution.retries.get(task.event_id, 1) if execution.retries is not None else 1
    if actor.timeline is not None:
        return None
    # After a restart, before the code has run again: the tries of a call have the same id.
    tries = (event for row in actor.rows for event in row.turn or () if isinstance(event, TaskScheduled))
    return sum(
        1 for each in tries if each.task_execution_id == task.task_execution_id and each.event_id <= task.event_id
    )


def withdraw(sheet: TurnSheet, tasks: Iterable[TaskScheduled], *, ended: bool = False) -> None:
    """Withdraw activities that nothing waits for any more.

    Args:
        ended: The instance ends without its code: running activities have no use either.
    """
    actor = sheet.actor
    record = actor.record
    assert record is not None
    own = actor.surroundings.own
    here: list[int] = []
    for task in tasks:
        app = actor.surroundings.own.of(task.target_app)
        if app is own:
            here.append(task.event_id)
        else:
            call = Address(app.call, f"{record.execution_id}:{task.event_id}")
            sheet.turn.messages.append(
                (call, Withdraw(actor.instance_id, record.execution_id, (task.event_id,), ended))
            )
    message = Withdraw(actor.instance_id, record.execution_id, tuple(here), ended)
    # A worker may also have a turn of the instance.
    remote = record.remote or actor.surroundings.definition(record.name) is None
    if here or (ended and remote):
        sheet.turn.messages.append((Address(own.withdraw, actor.instance_id), message))


def _set_timer(sheet: TurnSheet, timer: TimerCreated) -> None:
    # A wait without an end (contract 3.10) has a timer that is recorded and never fires.
    if timer.fire_at_us < END_OF_TIME_US:
        sheet.timers_set[timer.event_id] = timer.fire_at_us


def create_child(sheet: TurnSheet, child: ChildCreated) -> None:
    """Start a child, and record that it is open."""
    assert sheet.actor.record is not None
    sheet.actor.record = sheet.actor.record._replace(has_children=True)
    if child.named:
        sheet.actor.unconfirmed.add(child.event_id)
    start_child(sheet, child)


def _create_detached(sheet: TurnSheet, child: DetachedCreated) -> None:
    """Request an instance without a parent. If its id is taken, the request is dropped (contract 3.7)."""
    assert sheet.actor.record is not None
    own_id = uuid5(GENERATIONS, f"{sheet.actor.record.execution_id}/{child.event_id}").hex
    trace = child.trace if child.trace is not None else sheet.actor.trace
    _post_once(sheet, child._replace(execution_id=child.execution_id or own_id, trace=trace))


def _post_once(sheet: TurnSheet, event: EventSent | DetachedCreated) -> None:
    """Send an event or a start to another instance, and keep it until the receiver is known to have it.

    The key is the same each time it is sent, also after restarts, and the receiver takes each key once. A start is
    identified by its execution id.
    """
    actor = sheet.actor
    assert actor.record is not None
    key = uuid5(GENERATIONS, f"{actor.record.execution_id}/{event.event_id}").bytes
    if actor.outbox is None:
        actor.outbox = {}
    actor.outbox[key] = event
    sheet.posted = True
    _post(sheet, key, event)


def send_again(sheet: TurnSheet) -> None:
    """Send all events and starts that may not have arrived, in their order."""
    for key, event in (sheet.actor.outbox or {}).items():
        _post(sheet, key, event)


def _post(sheet: TurnSheet, key: bytes, event: EventSent | DetachedCreated) -> None:
    message = SendEvent(sheet.actor.instance_id, key, event)
    sheet.turn.messages.append((Address(sheet.actor.surroundings.own.event_send, event.instance_id), message))


def start_child(sheet: TurnSheet, child: ChildCreated, *, unique: bool = False) -> None:
    """Request a child.

    An id that the code chose may belong to another instance. `runtime/operations/child_starter.py` finds that out,
    so the request goes there.

    Args:
        unique: Refuse an id that a finished instance has.
    """
    record = sheet.actor.record
    assert record is not None
    surroundings = sheet.actor.surroundings
    app = surroundings.own.of(child.target_app)
    execution_id = uuid5(GENERATIONS, f"{record.execution_id}/{child.event_id}").hex
    start = Start(
        child.name,
        child.input,
        execution_id,
        _link(sheet, child),
        unique=unique,
        trace=sheet.actor.trace,
        scope=child.propagation,
        root=record.root_id,  # the root of a root's child is its parent, and is not written
        parent_app=surroundings.app_id if app is not surroundings.own else None,
        app=app.app_id if app is not surroundings.own else None,
    )
    # The starter is on this host.
    kind = surroundings.own.child_start if child.named else app.workflow
    sheet.turn.messages.append((address_of((kind, child.instance_id)), start))


def terminate_children(sheet: TurnSheet) -> None:
    """Terminate all children that have not ended, with their own children."""
    for child in sheet.actor.open.children.values():
        terminate_child(sheet, child)


def terminate_child(sheet: TurnSheet, child: ChildCreated) -> None:
    """Send a termination to a child; another instance with its id ignores it."""
    termination = Terminate(None, recurse=True, parent=_link(sheet, child))
    app = sheet.actor.surroundings.own.of(child.target_app)
    sheet.turn.messages.append((app.instance(child.instance_id), termination))


def was_terminated_with_children(sheet: TurnSheet) -> bool:
    """Whether the history says that the instance was terminated, and its children with it."""
    return any(
        isinstance(event, ExecutionTerminated) and event.recurse for row in sheet.actor.rows for event in row.turn or ()
    )


def _link(sheet: TurnSheet, child: ChildCreated) -> Parent:
    record = sheet.actor.record
    assert record is not None
    return Parent(sheet.actor.instance_id, record.execution_id, child.event_id, record.name)


def tell_parent(
    sheet: TurnSheet,
    parent: Parent,
    app_id: str | None,
    status: Status,
    result: str | None,
    failure: FailureDetails | None,
) -> None:
    """Report to the parent how the instance has ended.

    Args:
        app_id: The parent's app; None is this app.
    """
    done = ChildDone(parent.execution_id, parent.task_id, status.value, result, failure)
    sheet.turn.messages.append((sheet.actor.surroundings.own.of(app_id).instance(parent.instance_id), done))


def tell_parent_again(sheet: TurnSheet) -> None:
    """Report to the parent once more how the instance has ended; do nothing if it has not."""
    record = sheet.actor.record
    assert record is not None
    completed = _completion(sheet)
    if record.parent is not None and completed is not None:
        failure = FailureDetails.unpack(completed.failure) if completed.failure is not None else None
        tell_parent(sheet, record.parent, record.parent_app, record.status, completed.result, failure)


def _completion(sheet: TurnSheet) -> ExecutionCompleted | None:
    """The last event of an instance that has ended, if its history is in memory."""
    for row in sheet.actor.rows[::-1]:  # mypyc cannot compile `reversed` of an actor's field
        for event in row.turn or ():
            if isinstance(event, ExecutionCompleted):
                return event
    return None


def clear_timers(sheet: TurnSheet) -> None:
    """Clear all timers."""
    for timer_id in list(sheet.actor.open.timers):
        clear_timer(sheet, timer_id)


def clear_timer(sheet: TurnSheet, timer_id: int) -> None:
    """Clear a timer, if it is still open."""
    due_us = sheet.actor.open.timers.pop(timer_id, None)
    if due_us is None:
        return
    sheet.actor.open.waits.pop(timer_id, None)
    if due_us >= END_OF_TIME_US:
        return
    # A timer that was set in this turn has no row to clear.
    if sheet.timers_set.pop(timer_id, None) is None:
        sheet.turn.reminders_cleared.append((str(timer_id), due_us))


EFFECTS: dict[type[Command], Callable[[TurnSheet, Any], None]] = {
    TaskScheduled: invoke,
    TimerCreated: _set_timer,
    ChildCreated: create_child,
    DetachedCreated: _create_detached,
    EventSent: _post_once,
}
