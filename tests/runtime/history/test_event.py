"""The meaning of an event's tag and fields never changes: files contain them, and this test pins them.

A line here may get new fields at its end. Changing one means that files of
earlier releases are read wrongly; give the event a new tag instead.
"""

from typing import Any, get_args

import msgpack
import pytest
from hypothesis import given

from perdure import FailureDetails
from perdure.runtime.history import event as event_module
from perdure.runtime.history.event import (
    COMMANDS,
    TAGS,
    Arrival,
    ChildCompleted,
    ChildCreated,
    ChildFailed,
    Command,
    DetachedCreated,
    Event,
    EventRaised,
    EventSent,
    ExecutionCompleted,
    ExecutionResumed,
    ExecutionStalled,
    ExecutionStarted,
    ExecutionSuspended,
    ExecutionTerminated,
    Parent,
    PatchesApplied,
    TaskCompleted,
    TaskFailed,
    TaskScheduled,
    TimerCreated,
    TimerFired,
    TimerOrigin,
    failure_in,
    pack_event,
    task_completed,
    task_scheduled,
    unpack_event,
)

from ...support.workflows.random_events import events

FAILURE = FailureDetails(error_type="E", message="m")

PINNED = {
    1: (
        ExecutionStarted,
        (
            "name",
            "input",
            "execution_id",
            "parent",
            "scheduled_start_us",
            "version",
            "trace",
            "propagated",
            "wire",
            "parent_app",
        ),
    ),
    2: (ExecutionCompleted, ("event_id", "status", "result", "failure", "wire")),
    3: (ExecutionTerminated, ("output", "recurse", "wire")),
    4: (ExecutionSuspended, ("reason", "wire")),
    5: (ExecutionResumed, ("reason", "wire")),
    6: (ExecutionStalled, ("description", "reason", "wire")),
    7: (PatchesApplied, ("names", "version")),
    8: (
        TaskScheduled,
        ("event_id", "name", "input", "task_execution_id", "target_app", "rerun_of", "propagation", "wire"),
    ),
    9: (TaskCompleted, ("task_id", "result", "task_execution_id", "wire", "began_us", "repair")),
    10: (TaskFailed, ("task_id", "failure", "task_execution_id", "wire", "began_us", "repair")),
    11: (
        ChildCreated,
        (
            "event_id",
            "instance_id",
            "name",
            "input",
            "named",
            "retry_of",
            "target_app",
            "rerun_of",
            "propagation",
            "wire",
        ),
    ),
    12: (ChildCompleted, ("task_id", "result", "wire", "repair")),
    13: (ChildFailed, ("task_id", "failure", "wire", "repair")),
    14: (TimerCreated, ("event_id", "fire_at_us", "origin", "reference", "rerun_of", "wire")),
    15: (TimerFired, ("timer_id", "fire_at_us", "wire", "repair")),
    16: (EventRaised, ("name", "input", "wire", "key")),
    17: (
        DetachedCreated,
        ("event_id", "instance_id", "name", "input", "start_at_us", "execution_id", "target_app", "trace", "wire"),
    ),
    20: (EventSent, ("event_id", "instance_id", "name", "input", "target_app", "wire")),
}


def test_tags_and_the_order_of_fields_are_pinned() -> None:
    assert {tag: (event_type, event_type._fields) for event_type, tag in TAGS.items()} == PINNED


def test_the_link_to_a_parent_is_pinned() -> None:
    assert Parent._fields == ("instance_id", "execution_id", "task_id", "name")


def test_the_numbers_of_a_timers_origin_are_pinned() -> None:
    origins = {name: value for name, value in vars(TimerOrigin).items() if name.isupper()}
    assert origins == {"CREATE_TIMER": 0, "EXTERNAL_EVENT": 1, "ACTIVITY_RETRY": 2, "CHILD_RETRY": 3, "UNSAID": 4}


