"""Open waits follow from the events one by one, and from the rows of the app's own code for certain."""

from perdure.runtime.dates import END_OF_TIME_US
from perdure.runtime.history.event import (
    Event,
    EventRaised,
    ExecutionStarted,
    TaskCompleted,
    TaskScheduled,
    TimerCreated,
    TimerFired,
    TimerOrigin,
)
from perdure.runtime.history.open_waits import OpenWait, OpenWaits
from perdure.runtime.history.open_work import OpenWork
from perdure.runtime.history.row import Row

STARTED = ExecutionStarted("w", None, "x")
TASK = TaskScheduled(1, "charge", None, "x-1")


def wait(event_id: int, name: str, due_us: int = END_OF_TIME_US) -> TimerCreated:
    return TimerCreated(event_id, due_us, TimerOrigin.EXTERNAL_EVENT, name)


def turn(at_us: int, *events: Event, **more: object) -> Row:
    return Row(at_us, list(events), [], **more)  # type: ignore[arg-type]


def held(at_us: int, *events: Event) -> Row:
    return Row(at_us, None, list(events))


def waits(rows: list[Row]) -> list[OpenWait]:
    return OpenWaits.of(rows).waits


def names(rows: list[Row]) -> list[tuple[str, int | None]]:
    return [(each.name, each.event_id) for each in waits(rows)]


# Waits of SDKs: each has a timer, and a fed event ends the oldest of its name.


def test_a_wait_of_an_sdk_is_told_by_its_timer_as_it_is_spelled() -> None:
    rows = [held(5, STARTED), turn(10, wait(1, "Approve"), wait(2, "Cancel", 800))]
    assert waits(rows) == [OpenWait("Approve", 10, 1), OpenWait("Cancel", 10, 2, 800)]


def test_an_event_that_is_fed_ends_the_oldest_wait_of_its_name() -> None:
    rows = [held(5, STARTED), turn(10, wait(1, "Approve"), wait(2, "APPROVE")), held(20, EventRaised("approve", None))]
    assert names(rows) == [("Approve", 1), ("APPROVE", 2)]  # it has not been fed
    assert names([*rows, turn(30, TASK, consumed=1)]) == [("APPROVE", 2)]


def test_what_a_turn_leaves_behind_is_not_fed() -> None:
    rows = [held(5, STARTED), turn(10, wait(1, "a"), wait(2, "b"), consumed=1)]
    rows += [held(20, EventRaised("a", None), EventRaised("b", None)), turn(30, TASK, consumed=1)]
    assert names(rows) == [("b", 2)]


def test_a_wait_that_times_out_is_over() -> None:
    assert names([turn(10, STARTED, wait(1, "a", 800)), turn(800, TimerFired(1, 800))]) == []


def test_the_timer_of_a_wait_that_has_ended_ends_no_other() -> None:
    rows = [turn(10, STARTED, wait(1, "a", 800), wait(2, "a", 900))]
    rows += [turn(800, EventRaised("a", None), TimerFired(1, 800))]
    assert names(rows) == [("a", 2)]
    rows[-1] = turn(800, TimerFired(1, 800), EventRaised("a", None))
    assert names(rows) == []


def test_held_events_end_waits_in_the_order_in_which_they_are_fed() -> None:
    rows = [turn(10, STARTED, wait(1, "a", 800), wait(2, "a", 900))]
    rows += [held(800, EventRaised("a", None), TimerFired(1, 800)), turn(810, TASK)]
    assert names(rows) == [("a", 2)]


# Waits of the app's own code: the rows list the open ones.


def test_a_wait_without_a_timer_is_known_by_its_name() -> None:
    assert waits([turn(10, STARTED, waits=("Approve",))]) == [OpenWait("Approve", 10)]


def test_a_wait_with_a_timer_is_known_by_the_id_of_that() -> None:
    rows = [turn(10, STARTED, wait(1, "Approve", 800), wait(2, "Approve", 900), waits=("Approve", 2))]
    assert waits(rows) == [OpenWait("Approve", 10, 2, 900), OpenWait("Approve", 10)]


def test_since_when_is_kept_over_rows_that_tell_nothing_of_waits_and_rows_that_tell_of_more() -> None:
    rows = [turn(10, STARTED, TASK, waits=("a",)), turn(20, TaskCompleted(1, None)), turn(30, TASK, waits=("a", "b"))]
    assert waits(rows) == [OpenWait("a", 10), OpenWait("b", 30)]


def test_a_wait_for_the_same_begins_anew_with_its_turn() -> None:
    rows = [turn(10, STARTED, waits=("a",)), turn(20, EventRaised("A", None))]
    assert waits(rows) == [OpenWait("a", 20)]


def test_an_event_that_came_before_its_wait_ends_none() -> None:
    # It was kept, and answered the first wait at once; the second one is open.
    rows = [turn(10, STARTED, TASK), turn(20, EventRaised("a", None))]
    rows += [turn(30, TaskCompleted(1, None), wait(2, "a", 800), waits=(2,))]
    assert names(rows) == [("a", 2)]
    same = [turn(10, STARTED, TASK), turn(20, EventRaised("a", None), TaskCompleted(1, None), waits=("a",))]
    assert names(same) == [("a", None)]


def test_a_wait_that_began_and_ended_in_one_turn_is_over() -> None:
    rows = [turn(10, STARTED, TASK)]
    rows += [turn(20, TaskCompleted(1, None), EventRaised("a", None), wait(2, "a", 800), waits=())]
    assert names(rows) == []
    # Another wait with its name may be open.
    rows[-1] = rows[-1]._replace(waits=("a",))
    assert names(rows) == [("a", None)]


def test_the_hundredth_wait_that_is_told_of_is_not_the_last() -> None:
    timed = [wait(n, f"e{n}", 800) for n in range(1, 121)]
    assert len(waits([turn(10, STARTED, *timed, waits=tuple(range(1, 101)))])) == 120


# The consequences for open timers.


def timers(rows: list[Row]) -> list[int]:
    return sorted(OpenWork.of(rows).timers)


def doubtful(rows: list[Row]) -> list[int]:
    """The timers whose waits may have ended."""
    return sorted(OpenWork.of(rows).doubtful)


def test_the_timer_of_a_wait_that_an_event_has_ended_is_open_no_more() -> None:
    rows = [turn(10, STARTED, wait(1, "a", 800), wait(2, "a", 900), waits=(1, 2))]
    assert timers(rows) == [1, 2]
    assert timers([*rows, turn(20, EventRaised("a", None), waits=(2,))]) == [2]


def test_the_timers_of_a_history_that_tells_nothing_of_waits_are_kept() -> None:
    # An earlier release wrote it. The event may have ended a wait without a timer, which the history does not show.
    rows = [turn(10, STARTED, wait(1, "a", 800)), turn(20, EventRaised("a", None), TASK)]
    assert timers(rows) == doubtful(rows) == [1]
    # A wait that begins while rows list the waits is known for certain, and the older timer is still kept.
    rows += [turn(30, wait(3, "a", 900), waits=("a", 3)), turn(40, EventRaised("a", None), waits=(3,))]
    assert (timers(rows), doubtful(rows)) == ([1, 3], [1])
    rows += [turn(50, EventRaised("a", None), waits=())]
    assert timers(rows) == [1]
