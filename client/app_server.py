"""The management API of an app in this process, asked without a network: by ASGI.

The rule: it imports no HTTP library, and what the app streams is read as it comes.

`perdure.connect` makes one of what `perdure.asgi` has given; the client of an embedded engine has one of its own.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from contextlib import aclosing, asynccontextmanager, suppress
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote

import anyio

from ..actors.waiting.own_task import only_exception
from .api_server import JSON, Answer, ApiServer, Query, content_of, lines_of, query_text

IN_PROCESS = "http://localhost"  # the name by which an app in this process is asked

Message = MutableMapping[str, Any]
AsgiApp = Callable[..., Awaitable[None]]


class AppServer(ApiServer):
    """An ASGI app that serves the management API.

    Args:
        token: None: it asks for none.
        scope: What the scope of each request has besides: from a server in the same process it may say who asks.
    """

    def __init__(self, app: AsgiApp, token: str | None = None, *, scope: Mapping[str, Any] | None = None) -> None:
        super().__init__(IN_PROCESS, token)
        self._app = app
        self._scope = dict(scope or {})

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        pass

    async def send(
        self,
        method: str,
        path: str,
        *,
        query: Query = (),
        body: object = None,
        headers: Mapping[str, str] | None = None,
        instance_id: str | None = None,
        read_s: float | None = None,
    ) -> Answer:
        content = content_of(body)
        request = Request(content or b"")
        status, pieces = 0, list[bytes]()

        async def take(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            elif message["type"] == "http.response.body":
                pieces.append(message.get("body", b""))

        await self._app(self._scope_of(method, path, query, content, headers), request.receive, take)
        return self.checked(Answer(status, phrase(status), b"".join(pieces)), instance_id)

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        path: str,
        *,
        query: Query = (),
        headers: Mapping[str, str] | None = None,
        instance_id: str | None = None,
        read_s: float | None = None,
    ) -> AsyncIterator[AsyncIterator[str]]:
        scope = self._scope_of(method, path, query, None, headers)
        request = Request(b"")
        # Without room in between: the app goes on when its last piece has been read.
        sender, receiver = anyio.create_memory_object_stream[Message]()

        failed: list[Exception] = []

        async def run() -> None:
            async with sender:
                try:
                    await self._app(scope, request.receive, sender.send)
                except Exception as error:
                    failed.append(error)

        async def pieces() -> AsyncGenerator[bytes, None]:
            """The pieces of the answer's body; then the app's error, if it had one."""
            async for message in receiver:
                yield message.get("body", b"")
            for error in failed:
                raise error

        try:
            async with anyio.create_task_group() as tasks, receiver:
                tasks.start_soon(run)
                status = 0
                with suppress(anyio.EndOfStream):
                    status = (await receiver.receive())["status"]
                async with aclosing(pieces()) as body:
                    if not Answer(status, "", b"").good:
                        whole = b"".join([piece async for piece in body])
                        self.checked(Answer(status, phrase(status), whole), instance_id)
                    async with aclosing(lines_of(body)) as lines:
                        yield lines
                # The app learns that nobody reads any more, as it does from a server.
                request.gone.set()
                tasks.cancel_scope.cancel()
        except BaseExceptionGroup as group:
            raise only_exception(group) from None

    def _scope_of(
        self, method: str, path: str, query: Query, content: bytes | None, headers: Mapping[str, str] | None
    ) -> dict[str, Any]:
        given = {**({"content-type": JSON} if content is not None else {}), **self.headers, **(headers or {})}
        if content is not None:
            given["content-length"] = str(len(content))
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": unquote(path),
            "raw_path": path.encode("ascii"),
            "query_string": query_text(query).encode("ascii"),
            "root_path": "",
            "headers": [(b"host", b"localhost"), *((name.encode(), value.encode()) for name, value in given.items())],
            "client": ("127.0.0.1", 0),
            "server": ("localhost", 80),
            **self._scope,
        }


class Request:
    """The body of a request, as an app receives it."""

    def __init__(self, content: bytes) -> None:
        self.gone = anyio.Event()  # whoever has asked
        self._content: bytes | None = content

    async def receive(self) -> Message:
        content, self._content = self._content, None
        if content is not None:
            return {"type": "http.request", "body": content, "more_body": False}
        await self.gone.wait()
        return {"type": "http.disconnect"}


def phrase(status: int) -> str:
    """The phrase behind a status."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
