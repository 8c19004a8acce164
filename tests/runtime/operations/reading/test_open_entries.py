"""The open entries of a history follow from the events one by one, and from the names in the rows for certain."""

import pytest

from perdure.runtime.dates import END_OF_TIME_US
from perdure.runtime.history.event import (
    ChildCompleted,
    ChildCreated,
    ChildFailed,
    Event,
    EventRaised,
    ExecutionResumed,
    ExecutionStalled,
    ExecutionStarted,
    ExecutionSuspended,
    StallReason,
    TaskCompleted,
    TaskFailed,
    TaskScheduled,
    TimerCreated,
    TimerFired,
    TimerOrigin,
)
from perdure.runtime.history.open_waits import OpenWait
from perdure.runtime.history.row import Row
from perdure.runtime.operations.reading.open_entries import OpenRequest, open_entries

STARTED = ExecutionStarted("w", None, "x")
TASK = TaskScheduled(1, "charge", None, "x-1")
CHILD = ChildCreated(2, "i:0002", "ship", None)
TIMER = TimerCreated(3, 900)
FAILURE = ("E", "m", None, None, False)


def wait(event_id: int, name: str, due_us: int = END_OF_TIME_US) -> TimerCreated:
    return TimerCreated(event_id, due_us, TimerOrigin.EXTERNAL_EVENT, name)


def turn(at_us: int, *events: Event, **more: object) -> Row:
    return Row(at_us, list(events), [], **more)  # type: ignore[arg-type]


def held(at_us: int, *events: Event) -> Row:
    return Row(at_us, None, list(events))


def test_a_request_is_open_with_the_time_of_its_turn_until_its_answer() -> None:
    asked = [turn(10, STARTED, TASK, CHILD, TIMER)]
    entries = open_entries(asked)
    assert entries.tasks == {1: OpenRequest(1, 10, "charge", 1)}
    assert entries.children == {2: OpenRequest(2, 10, "ship", 1, child_id="i:0002")}
    assert entries.timers == {3: OpenRequest(3, 10, None, due_us=900)}
    answered = open_entries([*asked, turn(20, TaskCompleted(1, None), ChildCompleted(2, None), TimerFired(3, 900))])
    assert (answered.tasks, answered.children, answered.timers) == ({}, {}, {})


def test_a_request_to_another_app_names_that() -> None:
    entries = open_entries([turn(10, STARTED, TASK._replace(target_app="bank"), CHILD._replace(target_app="bank"))])
    assert (entries.tasks[1].app_id, entries.children[2].app_id) == ("bank", "bank")


@pytest.mark.parametrize("answer", [TaskFailed(1, FAILURE), TaskCompleted(1, "1"), ChildFailed(2, None)])
def test_an_answer_that_is_held_has_arrived(answer: Event) -> None:
    entries = open_entries([turn(10, STARTED, TASK, CHILD), held(20, ExecutionSuspended(None), answer)])
    assert len(entries.tasks) + len(entries.children) == 1
    assert (entries.suspended_us, entries.held, entries.held_since_us) == (20, 2, 20)


def test_attempts_are_counted_over_their_timers() -> None:
    rows = [
        turn(10, STARTED, TASK),
        turn(20, TaskFailed(1, FAILURE), TimerCreated(2, 500, TimerOrigin.ACTIVITY_RETRY, "x-1")),
    ]
    between = open_entries(rows)
    assert between.tasks == {}
    assert between.task_retries == {2: OpenRequest(2, 20, "charge", 2, 500)}
    again = open_entries([*rows, turn(500, TimerFired(2, 500), TaskScheduled(3, "charge", None, "x-1"))])
    assert again.task_retries == {}
    assert again.tasks == {3: OpenRequest(3, 500, "charge", 2)}


def test_attempts_of_a_child_are_counted_by_the_id_of_the_first() -> None:
    rows = [
        turn(10, STARTED, CHILD),
        turn(20, ChildFailed(2, FAILURE), TimerCreated(3, 500, TimerOrigin.CHILD_RETRY, "i:0002")),
    ]
    assert open_entries(rows).child_retries == {3: OpenRequest(3, 20, "ship", 2, 500)}
    again = ChildCreated(4, "i:0004", "ship", None, retry_of="i:0002")
    assert open_entries([*rows, turn(500, TimerFired(3, 500), again)]).children == {
        4: OpenRequest(4, 500, "ship", 2, child_id="i:0004")
    }


def test_a_timer_before_an_attempt_of_an_unknown_call_is_shown_without_a_name() -> None:
    entries = open_entries([turn(10, STARTED, TimerCreated(1, 500, TimerOrigin.ACTIVITY_RETRY, "?"))])
    assert entries.task_retries == {1: OpenRequest(1, 10, None, 1, 500)}


def test_a_scheduled_start_is_open_until_it_is_due() -> None:
    later = held(10, ExecutionStarted("w", None, "x", None, 700))
    assert (open_entries([later]).start_due_us, open_entries([later]).start_since_us) == (700, 10)
    assert open_entries([later, turn(700, TimerFired(-1, 700))]).start_due_us is None


def test_a_stall_is_known_with_its_reason_and_is_not_held_for_the_code() -> None:
    stalled = held(20, ExecutionStalled("no", StallReason.VERSION_NOT_AVAILABLE))
    entries = open_entries([turn(10, STARTED), stalled])
    assert (entries.stalled_us, entries.stall_reason, entries.held) == (20, 1, 0)


def test_a_resumption_ends_a_suspension() -> None:
    entries = open_entries([turn(10, STARTED), held(20, ExecutionSuspended(None)), held(30, ExecutionResumed(None))])
    assert entries.suspended_us is None


def test_turns_and_events_are_counted() -> None:
    entries = open_entries([held(5, STARTED), turn(10, TASK, TIMER), held(20, EventRaised("e", None))])
    assert (entries.turns, entries.events) == (1, 4)


def test_waits_are_those_of_the_history_and_their_timers_are_not_counted_among_timers() -> None:
    entries = open_entries([held(5, STARTED), turn(10, wait(1, "Approve"), wait(2, "Cancel", 800))])
    assert entries.waits == [OpenWait("Approve", 10, 1), OpenWait("Cancel", 10, 2, 800)]
    assert entries.timers == {}


def test_what_a_turn_leaves_behind_is_held() -> None:
    rows = [held(5, STARTED), turn(10, wait(1, "a"), wait(2, "b"), consumed=1)]
    rows += [held(20, EventRaised("a", None), EventRaised("b", None)), turn(30, TASK, consumed=1)]
    entries = open_entries(rows)
    assert (entries.held, entries.held_since_us) == (1, 20)
