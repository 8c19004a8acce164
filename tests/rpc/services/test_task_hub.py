"""The task hub manages instances as Dapr's does: its waits, its answers for missing instances, and its errors."""

from typing import Any

import anyio
import grpc
import pytest

from perdure.actors.address import Address
from perdure.actors.errors import HostStopping, MailboxFull, RingUnknown
from perdure.rpc.messages import TaskFailureDetails
from perdure.rpc.services.task_hub import PAGE_IDS_MAX
from perdure.rpc.wire.failure import failure_from
from perdure.runtime.dates import END_OF_TIME_US
from perdure.runtime.errors import ChildUnfinished, InstanceExists, InstanceNotFound
from perdure.runtime.history.event import (
    EventRaised,
    EventSent,
    ExecutionCompleted,
    ExecutionStalled,
    ExecutionStarted,
    PatchesApplied,
    TaskCompleted,
    TaskScheduled,
)
from perdure.runtime.history.row import Row
from perdure.runtime.history.status import Status
from perdure.runtime.operations.rerun import EventNotFound, EventNotRerunnable, Rerun, RerunExists, RerunRefused

from ...support.doors.fake_facade import CREATED_US, state
from ...support.doors.fake_management import FakeManagement
from ...support.doors.rpc_host import APP_ID, Client, Host, ask, fail, run
from ...support.doors.wire_events import AT, FAILURE, SENTINEL, TRACE, text

AT_US = 1_795_406_400_123_456
FOREIGN = {"targetAppID": "billing"}


def make_host(*states: Any, begins: bool = True) -> Host:
    return Host(FakeManagement(*states, begins=begins))


def test_a_start_says_everything_to_the_facade() -> None:
    host = make_host()
    answer = ask(
        host,
        "StartInstance",
        instanceId="a:b|c",
        name="Order",
        version=text(""),
        input=text("1"),
        scheduledStartTimestamp=AT,
        parentTraceContext=TRACE,
        enforceUniqueInstanceId=True,
        tags={"a": "b"},
        router={"targetAppID": APP_ID},
    )
    assert answer.instanceId == "a:b|c"
    trace = (TRACE["traceParent"], TRACE["spanID"], None)
    assert host.facade.calls == [("start", "Order", "a:b|c", "1", AT_US, True, trace)]


def test_a_start_without_an_id_mints_one() -> None:
    answer = ask(make_host(), "StartInstance", name="Order")
    assert len(answer.instanceId) == 36


def test_a_start_waits_until_the_code_has_begun() -> None:
    host = make_host(begins=False)

    async def test(client: Client) -> None:
        # Given no worker,
        call = client.call("StartInstance", instanceId="a", name="Order")
        while "a" not in host.facade.instances:
            await anyio.sleep(0.01)
        assert not call.done()
        # when the first turn is run,
        host.facade.put(state("a", Status.RUNNING))
        # then the start is answered.
        assert (await call).instanceId == "a"

    run(host, test)


def test_a_start_at_a_time_does_not_wait() -> None:
    host = make_host(begins=False)
    assert ask(host, "StartInstance", instanceId="a", name="Order", scheduledStartTimestamp=SENTINEL).instanceId == "a"
    assert host.facade.calls == [("start", "Order", "a", None, END_OF_TIME_US, False, None)]


def test_a_start_without_a_waiter_is_let_go() -> None:
    host = make_host(begins=False)

    async def test(client: Client) -> None:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await client.call("StartInstance", timeout_s=0.1, instanceId="a", name="Order")
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert (await client.call("GetInstance", instanceId="a")).exists

    run(host, test)


@pytest.mark.parametrize(
    ("failure", "message"),
    [
        (InstanceExists("a"), "an active workflow with ID 'a' already exists"),
        (
            InstanceExists("a", unique=True),
            "a workflow with ID 'a' already exists and the create enforces instance ID uniqueness",
        ),
        (
            ChildUnfinished("a", ("c",)),
            "cannot recreate workflow with ID 'a': child workflow 'c': orchestration has not yet completed",
        ),
    ],
)
def test_an_id_that_is_taken_has_a_code_of_its_own(failure: Exception, message: str) -> None:
    host = make_host()
    host.facade.failure = failure
    assert fail(host, "StartInstance", instanceId="a", name="W") == ("ALREADY_EXISTS", message)


