"""The app under test: workflows and activities that do nothing, so that what is measured is the engine.

Two variables of the environment change what it does on the side. The pipe is
how the load process learns that an instance has run to its end, which Dapr's
HTTP API has no way to tell. The log is how the crash test counts the bodies
that ran.
"""

import os
import time
from datetime import datetime, timedelta
from functools import cache

import anyio

from ..runtime.app import App
from ..runtime.context import ActivityContext, WorkflowContext

PIPE = "PERDURE_BENCH_PIPE"  # a pipe that gets the id of each instance whose code has come to its end, one a line
LOG = "PERDURE_BENCH_LOG"  # a file that gets a line for each time an activity's body runs

HOLD = "PERDURE_BENCH_HOLD"  # if it is set, `held` does not end

GO = "go"  # the event that `signal` waits for

app = App("benchmark")


@app.activity
async def add_one(ctx: ActivityContext, number: int) -> int:
    """The trivial activity."""
    note(LOG, f"{ctx.workflow_id} {ctx.task_id}")
    return number + 1


@app.workflow
async def chain(ctx: WorkflowContext, steps: int) -> int:
    """Run so many activities, one after the other."""
    number = 0
    for _ in range(steps):
        number = await ctx.call_activity(add_one, input=number)
    note(PIPE, ctx.instance_id)
    return number


@app.workflow
async def fan_out(ctx: WorkflowContext, width: int) -> int:
    """Run so many activities at once, and sum their results."""
    numbers = await ctx.when_all([ctx.call_activity(add_one, input=number) for number in range(width)])
    note(PIPE, ctx.instance_id)
    return sum(numbers)


@app.workflow
async def signal(ctx: WorkflowContext) -> int:
    """Wait for an event that brings the result."""
    number: int = await ctx.wait_for_external_event(GO)
    note(PIPE, ctx.instance_id)
    return number


@app.workflow
async def sleeper(ctx: WorkflowContext, due: datetime) -> int:
    """Sleep until a date, and return how many microseconds later the code went on."""
    await ctx.create_timer(due)
    return (ctx.current_utc_datetime - due) // timedelta(microseconds=1)


@app.activity
async def when(ctx: ActivityContext, _: None) -> int:
    """Say when this ran, by a clock that only goes forward; microseconds."""
    return time.perf_counter_ns() // 1000


@app.workflow
async def timed_chain(ctx: WorkflowContext, steps: int) -> list[int]:
    """Run so many activities, one after the other, and wait for an event; say when each ran."""
    times = [await ctx.call_activity(when) for _ in range(steps)]
    await ctx.wait_for_external_event(GO)
    return times


@app.activity
async def held(ctx: ActivityContext, number: int) -> int:
    """Add one, where nothing holds it."""
    note(LOG, f"{ctx.workflow_id} {ctx.task_id}")
    if os.environ.get(HOLD):
        await anyio.sleep_forever()
    return number + 1


@app.activity
async def go_on(ctx: ActivityContext, number: int) -> int:
    """Add one, and tell that the instance goes on."""
    note(LOG, f"{ctx.workflow_id} {ctx.task_id}")
    note(PIPE, ctx.workflow_id)
    return number + 1


@app.workflow
async def interrupted(ctx: WorkflowContext, number: int) -> int:
    """Take a step, one that may be held, and one that tells of it."""
    for step in (add_one, held, go_on):
        number = await ctx.call_activity(step, input=number)
    return number


def note(variable: str, line: str) -> None:
    """Write a line to what the variable names; nothing if it is not set."""
    file = opened(variable)
    if file is not None:
        # One write, so that lines of a process that is killed are whole.
        os.write(file, f"{line}\n".encode())


@cache
def opened(variable: str) -> int | None:
    path = os.environ.get(variable)
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600) if path else None
