"""Remote code: the workflow function is with a worker at the other end of a stream.

The rule: an answer is applied only to the state of the instance that it
answers. `turn.py` calls this stage for instances of remote workers, and
offers the next turn at its end (`offer.py`, docs/design/remote-workers.md).
"""

from collections.abc import Sequence

from msgspec.structs import replace

from ...actors.address import Address
from ...journal.vocabulary import INSTANCE_GOES_ON
from ..execution.child_ids import child_id, child_number
from ..history.attempts import took_ms
from ..history.event import ChildCreated, Command, ExecutionCompleted, PatchesApplied, StallReason, failure_in
from ..history.failure import failure_of
from ..history.record import InstanceRecord
from ..history.status import STATUS_OF, Status, Step
from ..history.timed_event import TimedEvent
from ..history.timeline import Timeline
from .bounds import exceeded_by
from .effects import carry_out, clear_timer
from .ending import continue_as_new, end, stall
from .message import (
    Invoke,
    Start,
    WorkflowAnswer,
    WorkflowTurnWork,
)
from .offer import Offer, can_take_a_turn, received
from .remote_failures import failures_in, notes_of_failures, with_call
from .sheet import TurnSheet


def is_remote(sheet: TurnSheet, record: InstanceRecord) -> bool:
    """Whether the code of the instance is with a remote worker."""
    if record.remote:
        return True
    surroundings = sheet.actor.surroundings
    if surroundings.definition(record.name) is not None or sheet.has_run or record.generation > 0:
        return False
    if surroundings.code_elsewhere(record.name):
        return False  # a name that the app of any host has is native
    return surroundings.app is None or surroundings.waits_for_workers()


def run_remotely(sheet: TurnSheet) -> None:
    """Take a worker's answer, if there is one. All arrivals are held for the next turn that a worker takes."""
    sheet.hold_all()
    if sheet.actor.timeline is None:
        sheet.actor.timeline = Timeline.of(sheet.actor.rows)
    if sheet.answered is not None:
        _take_answer(sheet, sheet.answered.work, sheet.answered.answer)


def _take_answer(sheet: TurnSheet, work: WorkflowTurnWork, answer: WorkflowAnswer) -> None:
    """Apply the commands of a worker (contract 3.7), unless its code no longer fits."""
    actor = sheet.actor
    assert actor.record is not None
    unfit = _unfit(actor.patches, actor.record.version, answer)
    if unfit is not None:
        reason = StallReason.VERSION_NOT_AVAILABLE if answer.version_missing else StallReason.PATCH_MISMATCH
        stall(sheet, unfit, reason)
        return
    if sheet.status is not Status.SUSPENDED:
        sheet.step(Step.RUN)
    timeline = actor.timeline
    assert timeline is not None
    # A new generation may run another version, and its history names its own.
    settled = answer.version if answer.version != timeline.version else None
    version = answer.version or actor.record.version
    started_us = actor.record.started_us if timeline.has_run else work.at_us
    if actor.record.stall is not None:
        sheet.note(INSTANCE_GOES_ON)
    actor.record = actor.record._replace(
        remote=True, stall=None, custom_status=answer.custom_status, version=version, started_us=started_us
    )
    actor.ran_us = sheet.now_us
    sheet.consumed = len(work.fed)
    sheet.turn_at_us = work.at_us
    exceeded = exceeded_by(sheet, answer)
    if exceeded is not None:
        # Nothing of the answer is done.
        failure = failure_of(exceeded)
        actor.record = actor.record._replace(custom_status=None)
        sheet.asked = [ExecutionCompleted(actor.open.last_id + 1, Status.FAILED.value, None, failure.pack())]
        end(sheet, Status.FAILED, None, failure, exceeded=exceeded)
        return
    commands = answer.commands if actor.record.generation == 0 else _of_generation(actor.record, answer.commands, sheet)
    if failed := failures_in(work.fed):
        commands = with_call(commands, failed, timeline.events)
        for note in notes_of_failures(failed, timeline.events, commands):
            # The turn's time is when the last failure arrived; the others ended at that time at the latest.
            sheet.pass_on(note, took_ms=took_ms(failed, note.values.get("task_id"), work.at_us))
    sheet.asked = list(commands)
    applied = answer.patches[len(actor.patches) :]
    actor.patches = answer.patches
    if applied or settled is not None:
        sheet.asked.insert(0, PatchesApplied(applied, settled))
    for timer_id in actor.open.waits_ended_by(work.fed):
        clear_timer(sheet, timer_id)
    carry_out(sheet, commands)
    if answer.continued is not None:
        # Its commands are carried out by now, and their events have no place in the next generation.
        unfed = actor.held[len(work.fed) :]
        continue_as_new(sheet, answer.continued, unfed)
        sheet.consumed = None
        return
    completed = next((each for each in commands if isinstance(each, ExecutionCompleted)), None)
    if completed is not None:
        end(sheet, STATUS_OF[completed.status], completed.result, failure_in(completed))