def test_an_instance_is_described_with_its_payloads_if_asked_for() -> None:
    done = state("a", Status.COMPLETED, output='"x"', custom_status="s", parent_id="p", version="v2")
    with_payloads = ask(make_host(done), "GetInstance", instanceId="a", getInputsAndOutputs=True)
    assert with_payloads.exists
    found = with_payloads.workflowState
    assert (found.instanceId, found.name, found.workflowStatus, found.version.value) == ("a", done.name, 1, "v2")
    assert (found.input.value, found.output.value, found.customStatus.value) == (done.input, '"x"', "s")
    assert (found.parentInstanceId.value, found.parentAppId.value) == ("p", APP_ID)
    assert found.createdTimestamp.ToMicroseconds() == CREATED_US
    assert found.lastUpdatedTimestamp.ToMicroseconds() == CREATED_US + 1_000_000
    # Fields that Dapr does not fill are not filled.
    assert not any(map(found.HasField, ("executionId", "completedTimestamp", "startedAt")))
    without = ask(make_host(done), "GetInstance", instanceId="a").workflowState
    assert not any(map(without.HasField, ("input", "output", "customStatus", "failureDetails")))


def test_an_instance_tells_when_it_has_started() -> None:
    found = ask(make_host(state("a", started_us=CREATED_US + 7)), "GetInstance", instanceId="a").workflowState
    assert found.startedAt.ToMicroseconds() == CREATED_US + 7


def test_a_failed_instance_has_its_failure_verbatim_and_no_output() -> None:
    failure = failure_from(TaskFailureDetails(**FAILURE))
    failed = state("a", Status.FAILED, failure=failure, output="ignored")
    found = ask(make_host(failed), "GetInstance", instanceId="a", getInputsAndOutputs=True).workflowState
    assert found.failureDetails == TaskFailureDetails(**FAILURE)
    assert not found.HasField("output")


def test_a_stalled_instance_has_the_status_that_only_the_task_hub_knows() -> None:
    assert ask(make_host(state("a", Status.STALLED)), "GetInstance", instanceId="a").workflowState.workflowStatus == 8


def test_a_pending_instance_has_no_times() -> None:
    found = ask(make_host(state("a", Status.PENDING)), "GetInstance", instanceId="a").workflowState
    assert found.createdTimestamp.ToJsonString() == "0001-01-01T00:00:00Z"


def test_a_missing_instance_does_not_exist() -> None:
    answer = ask(make_host(), "GetInstance", instanceId="a")
    assert (answer.exists, answer.HasField("workflowState")) == (False, False)


@pytest.mark.parametrize(
    ("name", "status"), [("WaitForInstanceStart", Status.RUNNING), ("WaitForInstanceCompletion", Status.TERMINATED)]
)
def test_waiting_begins_before_the_instance_does(name: str, status: Status) -> None:
    host = make_host()

    async def test(client: Client) -> None:
        call = client.call(name, instanceId="a", getInputsAndOutputs=True)
        while not host.facade.calls:
            await anyio.sleep(0.01)
        host.facade.put(state("a", Status.PENDING))
        host.facade.put(state("a", status))
        answer = await call
        assert (answer.exists, answer.workflowState.workflowStatus) == (True, status)

    run(host, test)


def test_the_four_that_steer_reach_the_facade() -> None:
    host = make_host(state("a"))

    async def test(client: Client) -> None:
        await client.call("RaiseEvent", instanceId="a", name="Go")
        await client.call("RaiseEvent", instanceId="a", name="Go", input=text(""))
        await client.call("SuspendInstance", instanceId="a", reason=text("why"))
        await client.call("SuspendInstance", instanceId="a", reason=text(""))
        await client.call("ResumeInstance", instanceId="a")
        await client.call("TerminateInstance", instanceId="a", output=text('"bye"'), recursive=True)

    run(host, test)
    assert host.facade.calls == [
        ("raise_event", "a", "Go", None),
        ("raise_event", "a", "Go", ""),
        ("suspend", "a", "why"),
        ("suspend", "a", None),
        ("resume", "a", None),
        ("terminate", "a", '"bye"', True),
        ("wait", "a"),
    ]


