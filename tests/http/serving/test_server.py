"""A server takes a port, reports it, and stops on request: in order, and within its grace period."""

import os
import signal
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import anyio.abc
import httpx
import pytest
from starlette.types import Receive, Scope, Send

from perdure.http.serving.crowd import ConnectionLimits
from perdure.http.serving.listener import address, listen
from perdure.http.serving.server import serve

from ...support.doors.fake_facade import FakeFacade, make_app, state


class Running:
    """A server in a task, its address, and how to stop it."""

    def __init__(self, tasks: anyio.abc.TaskGroup) -> None:
        self.tasks = tasks
        self.stop = anyio.Event()
        self.ended = anyio.Event()
        self.url = ""

    async def start(self, app: Any, **options: Any) -> None:
        listener = listen("127.0.0.1", 0)
        self.host, self.port = address(listener)
        self.url = f"http://{self.host}:{self.port}"
        ready = anyio.Event()
        self.tasks.start_soon(self.run, app, listener, ready, options)
        await ready.wait()

    async def run(self, app: Any, listener: socket.socket, ready: anyio.Event, options: dict[str, Any]) -> None:
        await serve(app, listener=listener, stop=self.stop, ready=ready.set, **options)
        self.ended.set()


def with_server(app: Any, story: Callable[[Running, httpx.AsyncClient], Awaitable[None]], **options: Any) -> None:
    """Run a test with a running server."""

    async def main() -> None:
        with anyio.fail_after(20):
            async with anyio.create_task_group() as tasks, httpx.AsyncClient() as client:
                running = Running(tasks)
                await running.start(app, **options)
                try:
                    await story(running, client)
                finally:
                    running.stop.set()

    anyio.run(main)


def test_requests_are_served_over_a_socket() -> None:
    async def story(server: Running, client: httpx.AsyncClient) -> None:
        started = await client.post(f"{server.url}/v1.0/workflows/dapr/W/start?instanceID=a", content=b"1")
        shown = await client.get(f"{server.url}/v1.0-beta1/workflows/dapr/a%2Fb%3A0001")
        assert started.json() == {"instanceID": "a"}
        assert shown.json()["instanceID"] == "a/b:0001"

    with_server(make_app(FakeFacade(state("a/b:0001"))), story)


def test_answers_carry_a_date_and_no_server() -> None:
    async def story(server: Running, client: httpx.AsyncClient) -> None:
        response = await client.get(f"{server.url}/v1.0/healthz")
        assert "date" in response.headers
        assert "server" not in response.headers

    with_server(make_app(), story)


def test_a_bug_of_ours_is_logged_with_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    async def story(server: Running, client: httpx.AsyncClient) -> None:
        response = await client.get(f"{server.url}/v1.0/workflows/dapr/order-1")
        assert response.json()["errorCode"] == "ERR_INTERNAL"

    facade = FakeFacade()
    facade.failure = ZeroDivisionError("the secret")
    with_server(make_app(facade), story)
    logged = [record for record in caplog.records if record.exc_info and record.exc_info[1] is facade.failure]
    assert len(logged) == 1


def test_a_head_has_headers_and_no_body() -> None:
    async def story(server: Running, client: httpx.AsyncClient) -> None:
        response = await client.head(f"{server.url}/v1.0/healthz")
        assert response.status_code == 404
        assert response.content == b""

    with_server(make_app(), story)


def test_signals_stay_with_the_program() -> None:
    async def story(server: Running, client: httpx.AsyncClient) -> None:
        # Given a handler of the program, and a server that runs,
        caught: list[int] = []
        before = signal.signal(signal.SIGTERM, lambda number, _: caught.append(number))
        try:
            # when a signal comes,
            os.kill(os.getpid(), signal.SIGTERM)
            await anyio.lowlevel.checkpoint()
            # then the program gets it, and the server goes on.
            assert caught == [signal.SIGTERM]
            assert (await client.get(f"{server.url}/v1.0/healthz")).status_code == 204
        finally:
            signal.signal(signal.SIGTERM, before)

    handler = signal.getsignal(signal.SIGTERM)
    with_server(make_app(), story)
    assert signal.getsignal(signal.SIGTERM) is handler