def _of_generation(record: InstanceRecord, commands: Sequence[Command], sheet: TurnSheet) -> list[Command]:
    """Give children that the worker's code did not name the ids of a later generation; SDKs know those of the first."""
    parent_id = sheet.actor.instance_id

    def own(given: str, upto: int) -> str:
        number = child_number(given, parent_id)
        # A number that is smaller than the command's own is that of the first try.
        return given if number is None or number > upto else child_id(parent_id, number, record.execution_id)

    named: list[Command] = []
    for command in commands:
        if isinstance(command, ChildCreated):
            retry_of = own(command.retry_of, command.event_id) if command.retry_of is not None else None
            instance_id = own(command.instance_id, command.event_id)
            named.append(command._replace(instance_id=instance_id, retry_of=retry_of))
        else:
            named.append(command)
    return named


def offer_a_turn(sheet: TurnSheet) -> None:
    """Offer a turn to workers, before the commit; or end the wait of the turn that is offered already."""
    actor = sheet.actor
    offer = actor.offered
    if offer is None and can_take_a_turn(actor) and actor.record is not None and is_remote(sheet, actor.record):
        if actor.timeline is None:
            actor.timeline = Timeline.of(actor.rows)
        offer = actor.offered = Offer(actor)
    elif offer is None or actor.record is None or actor.record.status.terminal or not offer.hurry():
        return
    sheet.turn.early.append((Address(actor.surroundings.own.work, actor.instance_id), offer))


def propagate(sheet: TurnSheet) -> None:
    """Add the history to messages to activities and children that may see it.

    Each gets it up to the event that requested it (contract 3.21).
    """
    timeline = sheet.actor.timeline
    if timeline is None:
        return
    for position, (address, body) in enumerate(sheet.turn.messages):
        if isinstance(body, Invoke | Start) and body.scope:
            asking = body.task_id if isinstance(body, Invoke) else body.parent.task_id if body.parent else None
            shown = sheet.actor.surroundings.propagate(
                sheet.actor.instance_id,
                _up_to(timeline.events, asking),
                body.scope,
                received(timeline.events),
            )
            sheet.turn.messages[position] = (address, replace(body, propagated=shown))


def _up_to(events: Sequence[TimedEvent], event_id: int | None) -> list[TimedEvent]:
    """Cut a history off behind the event with this id; the end of the instance has no such id."""
    shown: list[TimedEvent] = []
    for timed in events:
        shown.append(timed)
        if timed.event_id == event_id and not isinstance(timed.event, ExecutionCompleted):
            break
    return shown


def _unfit(patches: tuple[str, ...], version: str | None, answer: WorkflowAnswer) -> str | None:
    """Say why a worker's code does not fit the history (contract 3.19); None if it does."""
    if answer.version_missing:
        return f"Version not available: {version or ''}"
    if answer.patches[: len(patches)] != patches:
        known, current = ", ".join(patches), ", ".join(answer.patches)
        return f"Patch mismatch. History patches: [{known}], current patches: [{current}]. "
    return None
