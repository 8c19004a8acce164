"""Calls the management API of an app in this process through ASGI, without a network.

The rule: it imports no HTTP library, and reads streams of the app as they are written.

`perdure.connect` makes one for the app of `perdure.asgi`; the client of an embedded engine has its own.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import aclosing, asynccontextmanager, suppress
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote

import anyio

from ..actors.waiting.own_task import only_exception
from .api_server import Answer, ApiRequest, ApiServer, lines_of

IN_PROCESS = "http://localhost"  # the address of an app in this process

Message = MutableMapping[str, Any]
AsgiApp = Callable[..., Awaitable[None]]


class AppServer(ApiServer):
    """An ASGI app that serves the management API.

    Args:
        token: The API token; None: the app requires none.
        app_id: The app of the requests; None: the first app of the engine.
    """

    def __init__(self, app: AsgiApp, token: str | None = None, app_id: str | None = None) -> None:
        super().__init__(IN_PROCESS, token, app_id)
        self._app = app

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        pass

    async def _send(self, request: ApiRequest) -> Answer:
        content = Content(request.content or b"")
        status, etag, pieces = 0, b"", list[bytes]()

        async def take(message: Message) -> None:
            nonlocal status, etag
            if message["type"] == "http.response.start":
                status = message["status"]
                etag = dict(message.get("headers", ())).get(b"etag", b"")
            elif message["type"] == "http.response.body":
                pieces.append(message.get("body", b""))

        await self._app(self._scope_of(request), content.receive, take)
        return Answer(status, phrase(status), b"".join(pieces), etag.decode("latin-1"))

    @asynccontextmanager
    async def _stream(self, request: ApiRequest) -> AsyncIterator[AsyncIterator[str]]:
        scope, content = self._scope_of(request), Content(b"")
        # Without a buffer: the app goes on when its last piece has been read.
        sender, receiver = anyio.create_memory_object_stream[Message]()

        failed: list[Exception] = []

        async def run() -> None:
            async with sender:
                try:
                    await self._app(scope, content.receive, sender.send)
                except Exception as error:
                    failed.append(error)

        async def pieces() -> AsyncGenerator[bytes, None]:
            """Yield the pieces of the answer's body; then raise the app's error, if there is one."""
            async for message in receiver:
                yield message.get("body", b"")
            for error in failed:
                raise error

        try:
            async with anyio.create_task_group() as tasks, receiver:
                tasks.start_soon(run)
                status, headers = 0, dict[bytes, bytes]()
                with suppress(anyio.EndOfStream):
                    begun = await receiver.receive()
                    status, headers = begun["status"], dict(begun.get("headers", ()))
                async with aclosing(pieces()) as body:
                    if not Answer(status, "", b"").good:
                        whole = b"".join([piece async for piece in body])
                        self.checked(Answer(status, phrase(status), whole), request.instance_id)
                    self.require_stream(headers.get(b"content-type", b"").decode("latin-1"), request)
                    async with aclosing(lines_of(body)) as lines:
                        yield lines
                # As from a server, the app is told that the reader has disconnected.
                content.gone.set()
                tasks.cancel_scope.cancel()
        except BaseExceptionGroup as group:
            raise only_exception(group) from None

    def _scope_of(self, request: ApiRequest) -> dict[str, Any]:
        headers = {"host": "localhost", **self.headers, **request.all_headers}
        if request.content is not None:
            headers["content-length"] = str(len(request.content))
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": request.method,
            "scheme": "http",
            "path": unquote(request.path),
            "raw_path": request.path.encode("ascii"),
            "query_string": request.query_text.encode("ascii"),
            "root_path": "",
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
            "client": ("127.0.0.1", 0),
            "server": ("localhost", 80),
        }


class Content:
    """The body of a request, for the app's `receive`."""

    def __init__(self, content: bytes) -> None:
        self.gone = anyio.Event()  # set: the caller has disconnected
        self._content: bytes | None = content

    async def receive(self) -> Message:
        """Return the body in one ASGI message; later calls wait until the caller disconnects."""
        content, self._content = self._content, None
        if content is not None:
            return {"type": "http.request", "body": content, "more_body": False}
        await self.gone.wait()
        return {"type": "http.disconnect"}


def phrase(status: int) -> str:
    """Return the phrase of a status."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