@pytest.mark.parametrize(
    ("name", "prefix"),
    [
        ("RaiseEvent", ""),
        ("SuspendInstance", ""),
        ("ResumeInstance", ""),
        ("TerminateInstance", "failed to submit termination request: "),
        ("PurgeInstances", "failed to purge workflow state: "),
    ],
)
def test_a_missing_instance_cannot_be_changed(name: str, prefix: str) -> None:
    assert fail(make_host(), name, instanceId="a") == ("UNKNOWN", f"{prefix}no such instance exists")
    stalled = make_host(state("a", Status.STALLED))
    assert fail(stalled, name, instanceId="a") == ("UNKNOWN", f"{prefix}workflow is stalled")


def test_purge_counts_and_may_be_forced() -> None:
    host = make_host(state("a"))
    assert fail(host, "PurgeInstances", instanceId="a") == (
        "UNKNOWN",
        "failed to purge workflow state: orchestration has not yet completed",
    )
    host = make_host(state("a"))
    assert ask(host, "PurgeInstances", instanceId="a", recursive=True, force=True).deletedInstanceCount == 1
    assert host.facade.calls == [("purge", "a", True, True)]


def test_purge_takes_a_filter_which_dapr_does_not() -> None:
    host = make_host()
    wanted = {"createdTimeFrom": AT, "runtimeStatus": [1, 3]}
    answer = ask(host, "PurgeInstances", purgeInstanceFilter=wanted, recursive=True)
    assert (answer.deletedInstanceCount, answer.isComplete.value) == (7, True)
    statuses = frozenset({Status.COMPLETED, Status.FAILED})
    assert host.facade.calls == [("purge_where", AT_US, None, statuses, True, False)]


def test_a_filter_with_a_status_that_does_not_exist_is_refused() -> None:
    code, message = fail(make_host(), "PurgeInstances", purgeInstanceFilter={"runtimeStatus": [77]})
    assert (code, "77" in message) == ("INVALID_ARGUMENT", True)


def test_ids_come_in_pages() -> None:
    host = make_host(*(state(f"i{number}") for number in range(5)))

    async def test(client: Client) -> None:
        first = await client.call("ListInstanceIDs", pageSize=3)
        assert list(first.instanceIds) == ["i0", "i1", "i2"]
        second = await client.call("ListInstanceIDs", pageSize=3, continuationToken=first.continuationToken)
        assert list(second.instanceIds) == ["i3", "i4"]
        assert not second.HasField("continuationToken")
        await client.call("ListInstanceIDs", continuationToken="")
        await client.call("ListInstanceIDs", pageSize=4_000_000_000)

    run(host, test)
    assert host.facade.calls == [
        ("list_ids", None, 3),
        ("list_ids", "i2", 3),
        ("list_ids", None, 1024),
        ("list_ids", None, PAGE_IDS_MAX),
    ]


def test_the_history_is_canonical() -> None:
    host = make_host()
    host.facade.rows["a"] = [
        Row(AT_US, [ExecutionStarted("Order", "1", "e1"), TaskScheduled(1, "t", None, "t-1")], ()),
        Row(AT_US + 1, [TaskCompleted(1, "2"), ExecutionCompleted(2, 1, "3")], ()),
    ]
    answer = ask(host, "GetInstanceHistory", instanceId="a")
    assert [(event.WhichOneof("eventType"), event.eventId) for event in answer.events] == [
        ("workflowStarted", -1),
        ("executionStarted", -1),
        ("taskScheduled", 1),
        ("workflowStarted", -1),
        ("taskCompleted", -1),
        ("executionCompleted", 2),
    ]
    assert answer.events[4].taskCompleted.taskExecutionId == "t-1"
    assert answer.events[5].timestamp.ToMicroseconds() == AT_US + 1


def test_the_history_of_a_stalled_instance_has_the_stall_and_an_event_for_another_its_receiver() -> None:
    host = make_host()
    host.facade.rows["a"] = [
        Row(AT_US, [ExecutionStarted("Order", "1", "e1"), PatchesApplied((), "v1"), EventSent(1, "b", "go", "2")], ()),
        Row(AT_US + 1, None, [EventRaised("x", None)]),
        Row(AT_US + 2, None, [ExecutionStalled("Version not available: v1", 1)]),
    ]
    events = ask(host, "GetInstanceHistory", instanceId="a").events
    kinds = [event.WhichOneof("eventType") for event in events]
    assert kinds == ["workflowStarted", "executionStarted", "eventSent", "executionStalled"]
    assert events[0].workflowStarted.version.name == "v1"
    sent = events[2].eventSent
    assert (events[2].eventId, sent.instanceId, sent.name, sent.input.value) == (1, "b", "go", "2")
    stalled = events[3].executionStalled
    assert (stalled.reason, stalled.description) == (1, "Version not available: v1")


