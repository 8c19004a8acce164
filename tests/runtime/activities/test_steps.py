"""A stack of frames shows its workflow or activity, and an interruption reaches no other step."""

import sys
import threading
import time
from types import FrameType

import pytest

from perdure import ActivityContext, App, Engine, WorkflowContext
from perdure.runtime.activities.steps import CodeStep, StepKind, line_of, outwards, step_in
from perdure.runtime.execution.interruption import CodeInterrupted

pytestmark = pytest.mark.anyio


def here() -> FrameType:
    return sys._getframe(1)


async def steps() -> list[CodeStep | None]:
    """The steps that an activity and a workflow see of themselves, and the end of the workflow that is interrupted."""
    app = App("steps")
    seen: list[CodeStep | None] = []

    @app.activity
    async def look(ctx: ActivityContext) -> None:
        seen.append(step_in(here()))

    @app.workflow
    async def looks(ctx: WorkflowContext) -> None:
        seen.append(step_in(here()))
        await ctx.call_activity(look)

    async with Engine(app, data=":memory:") as engine:
        await engine.facade.start("looks", instance_id="one")
        await engine.facade.wait("one")
    return seen


async def test_code_finds_itself_in_its_stack() -> None:
    workflow, activity = await steps()
    assert workflow is not None
    assert activity is not None
    assert (workflow.kind, workflow.name, workflow.instance_id) == (StepKind.WORKFLOW, "looks", "one")
    assert (activity.kind, activity.name, activity.instance_id) == (StepKind.ACTIVITY, "look", "one")
    assert str(activity) == "activity 'look' of one"
    assert workflow.same(workflow)
    assert not workflow.same(activity)
    assert not workflow.same(None)


async def test_a_step_that_is_over_is_not_interrupted() -> None:
    workflow, activity = await steps()
    assert workflow is not None
    assert activity is not None
    workflow.interrupt(here(), 1)
    activity.interrupt(here(), 1)


def test_a_step_that_is_under_way_is_interrupted() -> None:
    stack = here()
    step = CodeStep(kind=StepKind.ACTIVITY, name="a", instance_id="i", frame=stack)
    with pytest.raises(CodeInterrupted, match=r"Activity 'a' of i was interrupted .* for 3 s, at .*test_steps.py:"):
        step.interrupt(stack, 3)


def test_without_user_code_there_is_no_step() -> None:
    assert step_in(here()) is None
    assert step_in(None) is None


def test_the_line_is_the_users_and_not_the_librarys() -> None:
    # Given a thread whose code waits inside of the standard library,
    go_on = threading.Event()

    def waits() -> None:
        go_on.wait()

    thread = threading.Thread(target=waits)
    thread.start()
    assert thread.ident is not None
    while "threading.py" not in (stack := sys._current_frames()[thread.ident]).f_code.co_filename:
        time.sleep(0.001)
    line = line_of(stack)
    go_on.set()
    thread.join()
    # then the line is the one that called it.
    assert "test_steps.py" in line
    assert "in waits" in line
    assert line_of(None) == "an unknown place"
    assert list(outwards(None)) == []
