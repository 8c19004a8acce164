"""Waiting: the entries and conditions that an instance waits for, so that a person can see why it does not go on.

The rule: it follows from the record, the open entries of the history, and the work that the hosts report. No code is
run for it.

`runtime/operations/reading/description.py` uses it.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from ...history.record import InstanceRecord
from ...history.status import Status
from ...instance.message import WorkState
from .open_entries import OpenEntries, OpenRequest


class WaitKind(StrEnum):
    """The kind of a thing that an instance waits for."""

    ACTIVITY = "activity"
    CHILD = "child"
    TIMER = "timer"
    EVENT = "event"
    START = "start"  # the time for which its start is scheduled
    WORKER = "worker"  # a remote worker that takes its turn, or answers it
    CODE = "code"  # the workflow's code: that it goes on, that it fits the history again, or that its host has it
    RESUME = "resume"
    RELEASE = "release"


class WorkPlace(StrEnum):
    """The progress of work without an answer."""

    QUEUED = "queued"  # it waits: for room, for a worker, or for its next attempt
    RUNNING = "running"


class Waiting(NamedTuple):
    """One entry or condition that an instance waits for. Times are Unix time in microseconds."""

    kind: WaitKind
    name: str | None  # of the activity, the child's workflow, the event as spelled, or the instance's own workflow
    since_us: int
    state: WorkPlace | None = None  # of an activity, and of a turn for a worker
    due_us: int | None = None  # when a timer fires, a wait times out, a start is due, or a call is tried again
    attempt: int | None = None  # of a call, from 1; if it is tried again later, the next attempt
    event_id: int | None = None  # of the entry in the history: of the request, or of the timer before an attempt
    child_id: str | None = None
    app_id: str | None = None  # of a call of another app


class UnderWay(NamedTuple):
    """The work under way for an instance on the hosts of a daemon."""

    turn: WorkState | None = None  # for a remote worker
    activities: Mapping[int, WorkState] = {}  # by event id; others are queued
    awaits_code: bool = False  # its workflow is at other hosts, and its shard is not


IDLE = UnderWay()


def waiting_for(record: InstanceRecord, entries: OpenEntries, under_way: UnderWay = IDLE) -> list[Waiting]:
    """List the waits of an instance: first the obstacles to its next turn, then its open entries in their order.

    Returns:
        Empty for an instance that has ended. Otherwise there is always an entry.
    """
    if record.status.terminal:
        return []
    found = [*_obstacles(record, entries), *_open(entries, under_way)]
    turn = _turn(record, entries, under_way)
    if turn is not None:
        found.append(turn)
    if not found:
        found.append(Waiting(WaitKind.CODE, record.name, entries.held_since_us or record.created_us))
    return found


def _obstacles(record: InstanceRecord, entries: OpenEntries) -> list[Waiting]:
    """The conditions that keep the instance from a turn, also when messages arrive."""
    found: list[Waiting] = []
    if record.set_aside is not None:
        found.append(Waiting(WaitKind.RELEASE, record.name, entries.held_since_us or record.created_us))
    elif record.status is Status.STALLED:
        found.append(Waiting(WaitKind.CODE, record.name, entries.stalled_us or record.created_us))
    elif record.status is Status.SUSPENDED:
        found.append(Waiting(WaitKind.RESUME, None, entries.suspended_us or record.created_us))
    if entries.start_due_us is not None:
        found.append(Waiting(WaitKind.START, None, entries.start_since_us, due_us=entries.start_due_us))
    return found


def _open(entries: OpenEntries, under_way: UnderWay) -> list[Waiting]:
    """The open entries in the order of their ids; waits without an id come last."""
    found = [_activity(asked, under_way.activities.get(asked.event_id)) for asked in entries.tasks.values()]
    for kind, table in (
        (WaitKind.ACTIVITY, entries.task_retries),
        (WaitKind.CHILD, entries.children),
        (WaitKind.CHILD, entries.child_retries),
        (WaitKind.TIMER, entries.timers),
    ):
        found += [_other(kind, asked) for asked in table.values()]
    found += [
        Waiting(WaitKind.EVENT, wait.name, wait.since_us, due_us=wait.due_us, event_id=wait.event_id)
        for wait in entries.waits
    ]
    return sorted(found, key=lambda waiting: (waiting.event_id is None, waiting.event_id or 0))


def _activity(asked: OpenRequest, state: WorkState | None) -> Waiting:
    began_us = state.began_us if state is not None else None
    return Waiting(
        WaitKind.ACTIVITY,
        asked.name,
        asked.since_us if began_us is None else began_us,
        WorkPlace.QUEUED if began_us is None else WorkPlace.RUNNING,
        attempt=asked.attempt,
        event_id=asked.event_id,
        app_id=asked.app_id,
    )


def _other(kind: WaitKind, asked: OpenRequest) -> Waiting:
    state = WorkPlace.QUEUED if kind is WaitKind.ACTIVITY else None
    return Waiting(
        kind,
        asked.name,
        asked.since_us,
        state,
        asked.due_us,
        asked.attempt,
        asked.event_id,
        asked.child_id,
        asked.app_id,
    )


def _turn(record: InstanceRecord, entries: OpenEntries, under_way: UnderWay) -> Waiting | None:
    """The turn that waits for a remote worker, or is with one."""
    if under_way.awaits_code and record.status in (Status.PENDING, Status.RUNNING):
        return Waiting(WaitKind.CODE, record.name, entries.held_since_us or record.created_us)
    if under_way.turn is not None and under_way.turn.began_us is not None:
        return Waiting(WaitKind.WORKER, record.name, under_way.turn.began_us, WorkPlace.RUNNING)
    can_run = record.status in (Status.PENDING, Status.RUNNING) and entries.start_due_us is None
    # The app's own code takes its first turn at once, so one that stays PENDING has its code elsewhere.
    asks = under_way.turn is not None or (record.remote and entries.held > 0) or record.status is Status.PENDING
    if can_run and asks:
        return Waiting(WaitKind.WORKER, record.name, entries.held_since_us or record.created_us, WorkPlace.QUEUED)
    return None
