"""The failures in a worker's turn have their call and their attempt, with each SDK."""

import logging
from dataclasses import replace
from typing import Any

import pytest

from perdure import FailureDetails, Status
from perdure.runtime.history.event import (
    ChildCreated,
    ExecutionCompleted,
    TaskScheduled,
    TimerCreated,
    TimerOrigin,
)
from perdure.runtime.history.failure import ACTIVITY_CALL, CHILD_CALL, FailedCall
from perdure.runtime.instance.message import ChildDone, RemoteAnswer, WorkflowAnswer
from perdure.runtime.instance.offer import Offer

from ...support.workflows.lone_actor import LoneActor

DECLINED = FailureDetails(error_type="CardDeclined", message="insufficient funds", stack_trace="at charge")


@pytest.fixture(params=[False, True], ids=["in memory", "rebuilt"])
def actor(request: pytest.FixtureRequest) -> LoneActor:
    actor = LoneActor(None, forgetful=request.param)
    actor.start("w")
    return actor


def answer(actor: LoneActor, *commands: Any) -> None:
    work = [body for _, body in actor.sent(Offer)][-1].settle()
    actor.tell(RemoteAnswer(work, WorkflowAnswer("i", "", commands)))


def told(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    names = ("event", "instance_id", "activity", "child", "child_id", "task_id", "attempt", "error_type")
    return [{name: vars(each)[name] for name in names if name in vars(each)} for each in caplog.records]


def test_each_failed_attempt_is_a_line_with_its_number(actor: LoneActor, caplog: pytest.LogCaptureFixture) -> None:
    # Given an activity that fails, and a worker that tries it again,
    answer(actor, TaskScheduled(1, "charge", None, "k"))
    actor.done(1, failure=DECLINED)
    answer(actor, TimerCreated(2, actor.now_us + 5, TimerOrigin.ACTIVITY_RETRY, "k"))
    actor.fire()
    # under the same key, until it gives up,
    answer(actor, TaskScheduled(3, "charge", None, "k"))
    actor.done(3, failure=DECLINED)
    failure = FailureDetails(error_type="TaskFailedError", message="i: Activity task #3 failed: insufficient funds")
    answer(actor, ExecutionCompleted(4, Status.FAILED.value, None, failure.pack()))
    # then both attempts and the end are reported, each once.
    charge = {"instance_id": "i", "activity": "charge", "error_type": "CardDeclined"}
    assert told(caplog) == [
        {"event": "attempt_failed", **charge, "task_id": 1, "attempt": 1},
        {"event": "activity_failed", **charge, "task_id": 3, "attempt": 2},
        {"event": "instance_failed", **charge, "task_id": 3, "attempt": 2},
    ]
    actor.evict()
    assert actor.state.failure == replace(
        failure, call=FailedCall(kind=ACTIVITY_CALL, name="charge", id=3, attempt=2, failure=DECLINED)
    )


# A worker's failure of the workflow, and whether it is the failure of the activity.
FAILURES = {
    "Python": (
        FailureDetails(error_type="TaskFailedError", message="i: Activity task #1 failed: insufficient funds"),
        True,
    ),
    "Go": (FailureDetails(error_type="TaskFailedError", message="task failed"), True),
    ".NET": (
        FailureDetails(
            error_type="Dapr.Workflow.WorkflowTaskFailedException",
            message="Task 'charge' (#1) failed with an unhandled exception: insufficient funds",
            inner=DECLINED,
        ),
        True,
    ),
    "Java": (
        FailureDetails(error_type="io.dapr.durabletask.TaskFailedException", message="Task 'charge' failed"),
        True,
    ),
    "its own": (FailureDetails(error_type="KeyError", message="'x'"), False),
}


@pytest.mark.parametrize("sdk", FAILURES)
def test_the_failure_of_a_workflow_names_the_activity_if_that_is_what_it_tells_of(actor: LoneActor, sdk: str) -> None:
    failure, named = FAILURES[sdk]
    answer(actor, TaskScheduled(1, "charge", None, "k"))
    actor.done(1, failure=DECLINED)
    answer(actor, ExecutionCompleted(2, Status.FAILED.value, None, failure.pack()))
    found = actor.state.failure
    assert found is not None
    assert replace(found, call=None) == failure, "what the worker said stays as it is"
    assert (found.failed_call is not None) is named
    if named:
        assert found.failure_of_call == DECLINED


def test_a_child_that_is_tried_again_is_a_line_and_names_the_child(
    actor: LoneActor, caplog: pytest.LogCaptureFixture
) -> None:
    answer(actor, ChildCreated(1, "kid", "w2", None, True))
    actor.send(ChildDone(actor.execution_id, 1, Status.FAILED.value, None, DECLINED))
    answer(actor, TimerCreated(2, actor.now_us + 5, TimerOrigin.CHILD_RETRY, "kid"))
    actor.fire()
    answer(actor, ChildCreated(3, "kid", "w2", None, True))
    actor.send(ChildDone(actor.execution_id, 3, Status.FAILED.value, None, DECLINED))
    failure = FailureDetails(error_type="TaskFailedError", message="insufficient funds")
    answer(actor, ExecutionCompleted(4, Status.FAILED.value, None, failure.pack()))
    child = {"instance_id": "i", "child": "w2", "child_id": "kid", "error_type": "CardDeclined"}
    assert told(caplog) == [
        {"event": "child_attempt_failed", **child, "task_id": 1, "attempt": 1},
        {"event": "instance_failed", **child, "attempt": 2},
    ]
    assert actor.state.failure is not None
    assert actor.state.failure.call == FailedCall(kind=CHILD_CALL, name="w2", id="kid", attempt=2, failure=DECLINED)


def test_where_an_sdk_does_not_say_what_its_timers_are_for_neither_does_the_line(
    actor: LoneActor, caplog: pytest.LogCaptureFixture
) -> None:
    answer(actor, TaskScheduled(1, "charge", None, ""))
    actor.done(1, failure=DECLINED)
    answer(actor, TimerCreated(2, actor.now_us + 5, TimerOrigin.UNSAID))
    (line,) = told(caplog)
    assert line == {
        "event": "activity_failed", "instance_id": "i", "activity": "charge", "task_id": 1, "error_type": "CardDeclined"
    }  # fmt: skip
    assert "for its worker to say" in caplog.text


def test_a_worker_that_does_not_say_why_is_told_of_all_the_same(
    actor: LoneActor, caplog: pytest.LogCaptureFixture
) -> None:
    answer(actor, ExecutionCompleted(1, Status.FAILED.value, None, None))
    assert told(caplog) == [{"event": "instance_failed", "instance_id": "i", "error_type": "Unknown"}]


def test_a_terminated_child_and_success_are_no_lines(actor: LoneActor, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    answer(actor, ChildCreated(1, "kid", "w2", None, True), TaskScheduled(2, "charge", None, "k"))
    actor.send(ChildDone(actor.execution_id, 1, Status.TERMINATED.value, None, None))
    actor.done(2, "1")
    answer(actor, ExecutionCompleted(3, Status.COMPLETED.value, "1"))
    assert told(caplog) == []
