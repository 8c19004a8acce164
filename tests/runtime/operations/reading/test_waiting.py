"""What an instance waits for: one table over all kinds, for the app's own code and for that of SDKs."""

from typing import Any

import pytest

from perdure import Status
from perdure.runtime.history.event import (
    ChildCreated,
    ChildFailed,
    Event,
    EventRaised,
    ExecutionCompleted,
    ExecutionStalled,
    ExecutionStarted,
    ExecutionSuspended,
    TaskCompleted,
    TaskFailed,
    TaskScheduled,
    TimerCreated,
    TimerOrigin,
)
from perdure.runtime.history.record import AsideMark, InstanceRecord
from perdure.runtime.history.row import Row
from perdure.runtime.instance.message import WorkState
from perdure.runtime.operations.reading.open_entries import open_entries
from perdure.runtime.operations.reading.waiting import UnderWay, Waiting, WaitKind, WorkPlace, waiting_for

STARTED = ExecutionStarted("w", None, "x")
FAILURE = ("E", "m", None, None, False)
ASIDE = AsideMark(Status.RUNNING.value, "poison")
TASK = TaskScheduled(1, "charge", None, "x-1")
RETRY = TimerCreated(2, 500, TimerOrigin.ACTIVITY_RETRY, "x-1")
CHILD = ChildCreated(1, "c", "ship", None, named=True)
CHILD_RETRY = TimerCreated(2, 500, TimerOrigin.CHILD_RETRY, "c")
SENTINEL = TimerCreated(1, 2**60, TimerOrigin.EXTERNAL_EVENT, "Approve")
QUEUED, RUNNING = WorkPlace.QUEUED, WorkPlace.RUNNING


def record(status: Status = Status.RUNNING, **more: Any) -> InstanceRecord:
    return InstanceRecord(status, "w", "x", 5, **more)


def ran(*commands: Event, at_us: int = 10, fed: tuple[Event, ...] = (), waits: Any = None) -> Row:
    return Row(at_us, [*fed, *commands], [], None, waits)


def held(*events: Event, at_us: int = 20) -> Row:
    return Row(at_us, None, list(events))


