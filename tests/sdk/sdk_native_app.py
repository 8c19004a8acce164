"""What the daemon itself hosts during the scenarios: native code, beside what remote workers bring."""

from typing import Any

import perdure

app = perdure.App("sdk-scenarios")


@app.activity
async def native_double(ctx: perdure.ActivityContext, n: int) -> int:
    return 2 * n


@app.workflow
async def native_child(ctx: perdure.WorkflowContext, n: int) -> int:
    doubled: int = await ctx.call_activity(native_double, input=n)
    return doubled


@app.workflow(name="NativeOrder")
async def native_order(ctx: perdure.WorkflowContext, order: Any) -> dict[str, Any]:
    """Start, receive `go`, end: the instance of clients without a worker."""
    await ctx.call_activity(native_double, input=1)
    return {"order": order, "heard": await ctx.wait_for_external_event("go")}


@app.workflow
async def native_parent(ctx: perdure.WorkflowContext, n: int) -> list[int]:
    """Call what only a remote worker has."""
    plus_one = await ctx.call_activity("plus_one", input=n)
    chained = await ctx.call_child_workflow("chain", input=n)
    return [plus_one, chained]
