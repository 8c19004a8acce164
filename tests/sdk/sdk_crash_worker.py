"""An app with Dapr's Python SDK that is left alone while its daemon is killed under it (`sdk_crash.py`).

Leaves a line in the file that it is given for every activity body that runs.
"""
# mypy: ignore-errors
# The SDK lives in an environment of its own, where mypy does not look.

import os
import sys
import threading
from datetime import timedelta

import dapr.ext.workflow as wf

runtime = wf.WorkflowRuntime()
BODIES = sys.argv[1]


@runtime.activity
def step(ctx, n):
    line = f"{ctx.workflow_id} {ctx.get_inner_context().task_execution_id}\n".encode()
    file = os.open(BODIES, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(file, line)
    finally:
        os.close(file)
    return n + 1


@runtime.workflow
def half(ctx, n):
    result = yield ctx.call_activity(step, input=n)
    return result


@runtime.workflow
def crash(ctx, n):
    for _ in range(3):
        n = yield ctx.call_activity(step, input=n)
    yield ctx.create_timer(timedelta(milliseconds=20))
    children = yield wf.when_all([ctx.call_child_workflow(half, input=10) for _ in range(2)])
    return n + sum(children)


if __name__ == "__main__":
    runtime.start()
    print("ready", flush=True)
    threading.Event().wait()
