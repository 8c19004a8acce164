"""Repairing: a person gives an instance an answer that it waits for.

The rule: a repair never rewrites history. It adds an arrival that the engine could have received (an answer, a timer
that fires), so code and history fit afterwards as they did before, and names the entry of the audit in it.

The tables: `REPAIRS` has the repairs of each kind of open entry, `ADVICE` says which repairs and other means help.
"""

from collections.abc import Callable
from enum import Enum

from ....actors.turn import Envelope
from ...dates import END_OF_TIME_US
from ...errors import InstanceNotFound, RepairRefused
from ...history.audit import AuditAction
from ...history.event import ChildCompleted, ChildFailed, TaskCompleted, TaskFailed, TimerFired
from ...history.failure import FailureDetails
from ...history.open_work import START_TIMER, OpenWork
from ..effects import clear_timer, invoke_again, withdraw
from ..message import Repair, RepairAction
from ..native import running_code
from ..remote import is_remote
from ..sheet import TurnSheet
from .steering import meets

OPEN_NAMED_MAX = 5  # open entries that a refusal names


class Entry(Enum):
    """A kind of open entry."""

    ACTIVITY = "an activity"
    CHILD = "a child"
    BETWEEN_TRIES = "the pause before another try"
    TIMEOUT = "the timeout of a wait for an event"
    ENDLESS_WAIT = "a wait for an event that has no timeout"
    TIMER = "a timer"
    START = "the scheduled start"


def receive_repair(sheet: TurnSheet, envelope: Envelope) -> None:
    """Give the instance the answer that it waits for, or refuse with the reason."""
    repair: Repair = envelope.body
    actor = sheet.actor
    if actor.record is None:
        sheet.answer(envelope, InstanceNotFound(actor.instance_id))
        return
    if not meets(sheet, envelope, repair.condition):
        return
    why = _obstacle(sheet, repair)
    if why is not None:
        sheet.answer(envelope, RepairRefused(actor.instance_id, repair.event_id, why, actor.record.status))
        return
    kind = entry_of(actor.open, repair.event_id)
    assert kind is not None
    audit_id = sheet.audit(repair.by, AuditAction.REPAIR, detail=f"{repair.action.value} {repair.event_id}")
    REPAIRS[repair.action, kind](sheet, repair, audit_id)
    sheet.answer(envelope, None)


def entry_of(work: OpenWork, event_id: int) -> Entry | None:
    """Return the kind of the open entry under an event id, if there is one."""
    if event_id in work.tasks:
        return Entry.ACTIVITY
    if event_id in work.children:
        return Entry.CHILD
    due_us = work.timers.get(event_id)
    if due_us is None:
        return None
    if event_id == START_TIMER:
        return Entry.START
    if event_id in work.waits:
        return Entry.ENDLESS_WAIT if due_us >= END_OF_TIME_US else Entry.TIMEOUT
    return Entry.BETWEEN_TRIES if work.retries is not None and event_id in work.retries else Entry.TIMER


def _obstacle(sheet: TurnSheet, repair: Repair) -> str | None:
    """Say why a repair is impossible, and what to do; None if it is possible."""
    actor = sheet.actor
    record = actor.record
    assert record is not None
    if record.status.terminal:
        return f"the instance is {record.status.name} and waits for nothing any more. Use rerun."
    if actor.open.waits and record.set_aside is None and not is_remote(sheet, record):
        running_code(sheet)  # finds the waits that have ended
    kind = entry_of(actor.open, repair.event_id)
    if kind is None:
        known = "it has its answer already" if repair.event_id <= actor.open.last_id else "there is none"
        return f"{known}. {_waited_for(actor.open)}"
    if (repair.action, kind) not in REPAIRS:
        return f"it is {kind.value}, and {repair.action.value} does nothing about that. {ADVICE[kind]}"
    begins = repair.action is RepairAction.RETRY and kind is Entry.ACTIVITY
    if begins and record.set_aside is not None:
        return (
            "the instance is set aside, and nothing of it begins. Release it: its activities are then performed again."
        )
    return None


