"""Items from every host are written in the form that Dapr's SDKs read."""

from perdure.rpc.messages import CachedHistory, HistoryEvent, Message, PropagatedHistory
from perdure.rpc.messages import WorkItem as WorkItemMessage
from perdure.rpc.wire.work_items import varint, work_item
from perdure.runtime.history.event import EventRaised, ExecutionStarted
from perdure.runtime.history.timed_event import TimedEvent, TurnStarted
from perdure.runtime.workers.items import ActivityItem, WorkflowItem, WorkItem

from ...support.doors.rpc_host import APP_ID
from ...support.doors.wire_events import TRACE

STARTED = TimedEvent(-1, 7, ExecutionStarted("Order", "1", "e1"))
TURN = WorkflowItem("I1", "e1", past=[], new=[TimedEvent(-1, 7, TurnStarted()), STARTED], token="k1")  # noqa: S106
ACTIVITY = ActivityItem("I1", 3, "t-3", "reserve", "1", token="k2")  # noqa: S106


def sent(item: WorkItem) -> Message:
    """An item in the form that its worker reads."""
    return WorkItemMessage.FromString(work_item(item, APP_ID))


def test_a_length_is_written_as_protobuf_writes_it() -> None:
    for number in (0, 1, 127, 128, 300, 16_383, 16_384, 2**21 - 1, 2**21, 2**31 - 1):
        message = CachedHistory(eventCount=number)
        assert (message.SerializeToString() or b"\x08\0")[1:] == varint(number)


def test_a_turn_with_a_known_beginning_says_how_much_is_known() -> None:
    more = TURN._replace(past=[TimedEvent(-1, 8, EventRaised("e", None))], cached_count=12)
    request = sent(more).workflowRequest
    assert (request.cachedHistory.eventCount, len(request.pastEvents)) == (12, 1)
    assert not sent(TURN).workflowRequest.HasField("cachedHistory")
    # An empty cache is reported too.
    assert sent(TURN._replace(cached_count=0)).workflowRequest.HasField("cachedHistory")


def test_what_a_worker_may_see_goes_with_the_work() -> None:
    shown = PropagatedHistory(scope=1, chunks=[{"appId": "up"}]).SerializeToString()
    for item in (TURN._replace(propagated=shown), ACTIVITY._replace(propagated=shown)):
        message = sent(item)
        request = getattr(message, message.WhichOneof("request") or "")
        assert request.propagatedHistory.chunks[0].appId == "up"


def test_an_activity_has_the_trace_of_its_workflow_or_its_own() -> None:
    workflows = ("00-1-2-01", "2", None)
    plain = sent(ACTIVITY._replace(trace=workflows)).activityRequest
    assert plain.parentTraceContext.traceParent == "00-1-2-01"
    scheduled = HistoryEvent(taskScheduled={"version": {"value": "3"}, "parentTraceContext": TRACE})
    wire = scheduled.SerializeToString()
    own = sent(ACTIVITY._replace(trace=workflows, wire=wire)).activityRequest
    assert (own.parentTraceContext.traceParent, own.version.value) == (TRACE["traceParent"], "3")
