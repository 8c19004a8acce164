"""Steering: the effects of requests to suspend, resume, terminate, purge and release, and of the host's to recover
and to set aside.

The rule: a request that an instance refuses changes nothing. A request of a caller that changes the instance writes a
row for the audit in the same turn; a request of the engine itself writes none. If the instance has the requested status
already, or has ended, the answer is the name of its status, so that no caller learns of a change that did not happen.

`runtime/instance/receiving.py` has these in its table.
"""

from ....actors.turn import Envelope
from ....journal.vocabulary import INSTANCE_RELEASED
from ...errors import InstanceNotFound, InstanceNotSetAside, InstanceStalled, InstanceUnfinished
from ...history.attribution import OFFLINE, By
from ...history.audit import AuditAction
from ...history.event import ExecutionResumed, ExecutionSuspended
from ...history.facets import facets_of
from ...history.record import InstanceRecord
from ...history.status import Status, Step
from ..condition import ANY, Condition, unmet
from ..effects import (
    clear_timers,
    invoke_again,
    send_again,
    start_child,
    tell_parent_again,
    terminate_children,
    was_terminated_with_children,
    withdraw,
)
from ..ending import release, set_aside
from ..message import Purge, Terminate
from ..sheet import TurnSheet

HOST = By(actor="engine", door="engine")  # sets aside instances that have ended the process several times


def meets(sheet: TurnSheet, envelope: Envelope, condition: Condition) -> bool:
    """Refuse a request whose condition the instance does not meet. A missing instance is refused elsewhere."""
    record = sheet.actor.record
    if condition == ANY or record is None:
        return True
    error = unmet(
        condition,
        sheet.actor.instance_id,
        record,
        facets=facets_of(record, sheet.actor.changed_us),
        idle_since_us=sheet.actor.last_us if sheet.busy(record) else None,
        stuck_since_us=_stuck_since_us(sheet, record),
    )
    if error is not None:
        sheet.answer(envelope, error)
    return error is None


def _stuck_since_us(sheet: TurnSheet, record: InstanceRecord) -> int | None:
    """Since when it has made no progress; 0 for an instance that is stalled or set aside; None: it is not stuck."""
    if record.status.terminal:
        return None
    if record.status is Status.STALLED or record.set_aside is not None:
        return 0
    waits = record.status is not Status.SUSPENDED and sheet.actor.open.tasks
    return sheet.actor.last_us if waits else None


def receive_check(sheet: TurnSheet, envelope: Envelope) -> None:
    """Answer whether the instance exists and meets a condition."""
    if sheet.actor.record is None:
        sheet.answer(envelope, InstanceNotFound(sheet.actor.instance_id))
    elif meets(sheet, envelope, envelope.body.condition):
        sheet.answer(envelope, None)


def receive_suspend(sheet: TurnSheet, envelope: Envelope) -> None:
    """Suspend the instance, unless it is suspended or has ended."""
    if not meets(sheet, envelope, envelope.body.condition) or _refuses_while_aside(sheet, envelope):
        return
    if _is_so(sheet, envelope, Status.SUSPENDED):
        return
    if sheet.takes(envelope):
        sheet.audit(envelope.body.by, AuditAction.SUSPEND)
        sheet.step(Step.SUSPEND)
        sheet.hold(ExecutionSuspended(envelope.body.reason))


def _refuses_while_aside(sheet: TurnSheet, envelope: Envelope) -> bool:
    """Refuse a request if the instance is set aside."""
    record = sheet.actor.record
    refused = record is not None and record.set_aside is not None and not record.status.terminal
    if refused:
        sheet.answer(envelope, InstanceStalled(sheet.actor.instance_id))
    return refused


def _is_so(sheet: TurnSheet, envelope: Envelope, *statuses: Status) -> bool:
    """Answer with the status if the instance has ended, or has one of the given statuses."""
    record = sheet.actor.record
    found = record is not None and (record.status.terminal or record.status in statuses)
    if found:
        sheet.answer(envelope, sheet.status.name)
    return found


def receive_resume(sheet: TurnSheet, envelope: Envelope) -> None:
    """Let a suspended instance go on."""
    if not meets(sheet, envelope, envelope.body.condition) or _refuses_while_aside(sheet, envelope):
        return
    if _is_so(sheet, envelope, Status.RUNNING, Status.PENDING):
        return
    if sheet.takes(envelope):
        sheet.audit(envelope.body.by, AuditAction.RESUME)
        sheet.step(Step.RESUME if sheet.has_run else Step.RESUME_START)
        sheet.hold(ExecutionResumed(envelope.body.reason))
        # A mismatch that stalled it while it was suspended is found again, and recorded then.
        sheet.actor.stalled_here = False
        if not sheet.waits_for_start:
            sheet.arrived.extend(sheet.holding)
            sheet.holding.clear()


