"""Serialized events are sent again, and only for the same history."""

import random
from collections.abc import Iterator, Sequence

import pytest

from perdure.rpc.messages import Message
from perdure.rpc.messages import WorkItem as WorkItemMessage
from perdure.rpc.wire.history import HistoryWriter
from perdure.rpc.wire.past_events import PAST_BYTES, PastEvents, serialize
from perdure.rpc.wire.work_items import work_item
from perdure.runtime.history.event import Event, ExecutionStarted, TaskCompleted, TaskScheduled
from perdure.runtime.history.row import Row
from perdure.runtime.history.timed_event import TimedEvent, TurnStarted
from perdure.runtime.history.timeline import Timeline
from perdure.runtime.workers.items import WorkflowItem

from ...support.doors.random_wire import random_event
from ...support.doors.wire_events import APP_ID, INSTANCE_ID

WRITER = HistoryWriter(app_id=APP_ID, instance_id=INSTANCE_ID)
NEW = (TimedEvent(-1, 9, TurnStarted()), TimedEvent(-1, 9, TaskCompleted(1, "1", "t")))


def item(past: Sequence[TimedEvent], *, instance_id: str = INSTANCE_ID, execution_id: str = "e1") -> WorkflowItem:
    return WorkflowItem(instance_id, execution_id, list(past), NEW, token="k")  # noqa: S106


def written_anew(asked: WorkflowItem) -> Message:
    """An item as one message, made without the kept events."""
    writer = HistoryWriter(app_id=APP_ID, instance_id=asked.instance_id)
    return WorkItemMessage(
        workflowRequest={
            "instanceId": asked.instance_id,
            "executionId": {"value": asked.execution_id},
            "pastEvents": [writer.write(timed) for timed in asked.past],
            "newEvents": [writer.write(timed) for timed in asked.new],
            "cachedHistory": {"eventCount": asked.cached_count} if asked.cached_count is not None else None,
        },
        completionToken=asked.token,
    )


def assert_means(serialized: bytes, expected: Message) -> None:
    """Every reader sees the same, unknown fields included."""
    read = WorkItemMessage.FromString(serialized)
    assert read.SerializeToString(deterministic=True) == expected.SerializeToString(deterministic=True)


def an_event(number: int, text: str = "1") -> TimedEvent:
    """Another object each time."""
    return TimedEvent(number, number, TaskScheduled(number, "reserve", text, "t"))


class Watched(HistoryWriter):
    """Counts the written events."""

    def __init__(self) -> None:
        super().__init__(app_id=APP_ID, instance_id=INSTANCE_ID)
        self.written = 0

    def write_all(self, events: Sequence[TimedEvent]) -> list[Message | dict[str, object]]:  # type: ignore[override]
        self.written += len(events)
        return super().write_all(events)


def test_only_what_is_new_is_written() -> None:
    pasts, writer = PastEvents(), Watched()
    past: list[TimedEvent] = []
    for turn in range(10):
        past += [an_event(3 * turn + number) for number in range(3)]
        assert bytes(pasts.serialized(item(past), writer)) == serialize(past, WRITER)
    assert writer.written == len(past) == 30
    # The same turn given to another worker costs nothing at all.
    pasts.serialized(item(past), writer)
    assert writer.written == 30


@pytest.mark.parametrize("at", [0, 1, 2])
def test_an_equal_end_does_not_prove_an_equal_beginning(at: int) -> None:
    # Given a history that was sent,
    pasts = PastEvents()
    pasts.serialized(item([an_event(1), an_event(2), an_event(3)]), WRITER)
    # when there is another under the same ids, as after a purge, that differs from it in one event,
    other = [an_event(number, "2" if number == at + 1 else "1") for number in (1, 2, 3)]
    # then that one is sent.
    assert bytes(pasts.serialized(item(other), WRITER)) == serialize(other, WRITER)


def test_a_history_that_is_shorter_than_what_was_sent_is_another() -> None:
    pasts = PastEvents()
    past = [an_event(1), an_event(2)]
    pasts.serialized(item(past), WRITER)
    assert bytes(pasts.serialized(item(past[:1]), WRITER)) == serialize(past[:1], WRITER)
    assert pasts.serialized(item([]), WRITER) == b""
    assert len(pasts) == 0


