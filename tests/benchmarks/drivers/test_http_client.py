"""The HTTP client of the load: connections are kept, and a lost one is an error, not a wait."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import anyio
import pytest
from anyio.abc import SocketAttribute, SocketStream
from anyio.streams.buffered import BufferedByteReceiveStream

from perdure.benchmarks.drivers import http_client
from perdure.benchmarks.drivers.http_client import HttpAnswer, HttpClient

pytestmark = pytest.mark.anyio


class Server:
    """Answers each request with its own first line; hangs up when asked for /gone."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.connections = 0
        self.requests: list[bytes] = []

    async def serve(self, stream: SocketStream) -> None:
        self.connections += 1
        buffered = BufferedByteReceiveStream(stream)
        async with stream:
            with suppress(anyio.EndOfStream, anyio.IncompleteRead):
                while True:
                    head = await buffered.receive_until(b"\r\n\r\n", 65_536)
                    first, _, rest = head.partition(b"\r\n")
                    length = int(rest.partition(b"Content-Length: ")[2] or b"0")
                    self.requests.append(first + b" " + await buffered.receive_exactly(length))
                    if b"/gone" in first:
                        return
                    body = b"%x\r\n%s\r\n" % (len(first), first)
                    # In two pieces, as a network may deliver them.
                    await stream.send(b"HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\n" + body[:5])
                    await stream.send(body[5:] + b"0\r\n\r\n")


@asynccontextmanager
async def serving() -> AsyncIterator[Server]:
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as tasks:
        server = Server(listener.extra(SocketAttribute.local_port))  # noqa: S610  not Django's
        tasks.start_soon(listener.serve, server.serve)
        yield server
        tasks.cancel_scope.cancel()


async def test_a_connection_is_used_again() -> None:
    async with serving() as server, HttpClient("127.0.0.1", server.port) as client:
        assert await client.get("/one") == HttpAnswer(202, b"GET /one HTTP/1.1")
        assert await client.post("/two", b"[2]") == HttpAnswer(202, b"POST /two HTTP/1.1")
    assert server.connections == 1
    assert server.requests == [b"GET /one HTTP/1.1 ", b"POST /two HTTP/1.1 [2]"]


@pytest.mark.parametrize(("most", "connections"), [(256, 5), (2, 2)])
async def test_requests_at_the_same_time_have_a_connection_each_or_wait_for_one(
    most: int, connections: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_client, "CONNECTIONS_MAX", most)
    async with serving() as server, HttpClient("127.0.0.1", server.port) as client:
        answers = await asyncio.gather(*(client.get(f"/{number}") for number in range(5)))
        assert [answer.body for answer in answers] == [f"GET /{number} HTTP/1.1".encode() for number in range(5)]
        assert server.connections == connections
        # A connection that the server closes is an error, and another one replaces it.
        for _ in range(3):
            with pytest.raises(ConnectionError):
                await client.get("/gone")
        assert (await client.get("/one")).status == 202