def test_stopping_ends_idle_connections_and_frees_the_port() -> None:
    async def story(server: Running, client: httpx.AsyncClient) -> None:
        # Given a connection that a client keeps for later,
        await client.get(f"{server.url}/v1.0/healthz")
        # when the server is told to stop,
        server.stop.set()
        # then the connection ends, and no socket listens any more.
        await server.ended.wait()
        with pytest.raises(httpx.ConnectError):
            await client.get(f"{server.url}/v1.0/healthz")

    with_server(make_app(), story)


class Slow:
    """An app whose one answer waits until it may go."""

    def __init__(self) -> None:
        self.entered = anyio.Event()
        self.may_go = anyio.Event()
        self.cancelled = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.entered.set()
        try:
            await self.may_go.wait()
        except BaseException:
            self.cancelled = True
            raise
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
        await send({"type": "http.response.body", "body": b"done"})


def test_a_running_request_is_finished_before_the_server_ends() -> None:
    async def story(server: Running, client: httpx.AsyncClient) -> None:
        answers: list[httpx.Response] = []

        async def ask() -> None:
            answers.append(await client.get(server.url))

        async with anyio.create_task_group() as tasks:
            # Given a request under way,
            tasks.start_soon(ask)
            await app.entered.wait()
            # when the server is told to stop, and new connections are refused already,
            server.stop.set()
            await refused(server)
            assert not server.ended.is_set()
            # then the request is still answered.
            app.may_go.set()
        assert answers[0].text == "done"
        await server.ended.wait()

    async def refused(server: Running) -> None:
        while True:
            try:
                stream = await anyio.connect_tcp(server.host, server.port)
            except OSError:
                return
            await stream.aclose()

    app = Slow()
    with_server(app, story)
    assert not app.cancelled


def test_a_request_that_outlasts_the_grace_period_is_cancelled() -> None:
    async def story(server: Running, client: httpx.AsyncClient) -> None:
        async def ask() -> None:
            # uvicorn still tries to answer a request that it cancels; the outcome is not promised.
            try:
                response = await client.get(server.url)
            except httpx.HTTPError:
                return
            assert response.status_code == 500

        async with anyio.create_task_group() as tasks:
            # Given a request that never ends,
            tasks.start_soon(ask)
            await app.entered.wait()
            # when the server is told to stop,
            server.stop.set()
            # then it ends without the request, whose handler is gone.
            await server.ended.wait()
            assert app.cancelled

    app = Slow()
    with_server(app, story, grace_s=0.05)


