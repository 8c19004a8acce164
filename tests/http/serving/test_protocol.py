"""Any input of a client, or its lack, costs a bounded time, and an answer reaches each client that can still read."""

import logging
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import anyio.to_thread
import httpx
import pytest
from starlette.types import Receive, Scope, Send

from perdure.http.serving.crowd import ConnectionLimits
from perdure.http.serving.listener import address, listen
from perdure.http.serving.server import serve

from ...support.doors.fake_facade import FakeFacade, make_app, state

Story = Callable[["Port"], Awaitable[None]]
BACKENDS = [pytest.param(True, id="uvloop"), pytest.param(False, id="asyncio")]
BODY_MAX = 100_000


class Port:
    """A server's port, and connections to it."""

    def __init__(self, host: str, port: int, stop: anyio.Event) -> None:
        self.address = (host, port)
        self.stop = stop

    def connect(self) -> socket.socket:
        connected = socket.create_connection(self.address, 10)
        connected.settimeout(10)
        return connected


def with_port(app: Any, story: Story, *, uvloop: bool = True, grace_s: float = 10.0, **limits: Any) -> None:
    async def main() -> None:
        stop, ready = anyio.Event(), anyio.Event()
        listener = listen("127.0.0.1", 0)
        port = Port(*address(listener), stop)
        limited = ConnectionLimits(**{"sweep_s": 0.02, "linger_s": 0.5, **limits})
        with anyio.fail_after(30):
            async with anyio.create_task_group() as tasks:

                async def run() -> None:
                    await serve(app, listener=listener, stop=stop, ready=ready.set, grace_s=grace_s, limits=limited)

                tasks.start_soon(run)
                await ready.wait()
                try:
                    await story(port)
                finally:
                    stop.set()

    anyio.run(main, backend_options={"use_uvloop": uvloop})


def heard(connection: socket.socket) -> bytes:
    """All bytes that come until the end; a reset is an end."""
    said = bytearray()
    try:
        while chunk := connection.recv(1_000_000):
            said += chunk
    except ConnectionResetError:
        pass
    return bytes(said)


START = b"POST /v1.0/workflows/dapr/W/start?instanceID=%b HTTP/1.1\r\nhost: x\r\n"
GET = b"GET /v1.0/workflows/dapr/order-1 HTTP/1.1\r\nhost: x\r\n\r\n"

NEVER_WHOLE = {
    "nothing": b"",
    "empty-lines": b"\r\n\r\n",
    "half-a-method": b"PO",
    "half-a-line": b"GET /v1.0/wor",
    "half-a-head": START % b"a" + b"content-le",
    "half-a-body": START % b"a" + b"content-length: 10\r\n\r\n12345",
    "no-body": START % b"a" + b"content-length: 10\r\n\r\n",
    "half-a-chunk": START % b"a" + b"transfer-encoding: chunked\r\n\r\n5\r\n12",
    "no-last-chunk": START % b"a" + b"transfer-encoding: chunked\r\n\r\n2\r\n12\r\n",
    "half-a-second": GET + b"GET /v1.0/wor",
    "half-a-second-body": GET + START % b"a" + b"content-length: 10\r\n\r\n12345",
    "empty-lines-after-one": GET + b"\r\n\r\n",
    "nothing-after-one": GET,
    "waits-for-100": START % b"a" + b"content-length: 10\r\nexpect: 100-continue\r\n\r\n",
}


@pytest.mark.parametrize("uvloop", BACKENDS)
@pytest.mark.parametrize("sent", NEVER_WHOLE.values(), ids=NEVER_WHOLE)
def test_a_request_that_never_comes_whole_ends_the_connection(sent: bytes, uvloop: bool) -> None:
    facade = FakeFacade(state())

    async def story(port: Port) -> None:
        with port.connect() as connection:
            connection.sendall(sent)
            said = await anyio.to_thread.run_sync(heard, connection)
        assert said.count(b"HTTP/1.1 200") == sent.count(GET)
        assert not [call for call in facade.calls if call[0] == "start"]

    with_port(make_app(facade), story, uvloop=uvloop, head_s=0.1, body_s=0.1, idle_s=0.1)


