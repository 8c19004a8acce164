"""Workflows in the hosts' own process whose activity is with workers of an SDK (`sdk_hosts.py`, kind `native`).

They are those of `sdk_crash_worker.py`: what that worker has beside its activity is not asked for.
"""

from datetime import timedelta

import perdure

app = perdure.App("native-crash")


@app.workflow
async def half(ctx: perdure.WorkflowContext, n: int) -> int:
    result: int = await ctx.call_activity("step", input=n)
    return result


@app.workflow
async def crash(ctx: perdure.WorkflowContext, n: int) -> int:
    for _ in range(3):
        n = await ctx.call_activity("step", input=n)
    await ctx.create_timer(timedelta(milliseconds=20))
    children: list[int] = await ctx.when_all([ctx.call_child_workflow(half, input=10) for _ in range(2)])
    return n + sum(children)