def test_a_cancelled_server_leaves_nothing_behind() -> None:
    async def main() -> None:
        app = Slow()
        with anyio.fail_after(20):
            async with anyio.create_task_group() as tasks:
                running = Running(tasks)
                await running.start(app)
                stream = await anyio.connect_tcp(running.host, running.port)
                # Given a request under way,
                await stream.send(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
                await app.entered.wait()
                # when everything is cancelled,
                tasks.cancel_scope.cancel()
            # then its handler is gone, its connection too, and the port is free.
            assert app.cancelled
            with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
                await stream.receive()
            await stream.aclose()
            listen(running.host, running.port).close()

    anyio.run(main)


def test_a_body_that_is_too_large_is_refused_over_a_socket_too() -> None:
    async def story(server: Running, client: httpx.AsyncClient) -> None:
        async def endless() -> Any:
            for _ in range(100):
                yield b"x" * 1000

        response = await client.post(f"{server.url}/v1.0/workflows/dapr/W/start", content=endless())
        assert response.status_code == 413

    with_server(make_app(body_bytes_max=5000), story)


OFFER = b"connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n"


def head(target: bytes, *, method: bytes = b"POST", more: bytes = b"") -> bytes:
    return b"%b %b HTTP/1.1\r\nhost: perdure\r\n%b\r\n" % (method, target, more)


async def tell(server: Running, *pieces: bytes, answers: int = 1) -> bytes:
    """Send pieces of a conversation, one by one; return this number of answers, or all bytes until the end."""
    said = b""
    async with await anyio.connect_tcp(server.host, server.port) as stream:
        for piece in pieces:
            await stream.send(piece)
            # The server has read a piece when its task has run; a socket pair shows it in no other way.
            for _ in range(20):
                await anyio.lowlevel.checkpoint()
        while said.count(b"HTTP/1.1 ") < answers or not said.endswith(b"}"):
            try:
                said += await stream.receive()
            except anyio.EndOfStream:
                break
    return said


@pytest.mark.parametrize(
    "pieces",
    [
        [OFFER + b"content-length: 4\r\n", b'"in"'],
        [OFFER + b"transfer-encoding: chunked\r\n", b'2\r\n"i\r\n2\r\nn"\r\n0\r\n\r\n'],
    ],
    ids=["length", "chunked"],
)
@pytest.mark.parametrize("split", [False, True], ids=["at-once", "in-pieces"])
def test_an_offer_of_http_2_costs_no_input(pieces: list[bytes], split: bool) -> None:
    async def story(server: Running, client: httpx.AsyncClient) -> None:
        # Given a client that offers HTTP/2 with its request, as Java's does,
        request = head(b"/v1.0/workflows/dapr/W/start?instanceID=a", more=pieces[0])
        sent = [request, pieces[1]] if split else [request + pieces[1]]
        # when it starts an instance,
        said = await tell(server, *sent)
        # then it is answered in HTTP/1.1, and the input is there.
        assert said.startswith(b"HTTP/1.1 202")
        assert facade.calls == [("start", "W", "a", '"in"')]

    facade = FakeFacade()
    with_server(make_app(facade), story)


def test_requests_with_offers_may_follow_each_other() -> None:
    async def story(server: Running, client: httpx.AsyncClient) -> None:
        started = b"".join(
            head(b"/v1.0/workflows/dapr/W/start?instanceID=i%d" % number, more=OFFER + b"content-length: 1\r\n") + b"1"
            for number in range(3)
        )
        said = await tell(server, started + head(b"/v1.0/workflows/dapr/i0", method=b"GET"), answers=4)
        assert said.count(b"HTTP/1.1 202") == 3
        assert said.count(b"HTTP/1.1 200") == 1
        assert facade.calls == [*(("start", "W", f"i{number}", "1") for number in range(3)), ("inspect", "i0")]

    facade = FakeFacade()
    with_server(make_app(facade), story)


@pytest.mark.parametrize("offer", [OFFER, b"connection: upgrade\r\nupgrade: websocket\r\n"], ids=["h2c", "websocket"])
def test_an_offer_with_a_get_is_ignored(offer: bytes) -> None:
    async def story(server: Running, client: httpx.AsyncClient) -> None:
        said = await tell(server, head(b"/v1.0/workflows/dapr/order-1", method=b"GET", more=offer))
        assert said.startswith(b"HTTP/1.1 200")

    with_server(make_app(FakeFacade(state())), story)


@pytest.mark.parametrize(
    "request_bytes",
    [
        head(b"perdure:443", method=b"CONNECT"),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "GET /größe HTTP/1.1\r\nhost: perdure\r\n\r\n".encode(),
        b"nonsense\r\n\r\n",
    ],
    ids=["connect", "http2", "not-ascii", "nonsense"],
)
def test_what_is_no_request_is_refused_and_the_connection_ends(request_bytes: bytes) -> None:
    async def story(server: Running, client: httpx.AsyncClient) -> None:
        said = await tell(server, request_bytes)
        assert said.startswith(b"HTTP/1.1 400")
        assert said.endswith(b"Invalid HTTP request received.")

    with_server(make_app(), story)


@pytest.mark.parametrize(
    ("start", "more"),
    [(b"GET /", b"x" * 6000), (b"GET / HTTP/1.1\r\nx: ", b"x" * 6000), (b"GET / HTTP/1.1\r\n", b"x: y\r\n" * 1000)],
    ids=["target", "value", "headers"],
)
def test_a_head_without_an_end_is_cut_off(start: bytes, more: bytes) -> None:
    async def endless(stream: anyio.abc.SocketStream) -> None:
        while True:
            await stream.send(more)

    async def story(server: Running, client: httpx.AsyncClient) -> None:
        async with await anyio.connect_tcp(server.host, server.port) as stream:
            await stream.send(start)
            with pytest.raises(anyio.BrokenResourceError):
                await endless(stream)

    with_server(make_app(), story, limits=ConnectionLimits(linger_s=0.1, sweep_s=0.02))


def test_a_large_body_is_no_large_head() -> None:
    async def story(server: Running, client: httpx.AsyncClient) -> None:
        url = f"{server.url}/v1.0/workflows/dapr/W/start"
        for _ in range(3):
            assert (await client.post(url, content=b"x" * 1_000_000)).status_code == 202

    with_server(make_app(), story)
