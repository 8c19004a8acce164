"""An engine inside a web application, with the same promises but without a daemon or a second process.

FastAPI's lifespan is Starlette's, so the code is the same there.

    pip install uvicorn
    uvicorn --app-dir examples embedded_fastapi_style:web
    curl -X POST http://127.0.0.1:8000/greetings/ada
    curl http://127.0.0.1:8000/greetings/ada
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypedDict

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

import perdure

app = perdure.App("greeter")


@app.activity
async def greet(ctx: perdure.ActivityContext, name: str) -> str:
    return f"Hello, {name}!"


@app.workflow
async def greeting(ctx: perdure.WorkflowContext, name: str) -> str:
    return await ctx.call_activity(greet, input=name)


class State(TypedDict):
    engine: perdure.Engine


@asynccontextmanager
async def lifespan(web: Starlette) -> AsyncIterator[State]:
    # At the start the instances that were under way at the last end of the process go on. At the end running activities
    # may finish.
    async with perdure.Engine(app, data="./greetings.db") as engine:
        yield {"engine": engine}


async def start(request: Request) -> Response:
    engine: perdure.Engine = request.state.engine
    name = request.path_params["name"]
    instance_id = await engine.client.start(greeting, instance_id=name, input=name)
    return JSONResponse({"id": instance_id}, status_code=202)


async def show(request: Request) -> Response:
    engine: perdure.Engine = request.state.engine
    state = await engine.client.wait(request.path_params["name"])
    return JSONResponse({"status": state.status.name, "greeting": state.output})


web = Starlette(
    routes=[
        Route("/greetings/{name}", start, methods=["POST"]),
        Route("/greetings/{name}", show, methods=["GET"]),
    ],
    lifespan=lifespan,
)
