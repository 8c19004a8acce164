"""The open work of an instance follows from its history alone, event by event."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.runtime.history.event import (
    ChildCompleted,
    ChildCreated,
    ChildFailed,
    Event,
    EventRaised,
    ExecutionStarted,
    ExecutionSuspended,
    PatchesApplied,
    TaskCompleted,
    TaskFailed,
    TaskScheduled,
    TimerCreated,
    TimerFired,
)
from perdure.runtime.history.open_work import START_TIMER, OpenWork
from perdure.runtime.history.row import Row

from ...support.workflows.random_events import events

TASK = TaskScheduled(1, "a", None, "x-1")
CHILD = ChildCreated(2, "i:0002", "w", None)
TIMER = TimerCreated(3, 500)


def work_after(*noted: Event) -> OpenWork:
    work = OpenWork()
    for event in noted:
        work.apply(event)
    return work


def test_an_activity_is_under_way_from_its_command_to_its_answer() -> None:
    assert work_after(TASK).tasks == {1: TASK}
    assert work_after(TASK, TaskCompleted(1, None)).tasks == {}
    assert work_after(TASK, TaskFailed(1, ())).tasks == {}


def test_a_child_is_under_way_from_its_command_to_its_answer() -> None:
    assert work_after(CHILD).children == {2: CHILD}
    assert work_after(CHILD, ChildCompleted(2, None)).children == {}
    assert work_after(CHILD, ChildFailed(2, None)).children == {}


def test_a_timer_is_under_way_until_it_fires() -> None:
    assert work_after(TIMER).timers == {3: 500}
    assert work_after(TIMER, TimerFired(3, 500)).timers == {}


def test_a_scheduled_start_is_a_timer_with_a_number_that_no_other_has() -> None:
    assert START_TIMER == -1
    assert work_after(ExecutionStarted("w", None, "x", None, 900)).timers == {START_TIMER: 900}
    assert work_after(ExecutionStarted("w", None, "x")).timers == {}


@pytest.mark.parametrize(
    "event", [EventRaised("e", None), ExecutionSuspended(None), PatchesApplied(("p",)), TaskCompleted(9, None)]
)
def test_what_neither_asks_nor_answers_changes_nothing(event: Event) -> None:
    assert work_after(TASK, CHILD, TIMER, event) == work_after(TASK, CHILD, TIMER)


def test_an_answer_settles_only_work_of_its_own_kind() -> None:
    work = work_after(TASK, CHILD, TIMER, ChildCompleted(1, None), TimerFired(2, 0), TaskCompleted(3, None))
    assert (work.tasks, work.children, work.timers) == ({1: TASK}, {2: CHILD}, {3: 500})


def test_the_newest_event_id_is_known() -> None:
    assert work_after().last_id == 0
    assert work_after(TASK, CHILD, TIMER, TaskCompleted(1, None)).last_id == 3


def test_held_events_count_as_arrived() -> None:
    # Given an answer that came while the instance was suspended,
    rows = [Row(1, [ExecutionStarted("w", None, "x"), TASK], []), Row(2, None, [TaskCompleted(1, None)])]
    # then its activity is not performed again after a restart.
    assert OpenWork.of(rows).tasks == {}


@given(st.lists(events))
def test_it_makes_no_difference_how_a_history_is_cut_into_rows(history: list[Event]) -> None:
    one_by_one = [Row(at, [event], []) for at, event in enumerate(history)]
    whole = OpenWork.of([Row(0, history, [])])
    assert OpenWork.of(one_by_one) == whole
    # These rows do not list waits, so the end of no wait is known.
    assert whole == dataclasses.replace(work_after(*history), doubtful=frozenset(whole.waits))
