"""Endings: how an instance ends, how a generation ends, and how an instance stalls.

The rule: each function here leaves the sheet ready for `TurnSheet.finish`.
Native code, remote workers and callers from outside all end instances through
these.
"""

from collections.abc import Iterable, Sequence
from uuid import uuid5

from ...actors.address import Address
from ...actors.turn import SetAside
from ...journal.vocabulary import INSTANCE_FAILED, INSTANCE_SET_ASIDE, INSTANCE_STALLED
from ..errors import LimitExceeded
from ..execution.drive import ContinuedAsNew
from ..history.event import (
    STALL_REASONS,
    Arrival,
    EventRaised,
    ExecutionCompleted,
    ExecutionResumed,
    ExecutionStalled,
    ExecutionStarted,
    ExecutionSuspended,
    ExecutionTerminated,
    StallReason,
    TaskScheduled,
)
from ..history.failure import ACTIVITY_CALL, FailureDetails
from ..history.open_work import OpenWork
from ..history.record import AsideMark
from ..history.row import Row
from ..history.status import STATUS_OF, Status, Step
from ..observing.observer import Ended
from ..observing.spans import next_trace
from .effects import GENERATIONS, clear_timers, tell_parent, terminate_children, withdraw
from .message import Continue, Stalled, Terminate
from .sheet import TurnSheet

STEPS = {Status.COMPLETED: Step.COMPLETE, Status.FAILED: Step.FAIL, Status.TERMINATED: Step.TERMINATE}

# Messages for the instance in any generation. Answers are for the generation that sent the request.
OUTLIVE_A_GENERATION = (EventRaised, ExecutionSuspended, ExecutionResumed)


def terminate(sheet: TurnSheet, termination: Terminate) -> None:
    """End the instance without running its code."""
    sheet.hold_all()
    event = ExecutionTerminated(termination.output, termination.recurse)
    completed = ExecutionCompleted(sheet.actor.open.last_id + 1, Status.TERMINATED.value, termination.output)
    sheet.asked = [event, completed]
    if termination.recurse:
        terminate_children(sheet)
    end(sheet, Status.TERMINATED, termination.output, None)


def end(
    sheet: TurnSheet,
    status: Status,
    result: str | None,
    failure: FailureDetails | None,
    *,
    exceeded: LimitExceeded | None = None,
) -> None:
    """End the instance: report to the parent, clear the timers, drop the code.

    Args:
        status: COMPLETED, FAILED or TERMINATED.
        result: JSON text, as it is recorded.
        exceeded: The limit that ends it, if one does.
    """
    actor = sheet.actor
    sheet.step(STEPS[status])
    assert actor.record is not None
    if actor.record.set_aside is not None:
        actor.record = actor.record._replace(stall=None, set_aside=None)
    if status is Status.FAILED:
        _note_failure(sheet, failure or UNSAID, exceeded)
    clear_timers(sheet)
    # Requests of the last turn are carried out; earlier ones have no purpose any more.
    tasks = actor.open.tasks
    if tasks:
        actor.open.keep_only([Row(sheet.now_us, sheet.asked, ())])
    if status is Status.TERMINATED:
        withdraw(sheet, tasks.values(), ended=True)
    elif actor.open.tasks is not tasks:
        withdraw(sheet, [task for task_id, task in tasks.items() if task_id not in actor.open.tasks])
    if actor.record.parent is not None:
        tell_parent(sheet, actor.record.parent, actor.record.parent_app, status, result, failure)
    if actor.spans is not None:
        sheet.end_span(status.name, (failure or UNSAID).message if status is Status.FAILED else None)
    if actor.surroundings.observed:
        ended = Ended(actor.record.name, status.value, max(0, sheet.now_us - actor.record.created_us))
        sheet.turn.messages.append((Address(actor.surroundings.own.ended, actor.instance_id), ended))
    actor.close()
    actor.execution = None
    actor.rows = []


# A worker may let an instance fail without saying why.
UNSAID = FailureDetails(error_type="Unknown", message="its worker did not say why")


def _note_failure(sheet: TurnSheet, failure: FailureDetails, exceeded: LimitExceeded | None) -> None:
    """Note for the log that the instance has failed, and why."""
    record = sheet.actor.record
    assert record is not None
    call, cause = failure.failed_call, failure.failure_of_call
    # A TaskFailedError only says that a call has failed: the error is the call's, or that of a call further down.
    first = failure
    while first.call is not None and first.cause is not None:
        first = first.cause
    values: dict[str, object] = {}
    if call is not None:
        values = {call.kind: call.name, "attempt": call.attempt}
        values["task_id" if call.kind == ACTIVITY_CALL else "child_id"] = call.id
    sheet.note(
        INSTANCE_FAILED,
        reason=f"{failure.error_type}: {failure.message}",
        call=f" (it was {call}" + (f": {cause.error_type})" if cause is not None else ")") if call is not None else "",
        error_type=first.error_type,
        limit=exceeded.limit if exceeded is not None else None,
        duration_ms=max(0, sheet.now_us - record.created_us) // 1_000,
        **values,
    )