def test_the_history_of_a_missing_instance_is_not_found() -> None:
    failure = fail(make_host(), "GetInstanceHistory", instanceId="a")
    assert failure == ("NOT_FOUND", "workflow instance 'a' not found")


def test_a_rerun_says_everything_to_the_facade_and_waits_for_the_copy() -> None:
    host = make_host()
    fields = {"sourceInstanceID": "a", "eventID": 3, "newInstanceID": "b", "input": text("1"), "overwriteInput": True}
    answer = ask(host, "RerunWorkflowFromEvent", **fields, newChildWorkflowInstanceID="c")
    assert answer.newInstanceID == "b"
    assert host.facade.calls == [("rerun", Rerun("a", 3, "b", "1", True, "c")), ("wait", "b")]
    host = make_host()
    assert ask(host, "RerunWorkflowFromEvent", sourceInstanceID="a").newInstanceID
    assert host.facade.calls[0] == ("rerun", Rerun("a", 0))


@pytest.mark.parametrize(
    ("failure", "code", "message"),
    [
        (RerunRefused("'a' is not in a terminal state"), "INVALID_ARGUMENT", "'a' is not in a terminal state"),
        (RerunExists("b"), "ALREADY_EXISTS", "workflow 'b' has already been created"),
        (InstanceNotFound("a"), "NOT_FOUND", "workflow instance does not exist with ID 'a'"),
        (EventNotFound(5), "NOT_FOUND", "does not have history event with ID '5'"),
        (
            EventNotRerunnable(1, ExecutionCompleted(1, 1)),
            "NOT_FOUND",
            "target event '*protos.HistoryEvent_ExecutionCompleted' with ID '1' is not an event that can be rerun",
        ),
    ],
)
def test_a_rerun_that_cannot_be_ends_as_in_dapr(failure: Exception, code: str, message: str) -> None:
    host = make_host()
    host.facade.failure = failure
    assert fail(host, "RerunWorkflowFromEvent", sourceInstanceID="a", eventID=1) == (code, message)


def test_a_rerun_under_the_same_id_is_refused() -> None:
    assert fail(make_host(), "RerunWorkflowFromEvent", sourceInstanceID="a", newInstanceID="a") == (
        "INVALID_ARGUMENT",
        "rerun workflow instance ID must be different from the original instance ID",
    )


@pytest.mark.parametrize(
    "name",
    [
        *("StartInstance", "GetInstance", "WaitForInstanceStart", "WaitForInstanceCompletion", "RaiseEvent"),
        *("TerminateInstance", "SuspendInstance", "ResumeInstance", "PurgeInstances", "RerunWorkflowFromEvent"),
    ],
)
def test_another_app_is_asked_for_its_instances(name: str) -> None:
    host = make_host()
    host.facade.of_app("billing").failure = RingUnknown("billing")
    more = {"sourceInstanceID": "a"} if name == "RerunWorkflowFromEvent" else {}
    assert fail(host, name, router=FOREIGN, **more) == ("UNAVAILABLE", "no host has the app ID 'billing'")
    assert host.facade.calls == []


@pytest.mark.parametrize("name", ["WaitForInstanceStart", "WaitForInstanceCompletion"])
def test_an_instance_of_another_app_is_not_waited_for_before_it_exists(name: str) -> None:
    assert "no such instance exists" in fail(make_host(), name, instanceId="nobody", router=FOREIGN)[1]


@pytest.mark.parametrize("failure", [MailboxFull(Address("workflow", "a"), messages_max=3), HostStopping()])
def test_what_may_be_tried_again_is_unavailable(failure: Exception) -> None:
    host = make_host()
    host.facade.failure = failure
    assert fail(host, "PurgeInstances", instanceId="a") == ("UNAVAILABLE", str(failure))