@pytest.mark.parametrize(
    ("event", "packed"),
    [
        (
            ExecutionStarted("w", "1", "x", Parent("p", "px", 3, "pw"), 5, "v"),
            (1, "w", "1", "x", ("p", "px", 3, "pw"), 5, "v"),
        ),
        (ExecutionCompleted(2, 3, None, FAILURE.pack()), (2, 2, 3, None, ("E", "m", None, None, False))),
        (TaskScheduled(1, "a", None, "x-1"), (8, 1, "a", None, "x-1")),
        (ChildCreated(1, "i:0001", "w", "1"), (11, 1, "i:0001", "w", "1", False, None)),
        (TimerCreated(1, 10), (14, 1, 10, 0, None)),
        (EventRaised("e", "1"), (16, "e", "1")),
        (EventRaised("e", "1", key=b"k"), (16, "e", "1", None, b"k")),
        (EventSent(1, "i", "e", "1"), (20, 1, "i", "e", "1")),
        (PatchesApplied(("a", "b")), (7, ("a", "b"))),
        (TaskCompleted(1, "2"), (9, 1, "2")),
        (TaskCompleted(1, "2", began_us=17), (9, 1, "2", None, None, 17)),
        (TaskFailed(1, FAILURE.pack(), began_us=17), (10, 1, FAILURE.pack(), None, None, 17)),
        (TaskCompleted(1, "2", repair="f"), (9, 1, "2", None, None, None, "f")),
        (TaskFailed(1, FAILURE.pack(), repair="f"), (10, 1, FAILURE.pack(), None, None, None, "f")),
        (ChildCompleted(1, "2", repair="f"), (12, 1, "2", None, "f")),
        (ChildFailed(1, None, repair="f"), (13, 1, None, None, "f")),
        (TimerFired(1, 5, repair="f"), (15, 1, 5, None, "f")),
        (TimerFired(1, 5, b"w"), (15, 1, 5, b"w")),
    ],
)
def test_the_packed_form_is_the_tag_and_then_the_fields(event: Event, packed: tuple[Any, ...]) -> None:
    assert pack_event(event) == packed


@given(events)
def test_every_event_comes_back_from_the_disk_as_it_was(event: Event) -> None:
    read = unpack_event(msgpack.unpackb(msgpack.packb(pack_event(event)), use_list=False))
    assert read == event
    assert type(read) is type(event)
    if isinstance(read, ExecutionStarted) and read.parent is not None:
        assert type(read.parent) is Parent


@pytest.mark.parametrize(
    ("packed", "event"),
    [
        ((1, "w", None, "x"), ExecutionStarted("w", None, "x")),
        ((2, 7, 1), ExecutionCompleted(7, 1)),
        ((11, 1, "c", "w", None), ChildCreated(1, "c", "w", None)),
        ((14, 1, 10), TimerCreated(1, 10)),
        ((9, 1, "2", "x-1", b"w"), TaskCompleted(1, "2", "x-1", b"w")),
        ((10, 1, FAILURE.pack(), "x-1", b"w"), TaskFailed(1, FAILURE.pack(), "x-1", b"w")),
    ],
)
def test_an_event_of_an_earlier_release_with_fewer_fields_is_read(packed: tuple[Any, ...], event: Event) -> None:
    assert unpack_event(packed) == event


@pytest.mark.parametrize(
    "packed", [(99, "?"), (9, 1, None, None, None, None, None, "a field too many"), (9,), ("TaskCompleted", 1, None)]
)
def test_what_this_release_does_not_know_is_refused_and_not_guessed_at(packed: tuple[Any, ...]) -> None:
    with pytest.raises((KeyError, TypeError)):
        unpack_event(packed)


def test_every_event_is_either_something_that_arrives_or_a_command() -> None:
    assert set(get_args(Arrival)) | set(get_args(Command)) == set(TAGS)
    assert set(get_args(Arrival)).isdisjoint(get_args(Command))
    assert set(get_args(Command)) == COMMANDS


def test_every_event_of_the_module_has_a_tag() -> None:
    records = {thing for thing in vars(event_module).values() if isinstance(thing, type) and hasattr(thing, "_fields")}
    assert records - {Parent} == set(TAGS)


def test_a_failure_is_read_from_the_event_that_carries_it() -> None:
    assert failure_in(TaskFailed(1, FAILURE.pack())) == FAILURE
    assert failure_in(ExecutionCompleted(1, 3, None, FAILURE.pack())) == FAILURE
    assert failure_in(ChildFailed(1, None)) is None


def test_the_last_field_of_every_event_may_be_left_out() -> None:
    assert {kind._field_defaults[kind._fields[-1]] for kind in TAGS} == {None}


def test_events_made_of_a_tuple_are_those_that_their_class_makes() -> None:
    assert task_scheduled((4, "charge", "1", "x-4", None, None, 0, None)) == TaskScheduled(4, "charge", "1", "x-4")
    assert task_completed((4, "2", None, None, 17, None)) == TaskCompleted(4, "2", began_us=17)
    for made in (
        task_scheduled((4, "charge", "1", "x-4", None, None, 0, None)),
        task_completed((4, "2", None, None, None, None)),
    ):
        assert len(made) == len(made._fields)
