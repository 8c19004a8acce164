"""Streams and long polls, which end when the caller closes its connection or the daemon stops.

The rule: they end at once when the daemon stops, and use nothing of the grace of other requests.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

import anyio
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ...actors.errors import HostStopping

Answer = TypeVar("Answer")

Write = Callable[[bytes], Awaitable[None]]

LAST_WORD_S = 1.0  # for the end of a stream, if its reader is slow


async def wait_for(request: Request, stopping: anyio.Event, work: Callable[[], Awaitable[Answer]]) -> Answer:
    """Do work that may take long, for a caller that may close its connection meanwhile.

    Raises:
        ClientDisconnect: The caller has closed its connection.
        HostStopping: The daemon stops.
    """
    done: list[Answer] = []
    failed: list[Exception] = []
    async with anyio.create_task_group() as tasks:

        async def do() -> None:
            try:
                done.append(await work())
            except Exception as error:  # raised directly, and not in an exception group
                failed.append(error)
            tasks.cancel_scope.cancel()

        async def give_up(when: Callable[[], Awaitable[object]], error: Exception) -> None:
            await when()
            failed.append(error)
            tasks.cancel_scope.cancel()

        tasks.start_soon(do)
        tasks.start_soon(give_up, lambda: hung_up(request.receive), ClientDisconnect())
        tasks.start_soon(give_up, stopping.wait, HostStopping())
    if done:
        return done[0]
    raise failed[0]


async def hung_up(receive: Receive) -> None:
    """Wait until the caller has closed its connection."""
    while (await receive())["type"] != "http.disconnect":
        pass


class LiveStream(Response):
    """A response whose body a function writes piece by piece.

    Args:
        produce: Writes the body. It is cancelled when the caller closes its connection or the daemon stops.
        stopping: Set when the daemon stops.
        last_word: The end of the body if the daemon stops first.
    """

    def __init__(
        self,
        produce: Callable[[Write], Awaitable[None]],
        stopping: anyio.Event,
        *,
        media_type: str,
        headers: Mapping[str, str] | None = None,
        last_word: bytes = b"",
    ) -> None:
        super().__init__(headers=headers, media_type=media_type)
        del self.headers["content-length"]
        self.produce = produce
        self.stopping = stopping
        self.last_word = last_word

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        gone = False

        async def write(piece: bytes) -> None:
            await send({"type": "http.response.body", "body": piece, "more_body": True})

        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        async with anyio.create_task_group() as tasks:

            async def end_when_gone() -> None:
                nonlocal gone
                await hung_up(receive)
                gone = True
                tasks.cancel_scope.cancel()

            async def end_when_stopping() -> None:
                await self.stopping.wait()
                tasks.cancel_scope.cancel()

            async def run() -> None:
                await self.produce(write)
                tasks.cancel_scope.cancel()

            tasks.start_soon(end_when_gone)
            tasks.start_soon(end_when_stopping)
            tasks.start_soon(run)
        if not gone:
            word = self.last_word if self.stopping.is_set() else b""
            with anyio.move_on_after(LAST_WORD_S):
                await send({"type": "http.response.body", "body": word, "more_body": False})
