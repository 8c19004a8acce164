"""A worker with Dapr's Python SDK that holds a turn for as long as it is told (`sdk_held_turn.py`).

Takes a folder. In the turn that is held it makes `ID.held` there, and goes on
once there is `ID.go`. While there is `ID.unfit`, its code does not fit the
history of instance ID.
"""
# mypy: ignore-errors
# The SDK lives in an environment of its own, where mypy does not look.

import sys
import threading
import time
from datetime import timedelta
from pathlib import Path

import dapr.ext.workflow as wf

FOLDER = Path(sys.argv[1])
HELD_S = 60.0

runtime = wf.WorkflowRuntime()


def hold(ctx):
    if ctx.is_replaying:
        return
    (FOLDER / f"{ctx.instance_id}.held").touch()
    deadline = time.monotonic() + HELD_S
    while not (FOLDER / f"{ctx.instance_id}.go").exists() and time.monotonic() < deadline:
        time.sleep(0.005)


@runtime.activity
def step(ctx, n):
    return n + 1


@runtime.workflow
def kid(ctx, _):
    return (yield ctx.wait_for_external_event("go"))


@runtime.workflow
def held(ctx, given):
    """Come to an outcome in a turn that is held, with a child or a timer under way if that is what meets it."""
    outcome, meets = given["outcome"], given["meets"]
    if outcome == "collects":  # the next generation
        return (yield from collect(ctx))
    if outcome == "stalls" and not (FOLDER / f"{ctx.instance_id}.unfit").exists():
        ctx.is_patched("p")
    beside = None
    if meets == "child's end":
        beside = ctx.call_child_workflow(kid, instance_id=f"{ctx.instance_id}-kid")
    elif meets == "timer":
        beside = ctx.create_timer(timedelta(seconds=given["timer_s"]))
    yield ctx.wait_for_external_event("first")
    hold(ctx)
    if outcome == "completes":
        return "end"
    if outcome == "fails":
        raise ValueError("on purpose")
    if outcome == "continues as new":
        ctx.continue_as_new({"outcome": "collects", "meets": "nothing"}, save_events=True)
        return None
    yield ctx.call_activity(step, input=1)
    if beside is not None:
        yield beside
    return (yield from collect(ctx))


def collect(ctx):
    got = []
    while True:
        value = yield ctx.wait_for_external_event("e")
        if value == "stop":
            return got
        got.append(value)


@runtime.workflow
def renews(ctx, got):
    """Begin a new generation with each event, and take those along that wait."""
    value = yield ctx.wait_for_external_event("e")
    if value == "stop":
        return got
    ctx.continue_as_new([*got, value], save_events=True)


if __name__ == "__main__":
    runtime.start()
    print("ready", flush=True)
    threading.Event().wait()
