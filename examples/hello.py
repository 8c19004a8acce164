"""The smallest workflow: one activity, one answer.

perdure run examples/hello.py
curl -X POST 'http://127.0.0.1:3500/v1.0/workflows/dapr/hello/start?instanceID=h1' -d '"Ada"'
curl http://127.0.0.1:3500/v1.0/workflows/dapr/h1
"""

import perdure

app = perdure.App("hello")


# An activity may use the network, the disk and a clock, which a workflow must not. It runs at least once.
@app.activity
async def greet(ctx: perdure.ActivityContext, name: str) -> str:
    return f"Hello, {name}!"


# A workflow only decides. After a crash it runs again from its first line, and gets the recorded answers of its
# activities, so it goes on where it was.
@app.workflow
async def hello(ctx: perdure.WorkflowContext, name: str) -> str:
    return await ctx.call_activity(greet, input=name)
