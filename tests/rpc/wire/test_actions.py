"""The answer of a worker of any generation becomes commands, and nothing is left out silently."""

from typing import Any, get_args

import pytest

from perdure.rpc.messages import ActivityResponse, Message, WorkflowAction, WorkflowResponse
from perdure.rpc.wire.actions import (
    READERS,
    UnsupportedAction,
    activity_answer,
    check_workflow_answer,
    command_of,
    workflow_answer,
)
from perdure.rpc.wire.history import HistoryWriter
from perdure.rpc.wire.stamps import moment_us
from perdure.runtime.dates import END_OF_TIME_US
from perdure.runtime.errors import InvalidRequest
from perdure.runtime.execution.drive import ContinuedAsNew
from perdure.runtime.history.event import (
    ChildCreated,
    Command,
    DetachedCreated,
    EventRaised,
    EventSent,
    ExecutionCompleted,
    PatchesApplied,
    TaskScheduled,
    TimerCreated,
    TimerOrigin,
)
from perdure.runtime.history.failure import FailureDetails
from perdure.runtime.history.status import Status
from perdure.runtime.history.timed_event import TimedEvent
from perdure.runtime.instance.message import WorkflowAnswer

from ...support.doors.action_writer import WRITERS, action_of
from ...support.doors.wire_events import AT, FAILURE, SENTINEL, TRACE, event, text

AT_US = 1_795_406_400_123_456
WRITER = HistoryWriter(app_id="orders", instance_id="I1")


def action(kind: str, number: int = 1, *, router: object = None, **fields: object) -> Message:
    return WorkflowAction(id=number, router=router, **{kind: fields})


def respond(*actions: Message, **fields: Any) -> Message:
    return WorkflowResponse(instanceId="I1", actions=actions, **fields)


# An action of each kind, and its command. As the SDKs for Python 1.19 and JavaScript write them.
ACTIONS: dict[str, tuple[Message, Command]] = {
    "task": (
        action("scheduleTask", name="a", input=text("1"), taskExecutionId="t-1"),
        TaskScheduled(1, "a", "1", "t-1"),
    ),
    "task without an execution id": (action("scheduleTask", name="a"), TaskScheduled(1, "a", None, "")),
    "task that may look back": (
        action("scheduleTask", name="a", historyPropagationScope=2),
        TaskScheduled(1, "a", None, "", propagation=2),
    ),
    "task of another app": (
        action("scheduleTask", name="a", router={"targetAppID": "billing"}),
        TaskScheduled(1, "a", None, "", "billing"),
    ),
    "child": (
        action("createChildWorkflow", 2, instanceId="I1:0002", name="c", input=text("{}")),
        ChildCreated(2, "I1:0002", "c", "{}"),
    ),
    "child with an id of its own": (
        action(
            "createChildWorkflow", 5, instanceId="I1:0002", name="c", retryParentInstanceInfo={"instanceID": "I1:0002"}
        ),
        ChildCreated(5, "I1:0002", "c", None, True, "I1:0002"),
    ),
    "timer": (action("createTimer", 3, fireAt=AT, createTimer={}), TimerCreated(3, AT_US)),
    "timer of an old SDK": (action("createTimer", 3, fireAt=AT), TimerCreated(3, AT_US, TimerOrigin.UNSAID)),
    "timer for an event": (
        action("createTimer", 3, fireAt=AT, externalEvent={"name": "Approve"}),
        TimerCreated(3, AT_US, TimerOrigin.EXTERNAL_EVENT, "Approve"),
    ),
    "timer for a try": (
        action("createTimer", 3, fireAt=AT, activityRetry={"taskExecutionId": "t-1"}),
        TimerCreated(3, AT_US, TimerOrigin.ACTIVITY_RETRY, "t-1"),
    ),
    "detached": (
        action("createDetachedWorkflow", 4, instanceId="I1-0", name="d", input=text("1"), scheduledStartTimestamp=AT),
        DetachedCreated(4, "I1-0", "d", "1", AT_US),
    ),
    "event for another": (
        action("sendEvent", 5, instance={"instanceId": "other"}, name="go", data=text("true")),
        EventSent(5, "other", "go", "true"),
    ),
    "event for another app's": (
        action("sendEvent", 5, instance={"instanceId": "other"}, name="go", router={"targetAppID": "billing"}),
        EventSent(5, "other", "go", None, "billing"),
    ),
    "completion": (
        action("completeWorkflow", 6, workflowStatus=1, result=text('"x"')),
        ExecutionCompleted(6, Status.COMPLETED.value, '"x"'),
    ),
}