@pytest.mark.parametrize(
    ("line", "hosts", "refusal"),
    [
        (b"HTTP/1.1", [], b"missing required Host header"),
        (b"HTTP/1.1", [b"x", b"x"], b"too many Host headers"),
        (b"HTTP/1.0", [b"x", b"evil.example"], b"too many Host headers"),
        (b"HTTP/1.1", [b"x y"], b"malformed Host header"),
        (b"HTTP/1.1", [b"evil.example#x"], b"malformed Host header"),
        (b"HTTP/1.1", [b"me@x"], b"malformed Host header"),
        (b"HTTP/1.0", [b"\xff"], b"malformed Host header"),
        (b"HTTP/1.0", [], None),
        (b"HTTP/1.1", [b""], None),
        (b"HTTP/1.1", [b"[::1]:3500"], None),
        (b"HTTP/1.1", [b"a_b.example:80"], None),
    ],
)
def test_a_request_has_one_host(line: bytes, hosts: list[bytes], refusal: bytes | None) -> None:
    facade = FakeFacade(state())

    async def story(port: Port) -> None:
        head = b"GET /v1.0/workflows/dapr/order-1 %b\r\n" % line
        with port.connect() as connection:
            given = b"".join(b"Host: %b\r\n" % host for host in hosts)
            connection.sendall(head + given + b"Connection: close\r\n\r\n")
            said = await anyio.to_thread.run_sync(heard, connection)
        assert said.startswith(b"HTTP/1.1 200" if refusal is None else b"HTTP/1.1 400")
        assert said.endswith(refusal or b"}")
        assert bool(facade.calls) is (refusal is None)

    with_port(make_app(facade, allowed_hosts=("*",)), story)


@pytest.mark.parametrize("uvloop", BACKENDS)
def test_a_body_that_comes_slowly_but_steadily_is_taken(uvloop: bool) -> None:
    async def story(port: Port) -> None:
        with port.connect() as connection:
            connection.sendall(START % b"a" + b"content-length: 5000\r\nconnection: close\r\n\r\n")
            for _ in range(10):
                await anyio.sleep(0.05)
                connection.sendall(b"1" * 500)
            assert (await anyio.to_thread.run_sync(heard, connection)).startswith(b"HTTP/1.1 202")

    with_port(make_app(FakeFacade()), story, uvloop=uvloop, body_s=0.2, body_bytes_per_s_min=5000)


@pytest.mark.parametrize("uvloop", BACKENDS)
@pytest.mark.parametrize("requests", [1, 3])
def test_a_client_that_has_closed_its_sending_side_is_answered(requests: int, uvloop: bool) -> None:
    facade = FakeFacade()

    async def story(port: Port) -> None:
        with port.connect() as connection:
            ids = [b"a%d" % number for number in range(requests)]
            connection.sendall(b"".join(START % each + b'content-length: 3\r\n\r\n"x"' for each in ids))
            connection.shutdown(socket.SHUT_WR)
            said = await anyio.to_thread.run_sync(heard, connection)
        assert said.count(b"HTTP/1.1 202") == requests
        assert [call[2] for call in facade.calls] == [each.decode() for each in ids]

    with_port(make_app(facade), story, uvloop=uvloop)


A_HEAD = b"GET /v1.0/healthz%b HTTP/1.1\r\nhost: x\r\n%bconnection: close\r\n\r\n"
HEADS = {
    "a path": (b"/%b" % (b"a" * 100_000), b""),
    "a query": (b"?%b" % (b"a" * 70_000), b""),
    "a header": (b"", b"x: %b\r\n" % (b"y" * 100_000)),
    "many headers": (b"", b"x: y\r\n" * 20_000),
}


@pytest.mark.parametrize("uvloop", BACKENDS)
@pytest.mark.parametrize("head", HEADS)
def test_a_head_that_comes_in_one_piece_has_the_same_bound(head: str, uvloop: bool) -> None:
    async def story(port: Port) -> None:
        with port.connect() as connection:
            await anyio.to_thread.run_sync(connection.sendall, A_HEAD % HEADS[head])
            said = await anyio.to_thread.run_sync(heard, connection)
        assert said.startswith(b"HTTP/1.1 431 ")
        assert b"The head of the request has more than 65536 bytes" in said

    with_port(make_app(FakeFacade()), story, uvloop=uvloop)


