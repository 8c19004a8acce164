"""Events as an SDK or daprd could have written them: at least one of each kind, with all fields."""

from perdure.rpc.messages import HistoryEvent, Message, message

APP_ID = "orders"
INSTANCE_ID = "order-1"

AT = {"seconds": 1_795_406_400, "nanos": 123_456_000}
ROUTER = {"sourceAppID": APP_ID}
TRACE = {"traceParent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "spanID": "b7ad6b7169203331"}
SENTINEL = {"seconds": 253_402_300_799, "nanos": 999_999_999}
FAILURE = {
    "errorType": "ValueError",
    "errorMessage": "no",
    "stackTrace": {"value": ""},
    "innerFailure": {"errorType": "KeyError", "errorMessage": "'k'"},
    "isNonRetriable": True,
}
UNKNOWN = b"\xfa\x3f\x02hi"  # field 1023


def event(kind: str, event_id: int = -1, *, routed: bool = False, **fields: object) -> Message:
    router = ROUTER if routed else None
    return HistoryEvent(eventId=event_id, timestamp=AT, router=router, **{kind: fields})


def text(value: str) -> dict[str, str]:
    return {"value": value}


INSTANCE = {"instanceId": INSTANCE_ID, "executionId": text("e1")}
PARENT = {
    "taskScheduledId": 3,
    "name": text("Parent"),
    "workflowInstance": {"instanceId": "p", "executionId": text("pe")},
    "appID": APP_ID,
}

# Fields that our events hold without `wire`.
PLAIN: dict[str, Message] = {
    "turn": event("workflowStarted"),
    "turn with patches": event("workflowStarted", version={"patches": ["a", "b"], "name": "v2"}),
    "started": event("executionStarted", routed=True, name="Order", workflowInstance=INSTANCE),
    "started with everything": event(
        "executionStarted",
        routed=True,
        name="Order",
        version=text(""),
        input=text(""),
        workflowInstance=INSTANCE,
        parentInstance=PARENT,
        scheduledStartTimestamp=AT,
        parentTraceContext={**TRACE, "traceState": text("a=b")},
    ),
    "completed": event("executionCompleted", 4, routed=True, workflowStatus=1, result=text('"done"')),
    "failed": event("executionCompleted", 4, routed=True, workflowStatus=3, failureDetails=FAILURE),
    "terminated": event("executionTerminated", input=text('"bye"'), recurse=True),
    "suspended": event("executionSuspended", input=text("why")),
    "suspended without a reason": event("executionSuspended"),
    "resumed": event("executionResumed"),
    "stalled": event("executionStalled", reason=1, description="Version not available: v9"),
    "task": event("taskScheduled", 1, routed=True, name="reserve", input=text("1"), taskExecutionId="t-1"),
    "task run again": event(
        "taskScheduled",
        1,
        routed=True,
        name="reserve",
        taskExecutionId="t-1",
        rerunParentInstanceInfo={"instanceID": "order-0"},
        historyPropagationScope=2,
    ),
    "task done": event("taskCompleted", routed=True, taskScheduledId=1, result=text("2"), taskExecutionId="t-1"),
    "task failed": event("taskFailed", routed=True, taskScheduledId=1, failureDetails=FAILURE, taskExecutionId="t-1"),
    "child": event(
        "childWorkflowInstanceCreated",
        2,
        routed=True,
        instanceId="order-1:0002",
        name="Pay",
        input=text("{}"),
        retryParentInstanceInfo={"instanceID": "order-1:0001"},
        historyPropagationScope=1,
    ),
    "child done": event("childWorkflowInstanceCompleted", routed=True, taskScheduledId=2, result=text("3")),
    "child failed": event("childWorkflowInstanceFailed", routed=True, taskScheduledId=2, failureDetails=FAILURE),
    "child terminated": event("childWorkflowInstanceFailed", routed=True, taskScheduledId=2),
    "detached": event("detachedWorkflowInstanceCreated", 5, routed=True, instanceId="order-1-0"),
    "timer": event("timerCreated", 3, routed=True, fireAt=AT, createTimer={}),
    "timer of an old SDK": event("timerCreated", 3, routed=True, fireAt=AT),
    "timer for an event": event("timerCreated", 3, routed=True, fireAt=AT, externalEvent={"name": "Approve"}),
    "timer for a try": event("timerCreated", 3, routed=True, fireAt=AT, activityRetry={"taskExecutionId": "t-1"}),
    "timer for a child": event(
        "timerCreated", 3, routed=True, fireAt=AT, childWorkflowRetry={"instanceId": "order-1:0002"}
    ),
    "timer fired": event("timerFired", fireAt=AT, timerId=3),
    "raised": event("eventRaised", name="Approve", input=text("true")),
    "raised without data": event("eventRaised", name="Approve"),
}

FOREIGN = HistoryEvent(eventId=1, timestamp=AT, router={"sourceAppID": APP_ID, "targetAppID": "billing"})
FOREIGN.taskScheduled.name = "reserve"

NAMESPACED = HistoryEvent()
NAMESPACED.CopyFrom(FOREIGN)
NAMESPACED.router.targetAppNamespace = "prod"


def with_unknown(said: Message) -> Message:
    """The same with unknown fields at every level."""
    inside = said.WhichOneof("eventType") or ""
    inner = message(getattr(said, inside).DESCRIPTOR.full_name)
    odd = inner.FromString(getattr(said, inside).SerializeToString() + UNKNOWN)
    copy = HistoryEvent.FromString(said.SerializeToString() + UNKNOWN)
    getattr(copy, inside).CopyFrom(odd)
    return copy


# Fields that need `wire`.
RICH: dict[str, Message] = {
    "sentinel": event("timerCreated", 3, routed=True, fireAt=SENTINEL, externalEvent={"name": "Approve"}),
    "sentinel fired": event("timerFired", fireAt=SENTINEL, timerId=3),
    "nanoseconds": event("timerCreated", 3, routed=True, fireAt={"seconds": 5, "nanos": 7}, createTimer={}),
    "before 1970": event("timerCreated", 3, routed=True, fireAt={"seconds": -5}, createTimer={}),
    "named timer": event("timerCreated", 3, routed=True, fireAt=AT, name="t", createTimer={}),
    "versioned task": event("taskScheduled", 1, routed=True, name="reserve", version=text("3"), taskExecutionId="t-1"),
    "traced task": event("taskScheduled", 1, routed=True, name="reserve", parentTraceContext=TRACE),
    "scope that is said to be none": event("taskScheduled", 1, routed=True, name="r", historyPropagationScope=0),
    "empty version": event("workflowStarted", version={}),
    "tags": event("executionStarted", routed=True, name="O", workflowInstance=INSTANCE, tags={"a": "b", "c": "d"}),
    "span": event("executionStarted", routed=True, name="O", workflowInstance=INSTANCE, workflowSpanID=text("s")),
    "parent with a namespace": event(
        "executionStarted",
        routed=True,
        name="O",
        workflowInstance=INSTANCE,
        parentInstance={**PARENT, "appNamespace": "prod", "version": text("1")},
    ),
    "attestation": event(
        "taskCompleted",
        routed=True,
        taskScheduledId=1,
        taskExecutionId="t-1",
        attestation={"payload": b"\x00\xff", "signature": b"s"},
        signerCertificate=b"c",
    ),
    "namespace": NAMESPACED,
    **{f"unknown fields: {name}": with_unknown(said) for name, said in PLAIN.items()},
}
