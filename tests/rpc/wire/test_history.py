"""Every event is the same after a round trip over the wire, and fields of the wire that ours lack are kept."""

import random
from typing import Any, get_args

import msgpack
import pytest

from perdure.rpc.messages import HistoryEvent, Message
from perdure.rpc.wire.history import READERS, ROUTED, WRITERS, HistoryWriter, UnreadableEvent
from perdure.runtime.dates import END_OF_TIME_US
from perdure.runtime.history import event as events
from perdure.runtime.history.event import (
    TAGS,
    ChildFailed,
    Event,
    ExecutionStarted,
    PatchesApplied,
    TaskScheduled,
    TimerCreated,
    TimerOrigin,
    pack_event,
    unpack_event,
)
from perdure.runtime.history.timed_event import TimedEvent, TurnStarted

from ...support.doors.random_wire import random_event
from ...support.doors.wire_events import APP_ID, FOREIGN, INSTANCE_ID, PLAIN, RICH, SENTINEL, event, text

WRITER = HistoryWriter(app_id=APP_ID, instance_id=INSTANCE_ID)


def through_the_store(timed: TimedEvent) -> TimedEvent:
    """Write an event to disk and read it back. The head of a turn is not on disk; its row is."""
    if isinstance(timed.event, TurnStarted):
        return timed
    packed = msgpack.packb(pack_event(timed.event))
    return timed._replace(event=unpack_event(msgpack.unpackb(packed, use_list=False)))


def serialized(message: Message) -> bytes:
    return message.SerializeToString(deterministic=True)


@pytest.mark.parametrize("name", PLAIN)
def test_what_our_events_hold_needs_nothing_beside(name: str) -> None:
    timed = WRITER.read(PLAIN[name])
    assert timed.event.wire is None  # type: ignore[union-attr]
    assert serialized(WRITER.write(through_the_store(timed))) == serialized(PLAIN[name])


@pytest.mark.parametrize("name", RICH)
def test_what_they_do_not_hold_comes_back_as_it_was(name: str) -> None:
    timed = WRITER.read(RICH[name])
    assert timed.event.wire is not None  # type: ignore[union-attr]
    assert serialized(WRITER.write(through_the_store(timed))) == serialized(RICH[name])


@pytest.mark.parametrize("seed", range(10))
def test_every_event_comes_back_unchanged(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(300):
        said = random_event(chance)
        assert serialized(WRITER.write(through_the_store(WRITER.read(said)))) == serialized(said)


@pytest.mark.parametrize("name", [name for name in RICH if name.startswith("unknown fields")])
def test_payloads_are_not_kept_twice(name: str) -> None:
    wire = WRITER.read(RICH[name]).event.wire  # type: ignore[union-attr]
    assert wire is not None
    # Two unknown fields of five bytes each, and the tag and the length of the message around the inner one.
    assert len(wire) <= 5 + 5 + 3


def test_the_sentinel_is_due_at_the_end_of_time_and_keeps_its_nanoseconds() -> None:
    timed = WRITER.read(RICH["sentinel"])
    assert isinstance(timed.event, TimerCreated)
    assert timed.event[:4] == (3, END_OF_TIME_US, TimerOrigin.EXTERNAL_EVENT, "Approve")
    fire_at = WRITER.write(timed).timerCreated.fireAt
    assert (fire_at.seconds, fire_at.nanos) == (SENTINEL["seconds"], SENTINEL["nanos"])


def test_an_app_that_is_asked_for_is_a_field() -> None:
    timed = WRITER.read(FOREIGN)
    assert timed.event == TaskScheduled(1, "reserve", None, "", "billing")
    assert WRITER.write(timed) == FOREIGN


def test_our_router_stands_on_what_can_cross_apps_and_on_nothing_else() -> None:
    for name, said in PLAIN.items():
        written = WRITER.write(WRITER.read(said))
        assert written.HasField("router") == (type(WRITER.read(said).event) in ROUTED), name
        assert not written.HasField("router") or written.router.sourceAppID == APP_ID


def test_a_native_start_carries_the_instances_ids() -> None:
    written = WRITER.write(TimedEvent(-1, 5, ExecutionStarted("Order", "1", "e1")))
    assert written.eventId == -1
    assert written.executionStarted.workflowInstance.instanceId == INSTANCE_ID
    assert written.executionStarted.workflowInstance.executionId.value == "e1"
    assert not written.executionStarted.HasField("version")


def test_a_child_that_was_terminated_has_no_failure() -> None:
    written = WRITER.write(TimedEvent(-1, 5, ChildFailed(2, None)))
    assert not written.childWorkflowInstanceFailed.HasField("failureDetails")


def test_a_missing_text_and_an_empty_one_are_two_things() -> None:
    for value in (None, ""):
        said = event("eventRaised", name="e", input=text(value) if value is not None else None)
        read: Any = WRITER.read(said).event
        assert read.input == value
        assert WRITER.write(WRITER.read(said)).eventRaised.HasField("input") == (value is not None)


@pytest.mark.parametrize("kind", ["workflowCompleted", "continueAsNew"])
def test_events_that_may_not_be_sent_are_not_read(kind: str) -> None:
    with pytest.raises(UnreadableEvent, match=kind):
        WRITER.read(event(kind))


def test_an_event_of_an_unknown_kind_is_not_read() -> None:
    with pytest.raises(UnreadableEvent):
        WRITER.read(HistoryEvent(eventId=1))


def test_every_event_has_a_writer_and_every_writer_a_reader() -> None:
    # The patches of a turn are in its head.
    assert set(WRITERS) == {*get_args(Event), TurnStarted} - {PatchesApplied}
    assert {kind for kind, _ in WRITERS.values()} == set(READERS)
    assert set(TAGS) == set(get_args(Event))


def test_every_event_but_one_keeps_what_the_wire_says() -> None:
    for kind in TAGS:
        if kind is not PatchesApplied:
            assert kind._field_defaults["wire"] is None


def test_numbers_that_we_share_with_the_wire_are_the_same() -> None:
    numbers = {value.name: value.number for value in HistoryEvent.DESCRIPTOR.file.enum_types_by_name[
        "StalledReason"
    ].values}  # fmt: skip
    assert numbers == {name: number for name, number in vars(events.StallReason).items() if name.isupper()}