@pytest.mark.parametrize("name", ACTIONS)
def test_an_action_is_a_command_and_back(name: str) -> None:
    said, expected = ACTIONS[name]
    assert command_of(said, "I1") == expected
    assert action_of(expected) == said


def test_every_kind_of_command_has_its_row() -> None:
    assert set(WRITERS) == set(get_args(Command)) - {PatchesApplied}
    assert {kind for kind, _ in WRITERS.values()} == set(READERS)


def test_a_failure_in_a_completion_is_kept_verbatim() -> None:
    command = command_of(action("completeWorkflow", workflowStatus=3, failureDetails=FAILURE), "I1")
    assert isinstance(command, ExecutionCompleted)
    assert command.failure is not None
    assert FailureDetails.unpack(command.failure).inner is not None


def test_a_child_without_an_id_gets_the_one_that_follows_from_its_parents() -> None:
    command = command_of(action("createChildWorkflow", 26, name="c"), "I1")
    assert command == ChildCreated(26, "I1:001a", "c", None)


@pytest.mark.parametrize("kind", ["scheduleTask", "createChildWorkflow"])
def test_routers_are_found_where_sdks_up_to_1_17_put_them(kind: str) -> None:
    # Both fields: an empty outer one comes with the inner one, as Python's SDK 1.19 sends it too.
    said = WorkflowAction(id=1, router={}, **{kind: {"name": "a", "router": {"targetAppID": "billing"}}})
    command: Any = command_of(said, "I1")
    assert command.target_app == "billing"
    said.ClearField(kind)
    getattr(said, kind).name = "a"
    command = command_of(said, "I1")
    assert command.target_app is None


@pytest.mark.parametrize(
    ("said", "where", "expected"),
    [
        (action("scheduleTask", name="a", version=text("3")), "taskScheduled", {"name": "a", "version": text("3")}),
        (action("createChildWorkflow", name="c", instanceId="i", version=text("")), "childWorkflowInstanceCreated",
         {"name": "c", "instanceId": "i", "version": text("")}),
        (action("createTimer", fireAt=AT, name="n", createTimer={}), "timerCreated",
         {"fireAt": AT, "name": "n", "createTimer": {}}),
        (action("createTimer", fireAt=SENTINEL, externalEvent={"name": "e"}), "timerCreated",
         {"fireAt": SENTINEL, "externalEvent": {"name": "e"}}),
    ],
)  # fmt: skip
def test_what_an_action_says_beyond_our_fields_is_in_the_history(
    said: Message, where: str, expected: dict[str, Any]
) -> None:
    command: Any = command_of(said, "I1")
    assert command.wire is not None
    written = WRITER.write(TimedEvent(1, AT_US, command))
    assert written == event(where, 1, routed=True, **expected)
    assert action_of(command) == said


def test_a_namespace_is_in_the_history_too() -> None:
    router = {"targetAppID": "billing", "targetAppNamespace": "prod"}
    command = command_of(action("scheduleTask", name="a", router=router), "I1")
    written = WRITER.write(TimedEvent(1, AT_US, command))
    assert (written.router.sourceAppID, written.router.targetAppNamespace) == ("orders", "prod")
    assert written.router.targetAppID == "billing"


def test_the_sentinel_is_due_at_the_end_of_time() -> None:
    command = command_of(action("createTimer", fireAt=SENTINEL, externalEvent={"name": "e"}), "I1")
    assert isinstance(command, TimerCreated)
    assert command.fire_at_us == END_OF_TIME_US


def test_a_detached_workflow_has_the_trace_that_it_was_given() -> None:
    command = command_of(action("createDetachedWorkflow", instanceId="d", parentTraceContext=TRACE), "I1")
    assert isinstance(command, DetachedCreated)
    assert command.trace == (TRACE["traceParent"], TRACE["spanID"], None)


def test_an_answer_says_what_the_worker_said() -> None:
    answer = workflow_answer(
        respond(
            ACTIONS["task"][0],
            customStatus=text("s1"),
            completionToken="k",
            version={"patches": ["p1", "p1", "p2"], "name": "v2"},
        )
    )
    assert answer == ("I1", "k", [ACTIONS["task"][1]], None, "s1", ("p1", "p1", "p2"), "v2", False)


