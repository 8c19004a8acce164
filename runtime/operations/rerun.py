"""Reruns: a finished instance is run again from one of its events on, as a new instance.

The rule: the source does not change. The new instance begins with a copy of
the history up to the event, repeats the event's request, and goes on from there.

`Facade.rerun` uses it. Source: contract 3.22.
"""

from collections.abc import Sequence
from typing import NamedTuple

from ...actors.hosting.host import Host
from ..directory import AppAddresses
from ..errors import InstanceExists, InstanceNotFound, RequestRefused
from ..execution.child_ids import child_id
from ..execution.ids import make_id
from ..history.attribution import By
from ..history.event import (
    ChildCompleted,
    ChildCreated,
    ChildFailed,
    Command,
    DetachedCreated,
    Event,
    EventSent,
    ExecutionCompleted,
    ExecutionStarted,
    TaskScheduled,
    TimerCreated,
)
from ..history.record import unpack_record
from ..history.row import Row, split, unpack_row
from ..instance.message import StartCopy


class Rerun(NamedTuple):
    """A request to run an instance again."""

    source_id: str
    event_id: int
    new_id: str | None = None  # None: a random one
    input: str | None = None
    overwrite_input: bool = False  # whether `input` counts; None is then no input
    new_child_id: str | None = None  # of the child that the event requests


class RerunRefused(RequestRefused):
    """An event that cannot be run again like this; the message is Dapr's (contract 3.22)."""


class EventNotFound(RequestRefused):
    """The instance has no event of this id."""

    def __init__(self, event_id: int) -> None:
        super().__init__(event_id)
        self.event_id = event_id

    def __str__(self) -> str:
        return f"does not have history event with ID '{self.event_id}'"


class EventNotRerunnable(RequestRefused):
    """The event is not a request for an activity, a timer or a child."""

    def __init__(self, event_id: int, event: Event) -> None:
        super().__init__(event_id, event)
        self.event_id = event_id
        self.event = event

    def __str__(self) -> str:
        kind = type(self.event).__name__
        return f"target event '{kind}' with ID '{self.event_id}' is not an event that can be rerun"


class RerunExists(RequestRefused):
    """The id of the new instance is taken, perhaps by a finished instance."""

    def __init__(self, instance_id: str) -> None:
        super().__init__(instance_id)
        self.instance_id = instance_id

    def __str__(self) -> str:
        return f"workflow '{self.instance_id}' has already been created"


async def start_copy(host: Host, own: AppAddresses, rerun: Rerun, by: By | None) -> None:
    """Begin the new instance, whose id `rerun` has.

    Raises:
        RerunRefused, EventNotFound, EventNotRerunnable, RerunExists, InstanceNotFound
    """
    source_id, new_id = rerun.source_id, rerun.new_id
    assert new_id is not None
    if new_id == source_id:
        raise RerunRefused("rerun workflow instance ID must be different from the original instance ID")
    stored = await host.read(own.instance(source_id))
    if stored is None:
        raise InstanceNotFound(source_id)
    record = unpack_record(stored.record)
    if not record.status.terminal:
        raise RerunRefused(f"'{source_id}' is not in a terminal state")
    if record.parent is not None:
        raise RerunRefused(f"'{source_id}': cannot rerun from child-workflows")
    rows = [unpack_row(entry) for entry in stored.entries]
    now_us, execution_id = host.clock.now_us(), make_id(host.instruments)
    copy = copied(rows, rerun, new_id=new_id, execution_id=execution_id, now_us=now_us, remote=record.remote)
    begun = record._replace(execution_id=copy.execution_id, created_us=now_us)
    try:
        await host.ask(own.instance(new_id), StartCopy(begun, copy.rows, copy.sent, source_id, by))
    except InstanceExists:
        raise RerunExists(new_id) from None


class HistoryCopy(NamedTuple):
    """The history with which the new instance begins."""

    rows: Sequence[Row]  # the last of them repeats the event's request
    execution_id: str
    sent: Sequence[
        EventSent | DetachedCreated
    ] = ()  # events and detached instances that its last turn requests after the event