def receive_terminate(sheet: TurnSheet, envelope: Envelope) -> None:
    """End the instance without its code. A termination by a parent is for its own child only."""
    termination: Terminate = envelope.body
    record = sheet.actor.record
    if termination.parent is not None and (record is None or record.parent != termination.parent):
        # The id belongs to another instance, or the child does not exist yet (see `_receive_child_started`).
        return
    if not meets(sheet, envelope, termination.condition) or _is_so(sheet, envelope):
        return
    if sheet.termination is not None:
        sheet.answer(envelope, Status.TERMINATED.name)  # by an earlier request of this turn
        return
    if sheet.takes(envelope, stalled_too=termination.stalled_too or termination.parent is not None):
        sheet.audit(termination.by, AuditAction.TERMINATE)
        sheet.termination = termination


def receive_purge(sheet: TurnSheet, envelope: Envelope) -> None:
    """Forget the instance, if its status allows it."""
    purge: Purge = envelope.body
    record = sheet.actor.record
    if not meets(sheet, envelope, purge.condition):
        return
    if record is None:
        sheet.answer(envelope, InstanceNotFound(sheet.actor.instance_id))
    elif record.set_aside is not None:
        _forget(sheet, envelope)
    elif record.status is Status.STALLED and not (purge.force or purge.stalled_too):
        sheet.answer(envelope, InstanceStalled(sheet.actor.instance_id))
    elif not record.status.terminal and record.status is not Status.STALLED and not purge.force:
        sheet.answer(envelope, InstanceUnfinished(sheet.actor.instance_id))
    else:
        _forget(sheet, envelope)


def _forget(sheet: TurnSheet, envelope: Envelope) -> None:
    record = sheet.actor.record
    sheet.audit(envelope.body.by, AuditAction.PURGE)
    clear_timers(sheet)
    withdraw(sheet, sheet.actor.open.tasks.values(), ended=record is not None and not record.status.terminal)
    sheet.actor.forget()
    sheet.arrived.clear()
    sheet.holding.clear()
    sheet.termination = None
    sheet.answered = None
    sheet.turn.delete = True
    sheet.answer(envelope, None)


def receive_recover(sheet: TurnSheet, envelope: Envelope) -> None:
    """Send again all messages that may not have arrived before the restart, and set the timers again.

    The rows of the timers exist already, unless the disk has lost them (`actors/store/sqlite/salvage.py`).
    """
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
    if not record.status.terminal:
        sheet.doubt_timers(sheet.actor.open.timers)
    if record.status is not Status.TERMINATED:
        for task in sheet.actor.open.tasks.values():
            invoke_again(sheet, task)
        for child in sheet.actor.open.children.values():
            # A finished instance does not wait for its children. If another instance has the id by now, the child has
            # run already.
            start_child(sheet, child, unique=record.status.terminal)


def receive_set_aside(sheet: TurnSheet, envelope: Envelope) -> None:
    """Set the instance aside. If it does not exist yet, this happens after its start in the same turn (`turn.py`)."""
    sheet.setting_aside = envelope.body
    if sheet.actor.record is not None:
        put_aside(sheet)


def put_aside(sheet: TurnSheet) -> None:
    """Set the instance aside, as a message of this turn requests."""
    message = sheet.setting_aside
    record = sheet.actor.record
    assert message is not None
    assert record is not None
    # A mark that a restart removes is no decision that a person has to know of or undo.
    if record.set_aside is None and not message.until_restart:
        by = OFFLINE if message.requested else HOST
        sheet.audit(by._replace(reason=message.reason), AuditAction.SET_ASIDE)
    set_aside(sheet, message)


def receive_release(sheet: TurnSheet, envelope: Envelope) -> None:
    """Let an instance that was set aside go on, and repeat the requests of its open entries."""
    record = sheet.actor.record
    if not meets(sheet, envelope, envelope.body.condition):
        return
    if record is None:
        sheet.answer(envelope, InstanceNotFound(sheet.actor.instance_id))
    elif record.set_aside is None:
        sheet.answer(envelope, InstanceNotSetAside(sheet.actor.instance_id, record.status.name))
    else:
        sheet.audit(envelope.body.by, AuditAction.RELEASE)
        release(sheet)
        sheet.note(INSTANCE_RELEASED)
        sheet.answer(envelope, None)
        if envelope.body.begin:
            receive_recover(sheet, envelope)
