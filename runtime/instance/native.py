"""Native code: the workflow function is in this process, and is fed here.

The rule: the code sees nothing but its history and the arrivals, so
that replay repeats it. `turn.py` calls this stage when the instance has
something to be fed.
"""

from ...actors.address import Address
from ...journal.vocabulary import INSTANCE_GOES_ON
from ..authoring.misuse import did_you_mean
from ..errors import LimitExceeded, NondeterminismError
from ..execution.drive import ContinuedAsNew, Execution
from ..execution.interruption import CodeInterrupted
from ..execution.replay import replay
from ..history.attempts import took_ms
from ..history.event import ExecutionCompleted
from ..history.failure import FailureDetails
from ..history.status import STATUS_OF, Status, Step
from .bounds import warn_of_commands
from .effects import carry_out, clear_timer
from .ending import continue_as_new, end, stall
from .message import AwaitsCode
from .sheet import TurnSheet


def feed_if_possible(sheet: TurnSheet) -> None:
    """Feed the arrivals to the code; hold them if the instance is not due to start yet, or its code is missing."""
    execution = sheet.actor.execution
    if execution is None and not sheet.waits_for_start:
        execution = running_code(sheet)
    if execution is not None:
        _feed(sheet, execution)
    elif not sheet.status.terminal:
        sheet.hold_all()


def running_code(sheet: TurnSheet) -> Execution | None:
    """Return the running code, built from the history if needed.

    Returns:
        None if the code is not here or does not fit the history. The instance then waits, fails or stalls.
    """
    actor = sheet.actor
    assert actor.record is not None
    if actor.execution is not None or actor.stalled_here:
        return actor.execution
    surroundings = actor.surroundings
    definition = surroundings.definition(actor.record.name)
    if definition is None:
        _miss_definition(sheet, actor.record.name)
        return None
    begins = bool(actor.rows) and not sheet.has_run  # one that begins at once has its first turn in its first row
    try:
        actor.execution, _ = replay(
            definition,
            surroundings.encoder,
            instance_id=actor.instance_id,
            generation=actor.record.generation,
            rows=actor.rows,
            limits=surroundings.limits,
            watch=surroundings.watch_calls,
        )
    except (NondeterminismError, CodeInterrupted) as error:
        stall(sheet, str(error))
        return None
    actor.rows = []
    _forget_timeouts(sheet, actor.execution)
    if begins:
        actor.record = actor.record._replace(started_us=sheet.now_us)
    if not sheet.status.suspended:
        sheet.step(Step.RUN)
        if actor.record.stall is not None:
            actor.record = actor.record._replace(stall=None)
            sheet.note(INSTANCE_GOES_ON)
    return actor.execution


def _forget_timeouts(sheet: TurnSheet, execution: Execution) -> None:
    """Drop the timeouts of waits whose event has come; the turn that fed the event has cleared their reminders.

    The rows show the same, except those of earlier releases and of code with very many waits.
    """
    work = sheet.actor.open
    if work.waits:
        waited_for = {wait.timer_id for same in execution.waits.values() for wait in same}
        for timer_id in [each for each in work.waits if each not in waited_for]:
            del work.waits[timer_id], work.timers[timer_id]


def _miss_definition(sheet: TurnSheet, name: str) -> None:
    """Handle an instance whose code is not here: it waits, fails, or stalls if it had begun.

    It fails or stalls only if no other host has the code: while old and new code run side by side, a host may lack it.
    """
    surroundings = sheet.actor.surroundings
    if surroundings.code_elsewhere(name):
        address = Address(surroundings.own.code, sheet.actor.instance_id)
        sheet.turn.messages.append((address, AwaitsCode(name)))
        return
    app = surroundings.app
    if app is None:
        return
    message = f"A {name!r} workflow was not registered in app {app.name!r}.{did_you_mean(name, app.workflows)}"
    if sheet.has_run or sheet.generation > 0:
        stall(sheet, message + " This instance was begun by code that had it.")
        return
    failure = FailureDetails(error_type="WorkflowNotRegisteredError", message=message, non_retriable=True)
    sheet.asked = [ExecutionCompleted(1, Status.FAILED.value, None, failure.pack())]
    end(sheet, Status.FAILED, None, failure)


def _feed(sheet: TurnSheet, execution: Execution) -> None:
    """Run the code on all that is held and has arrived, and carry out its commands."""
    actor = sheet.actor
    assert actor.record is not None
    arrivals = [*actor.held, *sheet.arrived]
    try:
        commands, taken = execution.feed(arrivals, sheet.now_us)
    except CodeInterrupted as error:
        _interrupt(sheet, str(error))
        return
    for note in execution.notes:
        sheet.pass_on(note, took_ms=took_ms(sheet.arrived, note.values.get("task_id"), sheet.now_us))
    if len(commands) > actor.surroundings.limits.turn_commands_warn:
        warn_of_commands(sheet, len(commands))
    sheet.asked = list(commands)
    if execution.custom_status != actor.record.custom_status:
        actor.record = actor.record._replace(custom_status=execution.custom_status)
    carry_out(sheet, commands)
    if execution.cancelled_timers:
        _take_back_timers(sheet, execution)
    outcome = execution.outcome
    if isinstance(outcome, ContinuedAsNew):
        continue_as_new(sheet, outcome, arrivals[taken:])
    elif outcome is not None:
        failure = FailureDetails.unpack(outcome.failure) if outcome.failure is not None else None
        # The other reason to end against the code's will is misuse, which the failure describes.
        limit = execution.exceeded if isinstance(execution.exceeded, LimitExceeded) else None
        end(sheet, STATUS_OF[outcome.status], outcome.result, failure, exceeded=limit)


def _interrupt(sheet: TurnSheet, why: str) -> None:
    """Stall an instance whose code was interrupted: this turn has fed it nothing.

    The execution cannot go on, and the rows of which another could be built are in the store only. The instance tries
    again when it is loaded the next time, as after a restart.
    """
    actor = sheet.actor
    actor.close()
    actor.execution = None
    actor.interrupted = True
    sheet.hold_all()
    stall(sheet, why)


def _take_back_timers(sheet: TurnSheet, execution: Execution) -> None:
    """Clear the timers whose event came first."""
    sheet.waits_ended = True
    for timer_id in execution.cancelled_timers:
        clear_timer(sheet, timer_id)
    execution.cancelled_timers.clear()
