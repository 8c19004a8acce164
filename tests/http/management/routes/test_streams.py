"""A stream of events begins with its position, is kept alive, and has the form that browsers read."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import anyio
import pytest
from starlette.requests import Request
from starlette.types import Message

from perdure import App, Engine, WorkflowContext
from perdure.http.management.call import ManagementCall
from perdure.http.management.routes import streams
from perdure.http.management.routes.streams import ALL_EVENTS, StreamRoutes

pytestmark = pytest.mark.anyio

app = App("shop")


@app.workflow
async def order(ctx: WorkflowContext) -> None:
    ctx.set_custom_status("line 1\nline 2")
    await ctx.wait_for_external_event("approval")


class Reader:
    """A reader of a stream, which hangs up when it has enough."""

    def __init__(self) -> None:
        self.text = ""
        self.gone = anyio.Event()
        self.came = anyio.Event()

    async def receive(self) -> Message:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        self.text += message.get("body", b"").decode()
        self.came.set()
        self.came = anyio.Event()

    async def until(self, text: str) -> None:
        """Wait until the reader has this text."""
        while text not in self.text:
            await self.came.wait()

    def events(self) -> list[dict[str, str]]:
        blocks = [block for block in self.text.split("\n\n") if "event: " in block]
        return [dict(line.split(": ", 1) for line in block.split("\n")) for block in blocks]


@asynccontextmanager
async def reading(engine: Engine, query: str = "") -> AsyncIterator[Reader]:
    reader = Reader()
    scope: dict[str, Any] = {"type": "http", "method": "GET", "headers": [], "query_string": query.encode()}
    routes = StreamRoutes(engine.management, app_id="shop", stopping=anyio.Event())
    call = ManagementCall(Request(scope, reader.receive), ALL_EVENTS, body_bytes_max=0)
    stream = await routes.follow_instances(call)
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stream, scope, reader.receive, reader.send)
            await reader.until("event: ready")
            yield reader
            reader.gone.set()


async def test_an_event_is_one_line_of_json_with_its_position() -> None:
    async with Engine(app, data=":memory:") as engine, reading(engine) as reader:
        await engine.client.start(order, instance_id="a\nb")
        await reader.until("event: change")
        ready, change = reader.events()
        assert (ready["retry"], ready["data"]) == ("1000", "{}")
        assert (change["event"], json.loads(change["data"])["id"]) == ("change", "a\nb")
        assert json.loads(change["data"])["custom_status"] == "line 1\nline 2"
        assert change["id"] != ready["id"]


async def test_a_stream_without_news_is_kept_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "HEARTBEAT_S", 0.01)
    async with Engine(app, data=":memory:") as engine, reading(engine) as reader:
        await reader.until("\n: \n\n: \n\n")


async def test_many_changes_are_few_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a reader, when many instances begin while it is being written to,
    writes: list[bytes] = []
    send = Reader.send

    async def counting(self: Reader, message: Message) -> None:
        writes.append(message.get("body", b""))
        await send(self, message)

    monkeypatch.setattr(Reader, "send", counting)
    async with Engine(app, data=":memory:") as engine, reading(engine, "id_prefix=many-") as reader:
        async with anyio.create_task_group() as tasks:
            for number in range(100):
                tasks.start_soon(partial(engine.client.start, order, instance_id=f"many-{number}"))
        while len(reader.events()) < 1 + 100:
            await reader.came.wait()
        # then it gets the changes of those that fit its filter, in far fewer writes.
        assert len(reader.events()) == 1 + 100
        assert len(writes) < 60
