"""The management API of the host that is up, reached over a network that may lose requests and answers.

The rule: as in `network.py`, a request is repeated until it is answered, unless the caller wants to learn of a lost
answer. A stream is not resumed by itself: it breaks with its host, and a program that follows events goes on after the
last event that it has seen.

A repeated request that begins an instance under an id may find the instance that it has begun itself; then it is
answered with that instance.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Any, Self
from urllib.parse import unquote

import anyio
import msgspec

from ...client.api_server import Answer, ApiRequest, ApiServer, path_of
from ...client.app_server import AppServer
from ...embedding.api import OwnApi
from ...runtime.engine import Engine
from ..simulation.calls import ConnectionLost
from ..simulation.world import SimWorld

# The statuses after which an HTTP client repeats: the host is stopping, or its store does not answer.
UNAVAILABLE = 503
TAKEN = 409
# How long until a request that had no answer is repeated.
REPEAT_S = 0.2
# The requests that begin an instance under an id that they may name, by the last piece of the path.
BEGINS = ("rerun", "import")


class SimulatedServer(ApiServer):
    """A management API whose requests go to a host that is up.

    Args:
        once: Do not repeat a request.
        tell: Takes a line about each request, for the story.
    """

    def __init__(self, world: SimWorld, *, once: bool, tell: Callable[[str], None]) -> None:
        super().__init__("http://simulated")
        self._world = world
        self._once = once
        self._tell = tell
        self._served: tuple[Engine, AppServer] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        pass

    async def _send(self, request: ApiRequest) -> Answer:
        why = ""
        while True:
            if (deed := _deed(request)) is not None:
                self._tell(f"{deed}{why}")
            try:
                answer = await self._world.call(partial(self._answer, request=request))
            except ConnectionLost as lost:
                if self._once:
                    raise
                why = f" again: {lost.what}"
            else:
                if answer.status == TAKEN and why and (begun := _begun(request)) is not None:
                    request, why = ApiRequest("GET", path_of("instances", begun)), ""
                    continue
                if answer.status != UNAVAILABLE or self._once:
                    return answer
                why = " again: it was refused, as the host could not do it"
            await anyio.sleep(REPEAT_S)

    async def _answer(self, engine: Engine, request: ApiRequest) -> Answer:
        return await self._of(engine)._send(request)

    @asynccontextmanager
    async def _stream(self, request: ApiRequest) -> AsyncIterator[AsyncIterator[str]]:
        # Pieces that have come and were not read; None: there is no more.
        lines: asyncio.Queue[str | BaseException | None] = asyncio.Queue()
        closed = asyncio.Event()
        request = replace(request, query=tuple(request.query))

        async def read(engine: Engine) -> None:
            """Runs in the host."""
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._read, engine, request, lines)
                await closed.wait()
                tasks.cancel_scope.cancel()

        async def carry() -> None:
            try:
                await self._world.call(read)
            except ConnectionLost as lost:
                lines.put_nowait(lost)

        async def found() -> AsyncGenerator[str, None]:
            while (line := await lines.get()) is not None:
                if isinstance(line, BaseException):
                    raise line
                yield line

        carrying = asyncio.get_running_loop().create_task(carry())
        try:
            first = await lines.get()
            if isinstance(first, BaseException):
                raise first
            yield found()
        finally:
            closed.set()
            carrying.cancel()

    async def _read(self, engine: Engine, request: ApiRequest, lines: "asyncio.Queue[Any]") -> None:
        try:
            async with self._of(engine)._stream(request) as found:
                lines.put_nowait("")  # the server has answered with success
                async for line in found:
                    lines.put_nowait(line)
        except Exception as error:
            lines.put_nowait(error)
        else:
            lines.put_nowait(None)

    def _of(self, engine: Engine) -> AppServer:
        if self._served is None or self._served[0] is not engine:
            self._served = engine, AppServer(OwnApi(engine))
        return self._served[1]


def _deed(request: ApiRequest) -> str | None:
    """The effect of a request, in words; None if it only reads."""
    if request.method == "GET":
        return None
    *rest, last = unquote(request.path).split("/")[3:]
    if rest[:1] == ["bulk"]:
        return f"asks for a bulk {last}"
    return f"asks to {last} {' '.join(rest[1:])}".rstrip()


def _begun(request: ApiRequest) -> str | None:
    """The id of the instance that a request begins, if it names one."""
    what = request.path.rpartition("/")[2]
    if what not in BEGINS:
        return None
    if what == "import":
        return next((value for name, value in request.query if name == "id"), None)
    body: Any = msgspec.json.decode(request.content or b"{}")
    id_ = body.get("id")
    return id_ if isinstance(id_, str) else None