ADVICE = {
    Entry.ACTIVITY: "Use retry, complete or fail.",
    Entry.CHILD: "Use complete or fail, or repair the child itself.",
    Entry.BETWEEN_TRIES: "Use retry, which begins the next try at once.",
    Entry.TIMEOUT: "Use fire, which lets the wait time out, or raise the event.",
    Entry.ENDLESS_WAIT: "Raise the event.",
    Entry.TIMER: "Use fire.",
    Entry.START: "Use fire.",
}


def _waited_for(work: OpenWork) -> str:
    """Name the entries that are open."""
    named = [f"{event_id} (activity {task.name!r})" for event_id, task in work.tasks.items()]
    named += [f"{event_id} (child {child.instance_id!r})" for event_id, child in work.children.items()]
    named += [f"{event_id} ({entry.value})" for event_id in work.timers if (entry := entry_of(work, event_id))]
    if not named:
        return "The instance waits for no activity, child or timer."
    more = f" and {len(named) - OPEN_NAMED_MAX} more" if len(named) > OPEN_NAMED_MAX else ""
    return f"The instance waits for {', '.join(named[:OPEN_NAMED_MAX])}{more}."


def _perform_again(sheet: TurnSheet, repair: Repair, audit_id: str | None) -> None:
    """Dispatch an activity again, under the same task execution id. Only the first answer counts."""
    invoke_again(sheet, sheet.actor.open.tasks[repair.event_id], hangs=True)


def _complete_activity(sheet: TurnSheet, repair: Repair, audit_id: str | None) -> None:
    withdraw(sheet, [sheet.actor.open.tasks[repair.event_id]])
    sheet.arrive(TaskCompleted(repair.event_id, repair.result, repair=audit_id))


def _fail_activity(sheet: TurnSheet, repair: Repair, audit_id: str | None) -> None:
    withdraw(sheet, [sheet.actor.open.tasks[repair.event_id]])
    sheet.arrive(TaskFailed(repair.event_id, _failure_of(repair).pack(), repair=audit_id))


def _complete_child(sheet: TurnSheet, repair: Repair, audit_id: str | None) -> None:
    sheet.actor.unconfirmed.discard(repair.event_id)
    sheet.arrive(ChildCompleted(repair.event_id, repair.result, repair=audit_id))


def _fail_child(sheet: TurnSheet, repair: Repair, audit_id: str | None) -> None:
    sheet.actor.unconfirmed.discard(repair.event_id)
    sheet.arrive(ChildFailed(repair.event_id, _failure_of(repair).pack(), repair=audit_id))


def _failure_of(repair: Repair) -> FailureDetails:
    return repair.failure or FailureDetails(error_type="RepairedFailure", message="failed by a person")


def _fire(sheet: TurnSheet, repair: Repair, audit_id: str | None) -> None:
    """Let a timer fire, and clear its reminder in the same commit."""
    due_us = sheet.actor.open.timers[repair.event_id]
    clear_timer(sheet, repair.event_id)
    sheet.arrive(TimerFired(repair.event_id, due_us, repair=audit_id))


REPAIRS: dict[tuple[RepairAction, Entry], Callable[[TurnSheet, Repair, str | None], None]] = {
    (RepairAction.RETRY, Entry.ACTIVITY): _perform_again,
    (RepairAction.RETRY, Entry.BETWEEN_TRIES): _fire,
    (RepairAction.COMPLETE, Entry.ACTIVITY): _complete_activity,
    (RepairAction.COMPLETE, Entry.CHILD): _complete_child,
    (RepairAction.FAIL, Entry.ACTIVITY): _fail_activity,
    (RepairAction.FAIL, Entry.CHILD): _fail_child,
    (RepairAction.FIRE, Entry.BETWEEN_TRIES): _fire,
    (RepairAction.FIRE, Entry.TIMEOUT): _fire,
    (RepairAction.FIRE, Entry.TIMER): _fire,
    (RepairAction.FIRE, Entry.START): _fire,
}
