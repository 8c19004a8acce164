"""The app of `tests/support/processes/shop.py`; a daemon imports it, and so do tests with an engine."""

from dataclasses import dataclass
from typing import Any

import anyio

from perdure import ActivityContext, App, WorkflowContext


@dataclass
class Receipt:
    total: float


app = App("shop")


@app.activity
async def charge(ctx: ActivityContext, total: float) -> float:
    if total > 100:
        raise ValueError("too much")
    return total


@app.activity
async def hang(ctx: ActivityContext) -> None:
    await anyio.sleep(3600)


@app.workflow
async def order(ctx: WorkflowContext, total: float) -> Receipt:
    return Receipt(await ctx.call_activity(charge, input=total))


@app.workflow
async def waits(ctx: WorkflowContext) -> Any:
    return await ctx.wait_for_external_event("approval")


@app.workflow
async def hangs(ctx: WorkflowContext) -> None:
    await ctx.call_activity(hang)


@app.workflow
async def parent(ctx: WorkflowContext) -> Any:
    return await ctx.call_child_workflow(waits, instance_id=f"{ctx.instance_id}-child")