NATIVE: dict[str, tuple[InstanceRecord, list[Row], UnderWay, list[Waiting]]] = {
    "activity, queued": (
        record(),
        [ran(TASK, fed=(STARTED,))],
        UnderWay(None, {1: WorkState(None)}),
        [Waiting(WaitKind.ACTIVITY, "charge", 10, QUEUED, attempt=1, event_id=1)],
    ),
    "activity of another app": (
        record(),
        [ran(TASK._replace(target_app="bank"), fed=(STARTED,))],
        UnderWay(),
        [Waiting(WaitKind.ACTIVITY, "charge", 10, QUEUED, attempt=1, event_id=1, app_id="bank")],
    ),
    "activity, running": (
        record(),
        [ran(TASK, fed=(STARTED,))],
        UnderWay(None, {1: WorkState(17)}),
        [Waiting(WaitKind.ACTIVITY, "charge", 17, RUNNING, attempt=1, event_id=1)],
    ),
    "activity, of a host that is away": (
        record(),
        [ran(TASK, fed=(STARTED,))],
        UnderWay(),
        [Waiting(WaitKind.ACTIVITY, "charge", 10, QUEUED, attempt=1, event_id=1)],
    ),
    "activity, before its second attempt": (
        record(),
        [ran(TASK, fed=(STARTED,)), ran(RETRY, fed=(TaskFailed(1, FAILURE),), at_us=30)],
        UnderWay(),
        [Waiting(WaitKind.ACTIVITY, "charge", 30, QUEUED, due_us=500, attempt=2, event_id=2)],
    ),
    "child": (
        record(has_children=True),
        [ran(CHILD, fed=(STARTED,))],
        UnderWay(),
        [Waiting(WaitKind.CHILD, "ship", 10, attempt=1, event_id=1, child_id="c")],
    ),
    "child, before its second attempt": (
        record(has_children=True),
        [ran(CHILD, fed=(STARTED,)), ran(CHILD_RETRY, fed=(ChildFailed(1, FAILURE),), at_us=30)],
        UnderWay(),
        [Waiting(WaitKind.CHILD, "ship", 30, due_us=500, attempt=2, event_id=2)],
    ),
    "timer": (
        record(),
        [ran(TimerCreated(1, 900), fed=(STARTED,))],
        UnderWay(),
        [Waiting(WaitKind.TIMER, None, 10, due_us=900, event_id=1)],
    ),
    "event": (
        record(),
        [ran(fed=(STARTED,), waits=("Approve",))],
        UnderWay(),
        [Waiting(WaitKind.EVENT, "Approve", 10)],
    ),
    "event, with a timeout": (
        record(),
        [ran(TimerCreated(1, 900, TimerOrigin.EXTERNAL_EVENT, "Approve"), fed=(STARTED,), waits=(1,))],
        UnderWay(),
        [Waiting(WaitKind.EVENT, "Approve", 10, due_us=900, event_id=1)],
    ),
    "start": (
        record(Status.PENDING),
        [held(ExecutionStarted("w", None, "x", None, 900))],
        UnderWay(),
        [Waiting(WaitKind.START, None, 20, due_us=900)],
    ),
    "worker, because the code is nowhere here": (
        record(Status.PENDING),
        [held(STARTED)],
        UnderWay(),
        [Waiting(WaitKind.WORKER, "w", 20, QUEUED)],
    ),
    "code, because nothing is open": (
        record(),
        [ran(fed=(STARTED,))],
        UnderWay(),
        [Waiting(WaitKind.CODE, "w", 5)],
    ),
    "code, because it does not fit": (
        record(Status.STALLED, stall="no"),
        [ran(TASK, fed=(STARTED,)), held(ExecutionStalled("no"))],
        UnderWay(),
        [
            Waiting(WaitKind.CODE, "w", 20),
            Waiting(WaitKind.ACTIVITY, "charge", 10, QUEUED, attempt=1, event_id=1),
        ],
    ),
    "resume": (
        record(Status.SUSPENDED),
        [ran(TimerCreated(1, 900), fed=(STARTED,)), held(ExecutionSuspended(None))],
        UnderWay(),
        [Waiting(WaitKind.RESUME, None, 20), Waiting(WaitKind.TIMER, None, 10, due_us=900, event_id=1)],
    ),
    "resume, before a start that is due later": (
        record(Status.SUSPENDED),
        [held(ExecutionStarted("w", None, "x", None, 900), at_us=10), held(ExecutionSuspended(None))],
        UnderWay(),
        [Waiting(WaitKind.RESUME, None, 20), Waiting(WaitKind.START, None, 10, due_us=900)],
    ),
    "release": (
        record(Status.STALLED, stall="poison", set_aside=ASIDE),
        [ran(fed=(STARTED,)), held(EventRaised("e", None))],
        UnderWay(),
        [Waiting(WaitKind.RELEASE, "w", 20)],
    ),
}

