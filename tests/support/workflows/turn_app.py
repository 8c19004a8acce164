"""An app of small workflows, each of which does one thing that a turn must get right."""

from datetime import timedelta
from typing import Any

from perdure import App, FailureDetails, RetryPolicy, TaskFailedError, WorkflowContext
from perdure.runtime.history.event import (
    Parent,
)

FAILURE = FailureDetails(error_type="ValueError", message="no")
PARENT = Parent("p", "px", 3, "parent")


def make_app() -> App:
    app = App("test")

    @app.workflow
    async def steps(ctx: WorkflowContext, n: int | None) -> list[Any]:
        return [await ctx.call_activity("a", input=n), await ctx.call_activity("b", input=n)]

    @app.workflow
    async def events(ctx: WorkflowContext) -> list[Any]:
        ctx.set_custom_status("waiting")
        return [await ctx.wait_for_external_event("e"), await ctx.wait_for_external_event("e")]

    @app.workflow
    async def approval(ctx: WorkflowContext) -> str:
        try:
            answer: str = await ctx.wait_for_external_event("approve", timeout=timedelta(days=3))
        except TimeoutError:
            return "too late"
        await ctx.call_activity("charge")
        return answer

    @app.workflow
    async def sleeper(ctx: WorkflowContext) -> str:
        await ctx.create_timer(timedelta(hours=1))
        return "awake"

    @app.workflow
    async def parent(ctx: WorkflowContext, child_id: str | None) -> Any:
        try:
            return await ctx.call_child_workflow("steps", input=1, instance_id=child_id)
        except TaskFailedError as error:
            return f"{error.details.error_type}: {error.details.message}"

    @app.workflow
    async def counting(ctx: WorkflowContext, n: int) -> Any:
        ctx.set_custom_status(f"round {n}")
        value = await ctx.wait_for_external_event("tick")
        if n == 2:
            return value
        ctx.continue_as_new(n + 1, save_events=True)
        return None

    @app.workflow
    async def retried(ctx: WorkflowContext) -> Any:
        policy = RetryPolicy(first_retry_interval=timedelta(seconds=1), max_number_of_attempts=2)
        return await ctx.call_activity("a", retry_policy=policy)

    @app.workflow
    async def broken(ctx: WorkflowContext) -> None:
        raise KeyError("x")

    @app.workflow
    async def loose_ends(ctx: WorkflowContext) -> str:
        ctx.call_activity("not awaited")
        ctx.create_timer(timedelta(days=1))
        return "done"

    return app


def other_app() -> App:
    app = App("changed")

    @app.workflow
    async def steps(ctx: WorkflowContext, n: int | None) -> list[Any]:
        return [await ctx.call_activity("other"), await ctx.call_activity("b")]

    return app
