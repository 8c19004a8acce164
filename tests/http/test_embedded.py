"""The management API inside of another program's server: its start, and its routes."""

from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from perdure.http.embedded import EmbeddedApp

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Inside:
    """An engine and an app that note their calls in a list."""

    def __init__(self, *, running: bool = False, fails: bool = False) -> None:
        self.diary: list[str] = []
        self.running = running
        self.fails = fails
        self.app = EmbeddedApp(
            self.answer,
            start=self.start,
            stop=self.stop,
            running=lambda: self.running,
            stopping=lambda: self.diary.append("stopping"),
        )

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.diary.append(f"asked {scope['path']}")

    async def start(self) -> None:
        if self.fails:
            raise OSError("the store is locked")
        self.diary.append("start")

    async def stop(self) -> None:
        self.diary.append("stop")

    async def live(self, *kinds: str) -> list[Message]:
        """Be a server that notifies the app of its start and its stop."""
        told = iter({"type": f"lifespan.{kind}"} for kind in kinds)
        sent: list[Message] = []

        async def receive() -> Message:
            return next(told)

        async def send(message: Message) -> None:
            sent.append(message)

        await self.app({"type": "lifespan"}, receive, send)
        return sent


async def test_a_server_starts_and_stops_an_engine_that_nothing_else_has_started() -> None:
    inside = Inside()
    sent = await inside.live("startup", "shutdown")
    assert [each["type"] for each in sent] == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert inside.diary == ["start", "stopping", "stop"]


async def test_a_server_leaves_an_engine_alone_that_runs_already() -> None:
    inside = Inside(running=True)
    await inside.live("startup", "shutdown")
    assert inside.diary == ["stopping"]


async def test_a_server_is_told_why_an_engine_does_not_start() -> None:
    sent = await Inside(fails=True).live("startup")
    assert sent == [{"type": "lifespan.startup.failed", "message": "OSError: the store is locked"}]


async def test_requests_go_to_the_api_and_sockets_are_closed() -> None:
    inside = Inside()
    sent: list[Any] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        raise AssertionError

    await inside.app({"type": "http", "path": "/api/v1/count"}, receive, send)
    await inside.app({"type": "websocket", "path": "/"}, receive, send)
    assert inside.diary == ["asked /api/v1/count"]
    assert sent == [{"type": "websocket.close", "code": 1000}]