def test_an_answer_that_says_nothing_is_an_answer() -> None:
    assert workflow_answer(respond()) == ("I1", "", [], None, None, (), None, False)


def test_of_several_completions_the_first_counts_and_goes_last() -> None:
    failed = action("completeWorkflow", 7, workflowStatus=3)
    answer = workflow_answer(respond(ACTIONS["completion"][0], ACTIONS["task"][0], failed))
    assert answer.commands == [ACTIONS["task"][1], ACTIONS["completion"][1]]


def test_a_new_generation_takes_its_events_along_and_forgets_the_rest() -> None:
    # Given the answer of Python's SDK: a time of 1970 and a folded name.
    carried = {"eventId": -1, "timestamp": {}, "eventRaised": {"name": "approve", "input": text("2")}}
    renewal = action("completeWorkflow", 3, workflowStatus=2, result=text('{"n": 1}'), carryoverEvents=[carried])
    # When it comes with a task that was requested before it,
    answer = workflow_answer(respond(ACTIONS["task"][0], renewal))
    # then only the renewal counts.
    assert answer.continued == ContinuedAsNew('{"n": 1}', [EventRaised("approve", "2")])
    assert answer.commands == []


def test_events_for_others_are_sent_though_their_generation_ends() -> None:
    renewal = action("completeWorkflow", 6, workflowStatus=2)
    answer = workflow_answer(respond(ACTIONS["task"][0], ACTIONS["event for another"][0], renewal))
    assert answer.continued == ContinuedAsNew(None, [])
    assert answer.commands == [ACTIONS["event for another"][1]]


def test_a_renewal_after_a_completion_does_not_count() -> None:
    answer = workflow_answer(respond(ACTIONS["completion"][0], action("completeWorkflow", 7, workflowStatus=2)))
    assert answer.continued is None
    assert answer.commands == [ACTIONS["completion"][1]]


def test_a_missing_version_is_said_alone() -> None:
    answer = workflow_answer(respond(action("workflowVersionNotAvailable")))
    assert (answer.version_missing, answer.commands) == (True, ())


@pytest.mark.parametrize(
    "said",
    [
        action("terminateWorkflow", instanceId="x"),
        WorkflowAction(id=1),
    ],
)
def test_what_we_do_not_do_fails_the_workflow_with_a_reason(said: Message) -> None:
    with pytest.raises(UnsupportedAction):
        command_of(said, "I1")
    answer = workflow_answer(respond(action("scheduleTask", 9, name="a"), said))
    (completed,) = answer.commands
    assert isinstance(completed, ExecutionCompleted)
    assert (completed.event_id, completed.status) == (10, Status.FAILED)
    assert completed.failure is not None
    failure = FailureDetails.unpack(completed.failure)
    assert failure.error_type == "UnsupportedActionError"
    assert "through a client, in an activity" in failure.message


def test_the_result_of_an_activity_is_a_result_or_a_failure() -> None:
    done = ActivityResponse(instanceId="I1", taskId=3, result=text("1"), completionToken="k")
    assert activity_answer(done) == ("I1", 3, "k", "1", None)
    failed = activity_answer(ActivityResponse(instanceId="I1", taskId=3, failureDetails=FAILURE))
    assert failed.failure is not None
    assert (failed.result, failed.failure.error_type, failed.token) == (None, "ValueError", "")


def test_moments_are_those_of_the_timers() -> None:
    assert moment_us(action("createTimer", fireAt=AT).createTimer.fireAt) == AT_US


@pytest.mark.parametrize("status", [0, 2, 4, 6, 7, 8, 99, -1])
def test_a_completion_with_a_status_in_which_no_workflow_ends_is_refused(status: int) -> None:
    answer = WorkflowAnswer("I1", "k", commands=[ExecutionCompleted(6, status, None)])
    with pytest.raises(InvalidRequest, match=f"'I1' ends the workflow with status {status}"):
        check_workflow_answer(answer)


@pytest.mark.parametrize("status", [1, 3, 5])
def test_a_completion_in_which_workflows_end_is_taken(status: int) -> None:
    check_workflow_answer(WorkflowAnswer("I1", "k", commands=[ExecutionCompleted(6, status, None)]))