def copied(
    rows: Sequence[Row], rerun: Rerun, *, new_id: str, execution_id: str, now_us: int, remote: bool
) -> HistoryCopy:
    """Make the history of the new instance.

    Args:
        rows: The history of the source.
        rerun: The request.
        new_id: The id of the new instance.
        execution_id: Of its first generation.
        now_us: Now; Unix time, microseconds. A timer that is set again runs for as long as it did.
        remote: The code is with a worker, and repeats the requests that its turn made after the event. Requests of
            native code are copied, because a turn is repeated as a whole.

    Raises:
        RerunRefused, EventNotFound, EventNotRerunnable
    """
    position, target = _find(rows, rerun.event_id)
    waited_us = now_us - rows[position].at_us
    again = _again(target, rerun, source_id=rerun.source_id, new_id=new_id, waited_us=waited_us)
    answered = _answered_children(rows[: position + 1])
    kept = [_begun_anew(row, execution_id, answered, new_id) for row in rows[: position + 1]]
    last = kept[-1]
    arrivals, commands = split(last.turn or ())
    before = [command for command in commands if getattr(command, "event_id", -1) < rerun.event_id]
    after = [] if remote else _asked_behind(commands, rerun.event_id, waited_us)
    kept[-1] = last._replace(turn=[*arrivals, *before, again, *after], held=[])
    sent = [command for command in after if isinstance(command, EventSent | DetachedCreated)]
    return HistoryCopy(_without_unfed(kept), execution_id, sent)


def _without_unfed(rows: Sequence[Row]) -> list[Row]:
    """Leave out arrivals that the last of these turns did not feed, as all later arrivals are left out.

    A worker's turn feeds the events that were held when the worker took it, and more may have arrived until its answer.
    The new instance would feed these in the place of its own first arrivals.
    """
    unfed: list[tuple[int, int]] = []  # the row and the place in it
    for number, row in enumerate(rows):
        if row.turn is not None:
            del unfed[: row.consumed]
        unfed += ((number, place) for place in range(len(row.held)))
    without: list[Row] = []
    for number, row in enumerate(rows):
        held = [event for place, event in enumerate(row.held) if (number, place) not in unfed]
        if row.turn is not None or held:
            without.append(row._replace(held=held))
    return without


def _asked_behind(commands: Sequence[Command], event_id: int, waited_us: int) -> list[Command]:
    """The requests of a turn behind an event, as the new instance makes them.

    Raises:
        RerunRefused: The turn has ended the instance.
    """
    behind: list[Command] = []
    for command in commands:
        if getattr(command, "event_id", -1) <= event_id:
            continue
        if isinstance(command, ExecutionCompleted):
            raise RerunRefused(
                f"event '{event_id}' was requested in the turn that ended the instance, so nothing would follow from it"
            )
        if isinstance(command, TimerCreated):
            command = command._replace(fire_at_us=command.fire_at_us + waited_us)  # noqa: PLW2901
        behind.append(command)
    return behind


def _find(rows: Sequence[Row], event_id: int) -> tuple[int, Event]:
    for position, row in enumerate(rows):
        _, commands = split(row.turn or ())
        for command in commands:
            if getattr(command, "event_id", None) == event_id:
                if not isinstance(command, TaskScheduled | TimerCreated | ChildCreated):
                    raise EventNotRerunnable(event_id, command)
                return position, command
    raise EventNotFound(event_id)


def _again(target: Event, rerun: Rerun, *, source_id: str, new_id: str, waited_us: int) -> Event:
    """The event as the new instance requests it."""
    if isinstance(target, TimerCreated):
        if rerun.overwrite_input:
            raise RerunRefused(f"cannot write input to timer event '{rerun.event_id}'")
        if rerun.new_child_id is not None:
            raise RerunRefused(f"cannot set new child workflow instance ID on timer event '{rerun.event_id}'")
        return target._replace(fire_at_us=target.fire_at_us + waited_us, rerun_of=source_id)
    assert isinstance(target, TaskScheduled | ChildCreated)
    payload = rerun.input if rerun.overwrite_input else target.input
    if isinstance(target, ChildCreated):
        again_id = rerun.new_child_id or child_id(new_id, target.event_id, None)
        chosen = rerun.new_child_id is not None
        return target._replace(instance_id=again_id, input=payload, rerun_of=source_id, named=target.named or chosen)
    if rerun.new_child_id is not None:
        raise RerunRefused(f"cannot set new child workflow instance ID on activity event '{rerun.event_id}'")
    return target._replace(input=payload, rerun_of=source_id)


def _answered_children(rows: Sequence[Row]) -> set[int]:
    """The event ids of the children whose end is in the history. Events that the last row holds are not copied."""
    events = [event for row in rows for event in row.turn or ()] + [event for row in rows[:-1] for event in row.held]
    return {event.task_id for event in events if isinstance(event, ChildCompleted | ChildFailed)}


def _begun_anew(row: Row, execution_id: str, answered: set[int], new_id: str) -> Row:
    """Copy a row. A child that is run again gets an id from its new parent; a child that has ended keeps its own."""

    def anew(event: Event) -> Event:
        if isinstance(event, ExecutionStarted):
            return event._replace(execution_id=execution_id, parent=None)
        if isinstance(event, ChildCreated) and not event.named and event.event_id not in answered:
            return event._replace(instance_id=child_id(new_id, event.event_id, None))
        return event

    turn = [anew(event) for event in row.turn] if row.turn is not None else None
    return row._replace(turn=turn, held=[anew(event) for event in row.held])
