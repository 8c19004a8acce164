"""An app in this process is called like a server: its answers arrive whole, and its streams piece by piece."""

from typing import Any

import anyio
import pytest

from perdure.client.app_server import AppServer
from perdure.client.errors import ServerRefused, TokenRefused

pytestmark = pytest.mark.anyio


class FakeApp:
    """Answers with pieces, and records its requests and whether the caller has disconnected."""

    def __init__(self, status: int, *pieces: bytes, then_waits: bool = False) -> None:
        self.status, self.pieces, self.then_waits = status, pieces, then_waits
        self.asked: list[tuple[str, bytes, bytes, bytes]] = []
        self.headers: dict[bytes, bytes] = {}
        self.sent = 0
        self.left = False

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        body = (await receive())["body"]
        self.asked.append((scope["method"], scope["raw_path"], scope["query_string"], body))
        self.headers = dict(scope["headers"])
        await send({"type": "http.response.start", "status": self.status, "headers": []})
        try:
            for piece in self.pieces:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
                self.sent += 1
            if self.then_waits:
                await anyio.sleep_forever()
            await send({"type": "http.response.body", "body": b""})
        finally:
            self.left = True


async def test_a_request_is_answered_whole() -> None:
    app = FakeApp(200, b"[1,", b"2]")
    async with AppServer(app, "secret") as server:
        assert await server.ask("POST", "/a%2Fb", list[int], query=[("c", "d e")], body={"x": 1}) == [1, 2]
    assert app.asked == [("POST", b"/a%2Fb", b"c=d%20e", b'{"x":1}')]
    assert app.headers[b"dapr-api-token"] == b"secret"
    assert app.headers[b"content-length"] == b"7"


async def test_a_refusal_is_an_error_of_a_request_and_of_a_stream() -> None:
    server = AppServer(FakeApp(401, b'{"errorCode":"ERR_TOKEN_REQUIRED","message":"a token"}'))
    with pytest.raises(TokenRefused, match="a token"):
        await server.send("GET", "/", good=(200,))
    with pytest.raises(TokenRefused, match="a token"):
        async with server.stream("GET", "/"):
            pass
    with pytest.raises(ServerRefused, match="418 I'm a Teapot"):
        await AppServer(FakeApp(418)).send("GET", "/", good=(200,))


async def test_lines_come_while_the_app_goes_on() -> None:
    app = FakeApp(200, b"one\ntw", b"o\n", b"three\n", then_waits=True)
    with anyio.fail_after(10):
        async with AppServer(app).stream("GET", "/") as lines:
            assert await anext(aiter(lines)) == "one"
            # The app is at most one piece ahead of its reader.
            assert app.sent <= 2
            assert [await anext(aiter(lines)) for _ in range(2)] == ["two", "three"]
            assert not app.left
    assert app.left


async def test_an_error_of_the_app_is_the_callers() -> None:
    async def broken(scope: Any, receive: Any, send: Any) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await AppServer(broken).send("GET", "/", good=(200,))
    with pytest.raises(ZeroDivisionError):
        async with AppServer(broken).stream("GET", "/"):
            pass
