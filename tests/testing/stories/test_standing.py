"""Code stands where a history ends, or it is said where the two part."""

import pytest

from perdure import App, NondeterminismError, WorkflowContext
from perdure.runtime.history.event import EventRaised, ExecutionCompleted, ExecutionStarted
from perdure.runtime.history.record import InstanceRecord
from perdure.runtime.history.row import Row
from perdure.runtime.history.status import Status
from perdure.testing.stories.standing import KeptHistory, check_stands

app = App("a")


@app.workflow
async def wait(ctx: WorkflowContext) -> object:
    return await ctx.wait_for_external_event("go")


STARTED = Row(0, [ExecutionStarted("wait", None, "x")], [])


def history(status: Status, *rows: Row, name: str = "wait", remote: bool = False) -> KeptHistory:
    return KeptHistory("i", InstanceRecord(status, name, "x", 0, remote=remote), rows)


def test_a_history_that_fits() -> None:
    ended = Row(1, [EventRaised("go", '"now"'), ExecutionCompleted(1, Status.COMPLETED.value, '"now"', None)], [])
    assert check_stands(app, history(Status.RUNNING, STARTED))
    assert check_stands(app, history(Status.COMPLETED, STARTED, ended))


def test_a_history_that_does_not() -> None:
    ended = Row(1, [ExecutionCompleted(1, Status.COMPLETED.value, None, None)], [])
    with pytest.raises(NondeterminismError):
        check_stands(app, history(Status.COMPLETED, STARTED, ended))


def test_the_end_of_one_that_was_terminated_is_not_its_codes() -> None:
    ended = Row(1, [ExecutionCompleted(1, Status.TERMINATED.value, None, None)], [])
    assert check_stands(app, history(Status.TERMINATED, STARTED, ended))


def test_what_is_not_the_apps_is_not_compared() -> None:
    assert not check_stands(app, history(Status.RUNNING, STARTED, name="other"))
    assert not check_stands(app, history(Status.RUNNING, STARTED, remote=True))
    assert not check_stands(app, history(Status.RUNNING))