def continue_as_new(sheet: TurnSheet, outcome: ContinuedAsNew, unfed: Sequence[Arrival]) -> None:
    """Put the next generation in the place of this one. It takes its first turn after the commit.

    Args:
        unfed: Events that were held or have arrived, and were not fed to this generation. An event that arrives in this
            turn and is kept (`sheet.holding`) is not among them.
    """
    actor = sheet.actor
    record = actor.record
    assert record is not None
    clear_timers(sheet)
    if actor.open.tasks:
        last = {event.event_id for event in sheet.asked or () if isinstance(event, TaskScheduled)}
        withdraw(sheet, [task for task_id, task in actor.open.tasks.items() if task_id not in last])
    actor.close()
    execution_id = uuid5(GENERATIONS, record.execution_id).hex
    trace, link, choice = None, None, actor.surroundings.spans
    if actor.spans is not None and choice is not None:
        trace, link = next_trace(actor.spans, execution_id, choice)
        sheet.end_span("CONTINUED_AS_NEW")
    started = ExecutionStarted(
        record.name, outcome.input, execution_id, record.parent, trace=trace, parent_app=record.parent_app
    )
    actor.record = record._replace(
        execution_id=execution_id,
        created_us=sheet.now_us,
        generation=record.generation + 1,
        first_us=record.began_us,
        first_execution_id=record.run_id,
        started_us=None,
        received=_latest(actor.received) if actor.received else b"",
    )
    actor.open = OpenWork()
    actor.events = 0
    actor.execution = None
    actor.rows = []
    actor.held = []
    actor.timeline = None
    actor.patches = ()
    actor.waits = ()
    actor.offered = None
    actor.unconfirmed = set()
    actor.join(trace, execution_id, link)
    sheet.turn.reset = True
    sheet.asked = None
    sheet.arrived.clear()
    sheet.holding = [started, *outcome.carried, *_outliving([*unfed, *sheet.holding])]
    sheet.turn.messages.append((actor.surroundings.own.instance(actor.instance_id), Continue()))


# The number of keys of events from other instances that the next generation knows. After a crash a sender repeats only
# events that are not known to have arrived, which are the latest.
RECEIVED_MAX = 1_000


def _latest(received: Iterable[bytes]) -> bytes:
    return b"".join(list(received)[-RECEIVED_MAX:])


def _outliving(events: Sequence[Arrival]) -> list[Arrival]:
    """Keep the messages for the instance in any generation.

    A resumption is dropped together with its suspension: workers refuse a history with only one of them.
    """
    kept: list[Arrival] = []
    suspended = False
    for event in events:
        if isinstance(event, ExecutionResumed) and not suspended:
            continue
        if isinstance(event, OUTLIVE_A_GENERATION):
            kept.append(event)
            suspended = isinstance(event, ExecutionSuspended) or (suspended and isinstance(event, EventRaised))
    return kept


def stall(sheet: TurnSheet, description: str, reason: int = StallReason.PATCH_MISMATCH) -> None:
    """Stop the instance where it is, because its code does not fit its history. Fitting code lets it go on.

    Args:
        description: The difference between code and history, for people.
        reason: A StallReason.
    """
    actor = sheet.actor
    assert actor.record is not None
    actor.stalled_here = True
    if sheet.status is Status.SUSPENDED:
        return  # the stall is found again, and recorded, when the instance is resumed
    sheet.step(Step.STALL)
    if actor.record.stall != description:
        actor.record = actor.record._replace(stall=description)
        sheet.hold(ExecutionStalled(description, reason))
        _note_stall(sheet, description, STALL_REASONS[reason])
    if actor.record.remote:
        sheet.turn.messages.append((Address(actor.surroundings.own.work, actor.instance_id), Stalled()))


def _note_stall(sheet: TurnSheet, why: str, kind: str) -> None:
    record = sheet.actor.record
    assert record is not None
    sheet.note(INSTANCE_STALLED, of=f" of workflow {record.name!r}", reason=why, stall=kind)


def set_aside(sheet: TurnSheet, message: SetAside) -> None:
    """Start no work of the instance until it is released. Its history shows the stall.

    If its turns fail for a reason of the engine, only the record says so: writing to the history might fail too.
    """
    actor = sheet.actor
    assert actor.record is not None
    if actor.record.set_aside is not None:
        return
    mark = AsideMark(actor.record.status.value, message.reason, message.until_restart)
    if not actor.record.status.terminal:  # activities of an instance that has ended may still be under way
        sheet.step(Step.SET_ASIDE)
        actor.record = actor.record._replace(stall=message.reason)
        if not message.until_restart:
            sheet.hold(ExecutionStalled(message.reason, StallReason.PATCH_MISMATCH))
    actor.record = actor.record._replace(set_aside=mark)
    actor.offered = None
    if message.until_restart:
        _note_stall(sheet, message.reason, "ENGINE")
    else:
        sheet.note(INSTANCE_SET_ASIDE, reason=message.reason)


RELEASES = {Status.PENDING: Step.RELEASE_START, Status.SUSPENDED: Step.RELEASE_SUSPENDED}


def release(sheet: TurnSheet) -> None:
    """Give the instance the status that it had before it was set aside."""
    actor = sheet.actor
    assert actor.record is not None
    assert actor.record.set_aside is not None
    was = STATUS_OF[actor.record.set_aside.was]
    if not was.terminal and was is not Status.STALLED:
        sheet.step(RELEASES.get(was, Step.RELEASE))
    actor.record = actor.record._replace(stall=None, set_aside=None)
