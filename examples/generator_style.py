"""A workflow as a generator that yields its tasks, as in Dapr's Python SDK.

Code for that SDK is the same here, except for the import and the object of the decorators. An app may use both styles.

    perdure run examples/generator_style.py
    curl -X POST 'http://127.0.0.1:3500/v1.0/workflows/dapr/race/start?instanceID=r1' -d '3'
    curl -X POST http://127.0.0.1:3500/v1.0/workflows/dapr/r1/raiseEvent/go
"""

from collections.abc import Generator
from datetime import timedelta
from typing import Any

import perdure

app = perdure.App("generators")


@app.activity
def square(ctx: perdure.ActivityContext, number: int) -> int:
    return number * number


@app.workflow
def race(ctx: perdure.WorkflowContext, number: int) -> Generator[Any, Any, dict[str, Any]]:
    squares = yield perdure.when_all([ctx.call_activity(square, input=n) for n in range(number)])

    # The first one wins. The answer of the other is recorded and ignored.
    go = ctx.wait_for_external_event("go")
    patience = ctx.create_timer(timedelta(seconds=30))
    first = yield perdure.when_any([go, patience])
    return {"squares": squares, "started_by": "event" if first is go else "timer"}