CHUNKED = START % b"a" + b"transfer-encoding: chunked\r\n\r\n"
BESIDE_THE_BODY = {
    "trailers": (CHUNKED + b"0\r\n", b"x: y\r\n" * 10_000),
    "a trailer without an end": (CHUNKED + b"1\r\n1\r\n0\r\nx: ", b"y" * 60_000),
    "a chunk's extension without an end": (CHUNKED + b"1;", b"y" * 60_000),
}


@pytest.mark.parametrize("uvloop", BACKENDS)
@pytest.mark.parametrize(("begin", "more"), BESIDE_THE_BODY.values(), ids=BESIDE_THE_BODY)
def test_what_comes_beside_a_body_is_bounded(begin: bytes, more: bytes, uvloop: bool) -> None:
    facade = FakeFacade()

    async def story(port: Port) -> None:
        with port.connect() as connection:
            connection.sendall(begin)
            for _ in range(10):
                await anyio.to_thread.run_sync(connection.send, more)
            said = await anyio.to_thread.run_sync(heard, connection)
        assert said.startswith(b"HTTP/1.1 431 ")
        assert b"have more than 65536 bytes" in said
        assert facade.calls == []

    with_port(make_app(facade), story, uvloop=uvloop)


class Headers:
    """An app that waits for the body, and then answers with the names of the headers."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = b""
        while (message := await receive()).get("more_body"):
            body += message["body"]
        names = b" ".join(name for name, _ in scope["headers"])
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(names))]})
        await send({"type": "http.response.body", "body": names})


def test_many_small_chunks_are_taken_and_a_trailer_is_no_header() -> None:
    async def story(port: Port) -> None:
        with port.connect() as connection:
            connection.sendall(b"POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n")
            for _ in range(10):
                await anyio.to_thread.run_sync(connection.sendall, b"1;a=b\r\n1\r\n" * 2_000)
            connection.sendall(b"0\r\ndapr-api-token: t\r\n\r\n")
            said = await anyio.to_thread.run_sync(heard, connection)
        assert said.endswith(b"\r\n\r\nhost connection transfer-encoding")

    with_port(Headers(), story)


@pytest.mark.parametrize("sent", [GET[:-2], NEVER_WHOLE["half-a-body"], b""], ids=["head", "body", "nothing"])
def test_half_a_request_of_a_client_that_sends_no_more_is_let_go(sent: bytes) -> None:
    async def story(port: Port) -> None:
        with port.connect() as connection:
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
            assert await anyio.to_thread.run_sync(heard, connection) == b""

    with_port(make_app(FakeFacade(state())), story)


LARGE = b"content-length: %d\r\n" % (50 * BODY_MAX)
STILL_SENDING = {
    "kept-alive": START % b"a" + LARGE + b"\r\n",
    "to-be-closed": START % b"a" + LARGE + b"connection: close\r\n\r\n",
    "http-1.0": (START % b"a").replace(b"1.1", b"1.0") + LARGE + b"\r\n",
    "chunked": START % b"a" + b"transfer-encoding: chunked\r\n\r\n4c4b40\r\n",
    "no-route": b"POST /nowhere HTTP/1.1\r\nhost: x\r\nconnection: close\r\n" + LARGE + b"\r\n",
    "no-request": b"nonsense\r\n\r\n",
    "foreign-host": (START % b"a").replace(b": x", b": evil.example") + LARGE + b"\r\n",
}


@pytest.mark.parametrize("uvloop", BACKENDS)
@pytest.mark.parametrize("sent", STILL_SENDING.values(), ids=STILL_SENDING)
def test_a_refusal_reaches_a_client_that_is_still_sending(sent: bytes, uvloop: bool) -> None:
    status = {"no-route": 404, "no-request": 400, "foreign-host": 403}

    async def story(port: Port) -> None:
        with port.connect() as connection:

            def tell() -> bytes:
                # The client sends everything before it first reads, as a simple client does.
                connection.sendall(sent)
                for _ in range(50):
                    connection.sendall(b"x" * BODY_MAX)
                return heard(connection)

            said = await anyio.to_thread.run_sync(tell)
        [name] = [name for name, each in STILL_SENDING.items() if each == sent]
        assert said.startswith(b"HTTP/1.1 %d" % status.get(name, 413)), said[:100]

    with_port(make_app(FakeFacade(), body_bytes_max=BODY_MAX), story, uvloop=uvloop, linger_s=10)


def test_a_client_that_never_stops_sending_is_cut(caplog: pytest.LogCaptureFixture) -> None:
    async def story(port: Port) -> None:
        with port.connect() as connection:

            def tell() -> None:
                connection.sendall(START % b"a" + b"transfer-encoding: chunked\r\n\r\nffffffff\r\n")
                with pytest.raises(OSError, match=r"reset|[Bb]roken"):
                    while True:
                        connection.sendall(b"x" * BODY_MAX)

            await anyio.to_thread.run_sync(tell)

    with_port(make_app(FakeFacade(), body_bytes_max=BODY_MAX), story, linger_s=0.2)
    assert "Traceback" not in caplog.text


class FirstTwoAreSlow:
    """An app that does not answer its first two requests."""

    def __init__(self) -> None:
        self.begun = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.begun += 1
        if self.begun <= 2:
            while (await receive())["type"] != "http.disconnect":
                pass
            return
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})


@pytest.mark.parametrize("uvloop", BACKENDS)
def test_a_client_that_has_hung_up_on_a_wait_keeps_no_other_client_out(uvloop: bool) -> None:
    async def story(port: Port) -> None:
        # Given as many clients as are allowed, which have hung up on answers that take long,
        for _ in range(2):
            with port.connect() as connection:
                connection.sendall(GET)
                await anyio.sleep(0.1)
        # when other clients connect, then each is served.
        for _ in range(2):
            with port.connect() as connection:
                connection.sendall(GET)
                assert await anyio.to_thread.run_sync(connection.recv, 12) == b"HTTP/1.1 200"

    with_port(FirstTwoAreSlow(), story, uvloop=uvloop, connections_max=2)


class Large:
    """An app whose answers are large, and which counts them."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.begun = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.begun += 1
        headers = [(b"content-length", b"%d" % self.size)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": bytes(self.size)})


@pytest.mark.parametrize("uvloop", BACKENDS)
def test_a_client_that_does_not_read_gets_one_answer_at_a_time(uvloop: bool) -> None:
    app = Large(8_000_000)

    async def story(port: Port) -> None:
        with port.connect() as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n" * 3)
            connection.sendall(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            await anyio.sleep(0.3)
            assert app.begun == 1
            # When the client reads, it gets all answers.
            said = await anyio.to_thread.run_sync(heard, connection)
        assert app.begun == 4
        assert len(said) > 4 * app.size

    with_port(app, story, uvloop=uvloop)


@pytest.mark.parametrize("uvloop", BACKENDS)
def test_answers_that_wait_to_be_read_are_bounded_in_all(uvloop: bool, caplog: pytest.LogCaptureFixture) -> None:
    app = Large(10_000_000)

    async def story(port: Port) -> None:
        connections = [port.connect() for _ in range(8)]
        for connection in connections:
            connection.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            await anyio.sleep(0.05)
        # The last answers are whole, and the first are not.
        lengths = [len(await anyio.to_thread.run_sync(heard, each)) for each in connections[-1:] + connections[:3]]
        assert lengths[0] > app.size
        assert max(lengths[1:]) < app.size
        for connection in connections:
            connection.close()

    with_port(app, story, uvloop=uvloop, unread_bytes_max=20_000_000, idle_s=0.5)
    assert "wait to be read" in caplog.text
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize("uvloop", BACKENDS)
def test_clients_that_hang_up_on_their_answers_leave_no_traceback(
    uvloop: bool, caplog: pytest.LogCaptureFixture
) -> None:
    app = Large(10_000_000)

    async def story(port: Port) -> None:
        for _ in range(5):
            with port.connect() as connection:
                connection.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n" * 5)
                await anyio.sleep(0.05)
        await anyio.sleep(0.1)

    with_port(app, story, uvloop=uvloop)
    assert caplog.text == ""


@pytest.mark.parametrize("uvloop", BACKENDS)
def test_silent_connections_keep_no_other_client_out(uvloop: bool, caplog: pytest.LogCaptureFixture) -> None:
    async def story(port: Port) -> None:
        silent = [port.connect() for _ in range(50)]
        for each in silent[::2]:
            each.sendall(b"GET /v1.0/hea")
        async with httpx.AsyncClient() as client:
            url = f"http://127.0.0.1:{port.address[1]}/v1.0/healthz"
            assert [(await client.get(url)).status_code for _ in range(5)] == [204] * 5
        for each in silent:
            each.close()

    with_port(make_app(), story, uvloop=uvloop, connections_max=10)
    assert "more than 10 connections" in caplog.text


@pytest.mark.parametrize("uvloop", BACKENDS)
@pytest.mark.parametrize(
    ("sent", "answers"),
    [(GET * 2000, 101), (GET + b"nonsense\r\n\r\n", 1), (GET * 3 + b"\x16\x03\x01" * 1000, 3)],
    ids=["too many at once", "nonsense after one", "nonsense after three"],
)
def test_what_came_whole_before_the_end_of_a_connection_is_answered(
    sent: bytes, answers: int, uvloop: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def story(port: Port) -> None:
        with port.connect() as connection:
            connection.sendall(sent)
            said = await anyio.to_thread.run_sync(heard, connection)
        # No client takes an answer for that of another request.
        assert said.count(b"HTTP/1.1 200") == answers
        assert b"HTTP/1.1 4" not in said

    with_port(make_app(FakeFacade(state())), story, uvloop=uvloop)
    assert "Traceback" not in caplog.text
    assert not [record for record in caplog.records if record.exc_info]


JUNK = [b"\x16\x03\x01\x02\x00\x01\x00\r\n", b"nonsense\r\n\r\n", b"GET\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"]


def test_junk_is_one_line_with_a_count(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    async def story(port: Port) -> None:
        for junk in JUNK * 5:
            with port.connect() as connection:
                connection.sendall(junk)
                said = await anyio.to_thread.run_sync(connection.recv, 100)
                assert said.startswith(b"HTTP/1.1 400"), junk

    with_port(make_app(), story)
    lines = [record.getMessage() for record in caplog.records if "refused" in record.getMessage()]
    assert len(lines) == 2
    assert "(19 such lines in " in lines[1]
    assert "Traceback" not in caplog.text


class Slow:
    """An app that reads the body and then never answers."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive()).get("more_body"):
            pass
        await anyio.sleep_forever()


@pytest.mark.parametrize("uvloop", BACKENDS)
@pytest.mark.parametrize("sent", NEVER_WHOLE.values(), ids=NEVER_WHOLE)
def test_a_request_that_is_not_whole_does_not_hold_up_the_end(
    sent: bytes, uvloop: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def story(port: Port) -> None:
        with port.connect() as connection:
            connection.sendall(sent)
            await anyio.sleep(0.05)
            port.stop.set()
            with anyio.fail_after(5):
                await anyio.to_thread.run_sync(heard, connection)

    with_port(make_app(FakeFacade(state())), story, uvloop=uvloop, grace_s=60)
    assert caplog.text == ""


def test_requests_that_outlast_the_grace_leave_one_line(caplog: pytest.LogCaptureFixture) -> None:
    async def story(port: Port) -> None:
        connections = [port.connect() for _ in range(20)]
        for connection in connections:
            connection.sendall(GET)
        await anyio.sleep(0.1)
        port.stop.set()
        for connection in connections:
            await anyio.to_thread.run_sync(heard, connection)
            connection.close()

    with_port(Slow(), story, grace_s=0.1)
    assert [record.getMessage() for record in caplog.records] == [
        "20 requests did not finish in 0.1 s, and are cancelled"
    ]