REMOTE: dict[str, tuple[InstanceRecord, list[Row], UnderWay, list[Waiting]]] = {
    "activity, with a worker": (
        record(remote=True),
        [held(STARTED, at_us=5), ran(TASK)],
        UnderWay(None, {1: WorkState(17)}),
        [Waiting(WaitKind.ACTIVITY, "charge", 17, RUNNING, attempt=1, event_id=1)],
    ),
    "child": (
        record(remote=True, has_children=True),
        [held(STARTED, at_us=5), ran(CHILD)],
        UnderWay(),
        [Waiting(WaitKind.CHILD, "ship", 10, attempt=1, event_id=1, child_id="c")],
    ),
    "timer of an SDK that does not say what it is for": (
        record(remote=True),
        [held(STARTED, at_us=5), ran(TimerCreated(1, 900, TimerOrigin.UNSAID))],
        UnderWay(),
        [Waiting(WaitKind.TIMER, None, 10, due_us=900, event_id=1)],
    ),
    "event, told by its timer that never fires": (
        record(remote=True),
        [held(STARTED, at_us=5), ran(SENTINEL)],
        UnderWay(),
        [Waiting(WaitKind.EVENT, "Approve", 10, event_id=1)],
    ),
    "event of an SDK that sets no timer": (
        record(remote=True),
        [held(STARTED, at_us=5), ran()],
        UnderWay(),
        [Waiting(WaitKind.CODE, "w", 5)],
    ),
    "worker, because none is connected": (
        record(remote=True),
        [held(STARTED, at_us=5), ran(TASK), held(TaskCompleted(1, None))],
        UnderWay(),
        [Waiting(WaitKind.WORKER, "w", 20, QUEUED)],
    ),
    "worker, that has the turn": (
        record(remote=True),
        [held(STARTED, at_us=5), ran(TASK), held(TaskCompleted(1, None))],
        UnderWay(WorkState(25)),
        [Waiting(WaitKind.WORKER, "w", 25, RUNNING)],
    ),
    "worker, for the first turn": (
        record(Status.PENDING),
        [held(STARTED, at_us=5)],
        UnderWay(WorkState(None)),
        [Waiting(WaitKind.WORKER, "w", 5, QUEUED)],
    ),
    "start": (
        record(Status.PENDING),
        [held(ExecutionStarted("w", None, "x", None, 900))],
        UnderWay(),
        [Waiting(WaitKind.START, None, 20, due_us=900)],
    ),
    "code, of another version": (
        record(Status.STALLED, remote=True, stall="no"),
        [held(STARTED, at_us=5), ran(), held(ExecutionStalled("no", 1))],
        UnderWay(WorkState(None)),
        [Waiting(WaitKind.CODE, "w", 20)],
    ),
    "resume": (
        record(Status.SUSPENDED, remote=True),
        [held(STARTED, at_us=5), ran(TASK), held(ExecutionSuspended(None)), held(TaskCompleted(1, None), at_us=30)],
        UnderWay(),
        [Waiting(WaitKind.RESUME, None, 20)],
    ),
    "release": (
        record(Status.STALLED, remote=True, stall="poison", set_aside=ASIDE),
        [held(STARTED, at_us=5), ran(TASK)],
        UnderWay(),
        [
            Waiting(WaitKind.RELEASE, "w", 5),
            Waiting(WaitKind.ACTIVITY, "charge", 10, QUEUED, attempt=1, event_id=1),
        ],
    ),
}


@pytest.mark.parametrize(
    "case", [*NATIVE.values(), *REMOTE.values()], ids=[*NATIVE, *(f"SDK: {one}" for one in REMOTE)]
)
def test_an_instance_says_what_it_waits_for(
    case: tuple[InstanceRecord, list[Row], UnderWay, list[Waiting]],
) -> None:
    instance, rows, under_way, expected = case
    assert waiting_for(instance, open_entries(rows), under_way) == expected


def test_the_tables_have_every_kind() -> None:
    shown = {waiting.kind for *_, expected in NATIVE.values() for waiting in expected}
    assert shown == set(WaitKind)


def test_open_entries_stand_in_the_order_of_their_ids_and_waits_without_one_last() -> None:
    rows = [ran(TimerCreated(3, 900), CHILD._replace(event_id=2), TASK, fed=(STARTED,), waits=("e",))]
    kinds = [waiting.kind.value for waiting in waiting_for(record(), open_entries(rows))]
    assert kinds == ["activity", "child", "timer", "event"]


@pytest.mark.parametrize("status", [status for status in Status if status.terminal])
def test_an_instance_that_has_ended_waits_for_nothing(status: Status) -> None:
    # An activity that was not awaited may still be under way.
    rows = [ran(TASK, ExecutionCompleted(2, status.value), fed=(STARTED,), waits=("e",))]
    assert waiting_for(record(status), open_entries(rows), UnderWay(None, {1: WorkState(17)})) == []


@pytest.mark.parametrize("status", [status for status in Status if not status.terminal])
@pytest.mark.parametrize("remote", [False, True])
def test_an_instance_that_has_not_ended_always_waits_for_something(status: Status, remote: bool) -> None:
    for rows in ([], [held(STARTED)], [ran(fed=(STARTED,))]):
        assert waiting_for(record(status, remote=remote), open_entries(rows))
