"""An event of a history is written in protobuf's JSON, with the fields that only the wire has."""

import pytest

from perdure.rpc.messages import HistoryEvent
from perdure.rpc.wire.event_json import event_writer
from perdure.rpc.wire.history import HistoryWriter
from perdure.runtime.history.event import ExecutionStarted, TaskCompleted, TaskScheduled, TimerCreated, TimerFired
from perdure.runtime.history.timed_event import TimedEvent, TurnStarted

AT_US = 1_795_406_400_123_456
AT = "2026-11-23T04:00:00.123456Z"

write = event_writer("shop")


@pytest.mark.parametrize(
    ("event", "written"),
    [
        (TurnStarted(), {"workflowStarted": {}}),
        (
            ExecutionStarted("Order", '"x"', "e1", None),
            {
                "executionStarted": {
                    "name": "Order",
                    "input": '"x"',
                    "workflowInstance": {"instanceId": "a", "executionId": "e1"},
                },
                "router": {"sourceAppID": "shop"},
            },
        ),
        (
            TaskScheduled(0, "charge", None, "t1"),
            {"taskScheduled": {"name": "charge", "taskExecutionId": "t1"}, "router": {"sourceAppID": "shop"}},
        ),
        (
            TaskCompleted(0, "1", "t1"),
            {"taskCompleted": {"result": "1", "taskExecutionId": "t1"}, "router": {"sourceAppID": "shop"}},
        ),
        (
            TimerCreated(3, AT_US),
            {"timerCreated": {"fireAt": AT, "createTimer": {}}, "router": {"sourceAppID": "shop"}},
        ),
        (TimerFired(3, AT_US), {"timerFired": {"fireAt": AT, "timerId": 3}}),
    ],
)
def test_an_event_has_its_id_its_time_and_its_fields(event: object, written: dict[str, object]) -> None:
    event_id = getattr(event, "event_id", -1)
    found = write("a", TimedEvent(event_id, AT_US, event))  # type: ignore[arg-type]
    assert found == {"eventId": event_id, "timestamp": AT, **written}


def test_what_only_the_wire_knows_is_written_too() -> None:
    # Given an event from an SDK, with a field that ours has no place for,
    message = HistoryEvent(eventId=3, taskScheduled={"name": "charge", "version": {"value": "v2"}})
    timed = HistoryWriter(app_id="shop", instance_id="a").read(message)
    # then its JSON has the field.
    assert write("a", timed)["taskScheduled"]["version"] == "v2"