def test_histories_of_the_same_rows_share_no_event() -> None:
    """The proof of `PastEvents` rests on it, and a history is read again after each failed commit."""
    turn: list[Event] = [ExecutionStarted("Order", "1", "e1"), TaskScheduled(1, "reserve", "1", "t")]
    rows = [Row(1, turn, ()), Row(2, [TaskCompleted(1, "2")], [TaskCompleted(2, "3")]), Row(3, [], ())]
    one, other = Timeline.of(rows), Timeline.of(rows)
    assert one.events == other.events
    assert not {id(event) for event in one.events} & {id(event) for event in other.events}
    # The events of a turn under way are other objects than those of the history.
    timeline = Timeline.of(rows[:1])
    offered = timeline.fed([TaskCompleted(1, "2")], 2)
    timeline.add(rows[1])
    assert timeline.events[-1:] == offered
    assert timeline.events[-1] is not offered[0]


def test_what_was_not_needed_for_longest_goes_first() -> None:
    size = PAST_BYTES + len(serialize([an_event(1)], WRITER))
    pasts, writer = PastEvents(bytes_max=2 * size), Watched()
    histories = {name: [an_event(1)] for name in "abc"}
    for name in "abac":
        pasts.serialized(item(histories[name], instance_id=name), writer)
    assert (len(pasts), writer.written) == (2 * size, 3)
    # `a` was needed again before `c` came, so `b` is gone.
    for name in "ac":
        pasts.serialized(item(histories[name], instance_id=name), writer)
    assert writer.written == 3
    pasts.serialized(item(histories["b"], instance_id="b"), writer)
    assert writer.written == 4


def test_a_history_that_is_too_large_to_keep_is_sent_and_pushes_out_the_rest() -> None:
    pasts = PastEvents(bytes_max=2 * PAST_BYTES)
    pasts.serialized(item([an_event(1)], instance_id="small"), WRITER)
    large = [an_event(number) for number in range(1, 100)]
    assert bytes(pasts.serialized(item(large), WRITER)) == serialize(large, WRITER)
    assert len(pasts) == 0


def test_a_forgotten_instance_leaves_nothing() -> None:
    pasts = PastEvents()
    pasts.serialized(item([an_event(1)]), WRITER)
    assert len(pasts) > PAST_BYTES
    pasts.forget(INSTANCE_ID)
    pasts.forget("nobody")
    assert len(pasts) == 0


def lives(chance: random.Random, steps: int) -> Iterator[WorkflowItem]:
    """Instances whose histories grow, are replaced, are read again or lose their end: an item for each step."""
    histories: dict[str, tuple[str, list[TimedEvent]]] = {}
    for number in range(steps):
        name = chance.choice(("a", "b", "c"))
        execution_id, past = histories.get(name, ("e1", []))
        match chance.randrange(10):
            case 0:  # purged and begun anew, or a new generation
                execution_id, past = chance.choice(("e1", f"e{number}")), []
            case 1:  # read from the store
                past = [TimedEvent(*timed) for timed in past]
            case 2:  # read from the store after a commit that failed
                past = [TimedEvent(*timed) for timed in past[: chance.randrange(len(past) + 1)]]
        past = [*past, *(WRITER.read(random_event(chance)) for _ in range(chance.randrange(5)))]
        histories[name] = (execution_id, past)
        yield item(past, instance_id=name, execution_id=execution_id)


@pytest.mark.parametrize("bytes_max", [1, 4 * PAST_BYTES, 2**20])
@pytest.mark.parametrize("seed", range(4))
def test_whatever_becomes_of_instances_items_mean_what_they_would_mean_written_anew(seed: int, bytes_max: int) -> None:
    chance = random.Random(seed)
    pasts = PastEvents(bytes_max=bytes_max)
    for asked in lives(chance, 150):
        expected = written_anew(asked)
        assert_means(work_item(asked, APP_ID, pasts), expected)
        assert_means(work_item(asked, APP_ID), expected)
        assert len(pasts) <= bytes_max
        if chance.random() < 0.1:
            pasts.forget(asked.instance_id)
        # A worker that keeps histories gets the same end of the history.
        known = chance.randrange(len(asked.past) + 1)
        rest = asked._replace(past=asked.past[known:], cached_count=known)
        assert_means(work_item(rest, APP_ID), written_anew(rest))
