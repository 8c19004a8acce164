"""The app under test: trivial workflows and activities, so that the engine is measured.

Environment variables add side effects: ids of finished instances in a pipe, because Dapr's HTTP API has no call that
waits for the end; and a log of the bodies that ran, for the crash test.
"""

import os
import time
from contextvars import ContextVar
from datetime import datetime, timedelta
from functools import cache

import anyio

from ...runtime.authoring.app import App
from ...runtime.authoring.context import ActivityContext, WorkflowContext
from ...runtime.operations.client import Client

PIPE = "PERDURE_BENCH_PIPE"  # a pipe that gets the id of each instance at the end of its code, one a line
LOG = "PERDURE_BENCH_LOG"  # a file that gets a line for each run of an activity's body

HOLD = "PERDURE_BENCH_HOLD"  # if set, `held` does not end

GO = "go"  # the event that `signal` waits for
BALL = "ball"  # the event that `ping` and `pong` send each other

# The client of the engine that runs the app, set by a load that runs the engine in process. An activity sends events to
# other instances with it.
client: ContextVar[Client] = ContextVar("client")

app = App("benchmark")


@app.activity
async def add_one(ctx: ActivityContext, number: int) -> int:
    note(LOG, f"{ctx.workflow_id} {ctx.task_id}")
    return number + 1


@app.activity
async def say_hello(ctx: ActivityContext, city: str) -> str:
    return f"Hello {city}!"


@app.activity
async def echo(ctx: ActivityContext, text: str) -> str:
    return text


@app.activity
async def pause(ctx: ActivityContext, pause_ms: int) -> int:
    await anyio.sleep(pause_ms / 1000)
    return pause_ms


@app.activity
async def throw(ctx: ActivityContext, instance_id: str) -> None:
    await client.get().raise_event(instance_id, BALL)


@app.workflow
async def chain(ctx: WorkflowContext, steps: int) -> int:
    """Run activities one after the other."""
    number = 0
    for _ in range(steps):
        number = await ctx.call_activity(add_one, input=number)
    note(PIPE, ctx.instance_id)
    return number


@app.workflow
async def fan_out(ctx: WorkflowContext, width: int) -> int:
    """Run activities at once, and sum their results."""
    numbers = await ctx.when_all([ctx.call_activity(add_one, input=number) for number in range(width)])
    note(PIPE, ctx.instance_id)
    return sum(numbers)


@app.workflow
async def signal(ctx: WorkflowContext) -> int:
    """Wait for an event, which has the result."""
    number: int = await ctx.wait_for_external_event(GO)
    note(PIPE, ctx.instance_id)
    return number


@app.workflow
async def sleeper(ctx: WorkflowContext, due: datetime) -> int:
    """Sleep until a date, and return the lateness in microseconds."""
    await ctx.create_timer(due)
    return (ctx.current_utc_datetime - due) // timedelta(microseconds=1)


@app.workflow
async def hello(ctx: WorkflowContext, cities: list[str]) -> list[str]:
    greetings = [await ctx.call_activity(say_hello, input=city) for city in cities]
    note(PIPE, ctx.instance_id)
    return greetings


@app.workflow
async def carry(ctx: WorkflowContext, text: str) -> str:
    for _ in range(3):
        text = await ctx.call_activity(echo, input=text)
    note(PIPE, ctx.instance_id)
    return text


@app.workflow
async def rest(ctx: WorkflowContext, pause_ms: int) -> int:
    paused_ms = await ctx.call_activity(pause, input=pause_ms)
    note(PIPE, ctx.instance_id)
    return paused_ms


@app.workflow
async def ping(ctx: WorkflowContext, rounds: int) -> int:
    """Exchange events with a child."""
    child_id = f"{ctx.instance_id}-pong"
    child = ctx.call_child_workflow(pong, input=rounds, instance_id=child_id)
    for _ in range(rounds):
        await ctx.wait_for_external_event(BALL)
        await ctx.call_activity(throw, input=child_id)
    caught = await child
    note(PIPE, ctx.instance_id)
    return caught


@app.workflow
async def pong(ctx: WorkflowContext, rounds: int) -> int:
    """Send the first event, because the parent exists already; return the number of answers."""
    caught = 0
    for _ in range(rounds):
        await ctx.call_activity(throw, input=ctx.parent_instance_id)
        await ctx.wait_for_external_event(BALL)
        caught += 1
    return caught


@app.activity
async def when(ctx: ActivityContext, _: None) -> int:
    """Return the time of a monotonic clock, in microseconds."""
    return time.perf_counter_ns() // 1000


@app.workflow
async def timed_chain(ctx: WorkflowContext, steps: int) -> list[int]:
    """Run activities one after the other, wait for an event, and return the times of the activities."""
    times = [await ctx.call_activity(when) for _ in range(steps)]
    await ctx.wait_for_external_event(GO)
    return times


@app.activity
async def held(ctx: ActivityContext, number: int) -> int:
    """Add one, unless HOLD is set."""
    note(LOG, f"{ctx.workflow_id} {ctx.task_id}")
    if os.environ.get(HOLD):
        await anyio.sleep_forever()
    return number + 1


@app.activity
async def go_on(ctx: ActivityContext, number: int) -> int:
    """Add one, and report that the instance goes on."""
    note(LOG, f"{ctx.workflow_id} {ctx.task_id}")
    note(PIPE, ctx.workflow_id)
    return number + 1


@app.workflow
async def interrupted(ctx: WorkflowContext, number: int) -> int:
    """Take a step, a step that may be held, and a step that reports."""
    for step in (add_one, held, go_on):
        number = await ctx.call_activity(step, input=number)
    return number


def note(variable: str, line: str) -> None:
    """Write a line to the file that the variable names, if it is set."""
    file = opened(variable)
    if file is not None:
        # A single write, so that lines of a killed process are complete.
        os.write(file, f"{line}\n".encode())


@cache
def opened(variable: str) -> int | None:
    path = os.environ.get(variable)
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600) if path else None
