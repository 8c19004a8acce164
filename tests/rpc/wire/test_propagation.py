"""An activity or a child gets the history that its caller passes on, and its ancestors' only on request."""

from perdure.rpc.messages import HistoryEvent, PropagatedHistory
from perdure.rpc.wire.history import HistoryWriter
from perdure.rpc.wire.propagation import propagate
from perdure.runtime.history.event import ExecutionStarted, Propagation, TaskScheduled
from perdure.runtime.history.timed_event import TimedEvent, TurnStarted

from ...support.doors.wire_events import APP_ID, INSTANCE_ID

WRITER = HistoryWriter(app_id=APP_ID, instance_id=INSTANCE_ID)
EVENTS = [
    TimedEvent(-1, 5, TurnStarted()),
    TimedEvent(-1, 5, ExecutionStarted("Order", "1", "e1")),
    TimedEvent(1, 5, TaskScheduled(1, "a", None, "t-1", propagation=Propagation.LINEAGE)),
]
RECEIVED = PropagatedHistory(
    scope=Propagation.OWN, chunks=[{"appId": "up", "instanceId": "p", "rawEvents": [b"\x08\x01"]}]
).SerializeToString()


def test_nothing_is_shown_unless_it_is_asked_for() -> None:
    assert propagate(EVENTS, WRITER, scope=Propagation.NONE, received=RECEIVED) is None


def test_ones_own_history_is_one_chunk() -> None:
    shown = propagate(EVENTS, WRITER, scope=Propagation.OWN, received=RECEIVED)
    assert shown is not None
    history = PropagatedHistory.FromString(shown)
    (chunk,) = history.chunks
    assert (history.scope, chunk.appId, chunk.instanceId, chunk.workflowName) == (1, APP_ID, INSTANCE_ID, "Order")
    kinds = [HistoryEvent.FromString(raw).WhichOneof("eventType") for raw in chunk.rawEvents]
    assert kinds == ["workflowStarted", "executionStarted", "taskScheduled"]


def test_a_lineage_begins_with_what_was_received() -> None:
    shown = propagate(EVENTS, WRITER, scope=Propagation.LINEAGE, received=RECEIVED)
    assert shown is not None
    assert [chunk.appId for chunk in PropagatedHistory.FromString(shown).chunks] == ["up", APP_ID]


def test_the_same_history_is_shown_in_the_same_bytes() -> None:
    assert len({propagate(EVENTS, WRITER, scope=Propagation.OWN, received=None) for _ in range(3)}) == 1
