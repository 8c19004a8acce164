"""Rows become the canonical history: three events without an activity, twelve with three (contract 3.6)."""

from perdure.runtime.history.event import (
    Event,
    EventRaised,
    ExecutionCompleted,
    ExecutionStalled,
    ExecutionStarted,
    ExecutionSuspended,
    PatchesApplied,
    TaskCompleted,
    TaskScheduled,
    TimerCreated,
    TimerFired,
)
from perdure.runtime.history.row import Row
from perdure.runtime.history.status import Status
from perdure.runtime.history.timed_event import TimedEvent, TurnStarted
from perdure.runtime.history.timeline import Timeline

STARTED = ExecutionStarted("Order", "1", "e1")


def done(event_id: int) -> ExecutionCompleted:
    return ExecutionCompleted(event_id, Status.COMPLETED.value, "2")


def kinds(*rows: Row) -> list[str]:
    return [type(timed.event).__name__ for timed in Timeline.of(rows).events]


def test_a_workflow_without_activities_has_three_events() -> None:
    rows = [Row(7, [STARTED, done(1)], ())]
    assert Timeline.of(rows).events == [
        TimedEvent(-1, 7, TurnStarted()),
        TimedEvent(-1, 7, STARTED),
        TimedEvent(1, 7, done(1)),
    ]


def test_three_activities_in_a_row_make_twelve() -> None:
    def task(number: int) -> TaskScheduled:
        return TaskScheduled(number, "a", None, f"t-{number}")

    rows = [
        Row(1, [STARTED, task(1)], ()),
        Row(2, [TaskCompleted(1, "1"), task(2)], ()),
        Row(3, [TaskCompleted(2, "2"), task(3)], ()),
        Row(4, [TaskCompleted(3, "3"), done(4)], ()),
    ]
    started, completed, scheduled = "TurnStarted", "TaskCompleted", "TaskScheduled"
    assert kinds(*rows) == [
        *(started, "ExecutionStarted", scheduled),
        *(started, completed, scheduled) * 2,
        *(started, completed, "ExecutionCompleted"),
    ]


def test_a_result_has_the_execution_id_of_its_task() -> None:
    rows = [Row(1, [STARTED, TaskScheduled(1, "a", None, "t-1")], ()), Row(2, [TaskCompleted(1, "1")], ())]
    assert Timeline.of(rows).events[-1].event == TaskCompleted(1, "1", "t-1")


def test_what_was_held_is_fed_in_the_next_turn_and_is_not_history_before() -> None:
    raised = EventRaised("go", None)
    first, suspended = Row(1, [STARTED], ()), Row(2, None, [ExecutionSuspended(None), raised])
    assert kinds(first, suspended) == ["TurnStarted", "ExecutionStarted"]
    assert kinds(first, suspended, Row(3, [done(1)], ())) == [
        *("TurnStarted", "ExecutionStarted"),
        *("TurnStarted", "ExecutionSuspended", "EventRaised", "ExecutionCompleted"),
    ]


def test_a_row_that_runs_may_hold_something_for_the_next() -> None:
    rows = [Row(1, [STARTED], [EventRaised("go", None)]), Row(2, [done(1)], ())]
    assert kinds(rows[0]) == ["TurnStarted", "ExecutionStarted"]
    assert kinds(*rows)[2:] == ["TurnStarted", "EventRaised", "ExecutionCompleted"]


def test_a_stall_is_history_at_once_and_stands_there_once() -> None:
    raised = EventRaised("go", None)
    rows = [Row(1, [STARTED], ()), Row(2, None, [raised]), Row(3, None, [ExecutionStalled("x", 1)])]
    stalled = TimedEvent(-1, 3, ExecutionStalled("x", 1))
    assert Timeline.of(rows).events[2:] == [stalled]
    # A second one is a separate event; when the code continues, both stay where they are.
    rows += [Row(4, None, [ExecutionStalled("y")]), Row(5, [done(1)], ())]
    assert kinds(*rows)[2:] == [
        *("ExecutionStalled", "ExecutionStalled", "TurnStarted", "EventRaised", "ExecutionCompleted")
    ]


def test_an_instance_that_has_only_stalled_has_not_run() -> None:
    timeline = Timeline.of([Row(1, None, [STARTED]), Row(2, None, [ExecutionStalled("x")])])
    assert not timeline.has_run
    timeline.add(Row(3, [done(1)], ()))
    assert timeline.has_run


def test_patches_and_the_version_stand_in_the_head_of_their_turn() -> None:
    turn: list[Event] = [STARTED, PatchesApplied(("p1",), "v2"), done(1)]
    heads = [timed.event for timed in Timeline.of([Row(1, turn, ())]).events if isinstance(timed.event, TurnStarted)]
    assert heads == [TurnStarted(("p1",), "v2")]


def test_every_turn_carries_the_version_that_was_settled_last() -> None:
    rows = [
        Row(1, [STARTED, PatchesApplied((), "v1")], ()),
        Row(2, [EventRaised("a", None)], ()),
        Row(3, [PatchesApplied(("p1",))], ()),
        Row(4, [PatchesApplied((), "v2")], ()),
        Row(5, [done(1)], ()),
    ]
    heads = [timed.event for timed in Timeline.of(rows).events if isinstance(timed.event, TurnStarted)]
    assert [(head.patches, head.version) for head in heads] == [
        *(((), "v1"), ((), "v1"), (("p1",), "v1"), ((), "v2"), ((), "v2"))
    ]


def test_the_start_of_an_instance_at_a_time_is_no_timer_of_its_code() -> None:
    # Given an instance that was to start at 5,
    held = Row(1, None, [STARTED._replace(scheduled_start_us=5)])
    # when its start has come, and later one of its timers,
    rows = [held, Row(5, [TimerFired(0, 5), TimerCreated(1, 9)], ()), Row(9, [TimerFired(1, 9)], ())]
    # then only the timer is history.
    assert [timed.event for timed in Timeline.of(rows).events if isinstance(timed.event, TimerFired)] == [
        TimerFired(1, 9)
    ]


def test_a_longer_history_begins_with_the_shorter_one() -> None:
    rows = [
        Row(1, [STARTED, TaskScheduled(1, "a", None, "t-1")], ()),
        Row(2, None, [ExecutionSuspended(None)]),
        Row(3, None, [ExecutionStalled("x")]),
        Row(4, [TaskCompleted(1, "1"), done(2)], ()),
    ]
    whole = Timeline.of(rows).events
    for count in range(len(rows)):
        part = Timeline.of(rows[:count]).events
        assert whole[: len(part)] == part
