"""A server as a client sees it: its address, its answers, and answers that do not come."""

import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import anyio
import pytest
from anyio.abc import SocketAttribute, SocketStream

from perdure.client.api_server import path_of
from perdure.client.connect import connect
from perdure.client.errors import ServerAddressInvalid, ServerRefused, ServerUnreachable, TokenRefused
from perdure.client.management_client import ManagementClient
from perdure.client.server import Server, checked_url, is_loopback

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("http://127.0.0.1:3500", "http://127.0.0.1:3500"),
        ("http://127.0.0.1:3500/", "http://127.0.0.1:3500"),
        (" localhost:3500 ", "http://localhost:3500"),
        ("https://perdure.example.com/below/", "https://perdure.example.com/below"),
        ("http://[::1]:3500", "http://[::1]:3500"),
    ],
)
def test_an_address_is_read(given: str, url: str) -> None:
    assert checked_url(given) == url


@pytest.mark.parametrize(
    "given",
    [
        "",
        "http://",
        "ftp://x",
        "http://x:70000",
        "http://x:0",
        "http://x?a=b",
        "http://x#y",
        "http://me:secret@x",
        "http://[x",
    ],
)
def test_anything_but_an_address_is_refused(given: str) -> None:
    with pytest.raises(ServerAddressInvalid, match=r"It looks like http://127\.0\.0\.1:3500"):
        checked_url(given)


@pytest.mark.parametrize(
    ("url", "here"),
    [("http://127.0.0.1:1", True), ("http://localhost", True), ("http://[::1]", True), ("http://x", False)],
)
def test_addresses_of_this_machine_are_known(url: str, here: bool) -> None:
    assert is_loopback(url) is here


def answering(raw: bytes) -> Callable[[SocketStream], object]:
    async def answer(stream: SocketStream) -> None:
        async with stream:
            await stream.receive()
            await stream.send(raw)

    return answer


def raw(status: str, body: str) -> bytes:
    return f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n{body}".encode()


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (raw("409 Conflict", '{"errorCode":"ERR_X","message":"so it is"}'), ServerRefused, "so it is"),
        (raw("401 Unauthorized", '{"errorCode":"ERR_X","message":"who?"}'), TokenRefused, "connect"),
        (raw("502 Bad Gateway", "<html>nginx</html>"), ServerRefused, "502 Bad Gateway: <html>nginx"),
        (raw("302 Found", ""), ServerRefused, "302 Found"),
        (b"HTTP/1.1 302 Found\r\nlocation: /login\r\ncontent-length: 0\r\n\r\n", ServerRefused, "302 Found, to /login"),
        (raw("200 OK", "<html>"), ServerRefused, "Is it this version of Perdure"),
        (raw("200 OK", "[1]"), ServerRefused, "Is it this version of Perdure"),
        (raw("200 OK", "[" * 100_000), ServerRefused, "Is it this version of Perdure"),
        (raw("500 Oops", "[" * 100_000), ServerRefused, "500 Oops"),
        (raw("204 No Content", ""), ServerRefused, "has answered with 204 No Content. Is it this version"),
        (b"", ServerUnreachable, "it may have happened"),
        (b"SSH-2.0-OpenSSH\r\n", ServerUnreachable, "it may have happened"),
    ],
)
async def test_whatever_answers_becomes_an_error_with_a_sentence(
    answer: bytes, kind: type[Exception], words: str
) -> None:
    async with server_that_says(answer) as url, Server(url) as server:
        with pytest.raises(kind, match=words):
            await server.ask("GET", path_of("count"), dict)


@asynccontextmanager
async def server_that_says(answer: bytes) -> AsyncIterator[str]:
    """A server with one answer for all, at the address that this gives."""
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra(SocketAttribute.local_port)  # noqa: S610  anyio's
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, answering(answer))
        yield f"http://127.0.0.1:{port}"
        tasks.cancel_scope.cancel()


async def exported(client: ManagementClient) -> object:
    async with client.export("i") as lines:
        return [line async for line in lines]


async def followed(client: ManagementClient) -> object:
    async with client.events() as events:
        return [event async for event in events]


# Each request whose good answer is not read as JSON, or has no data for the caller.
CALLS: dict[str, Callable[[ManagementClient], Awaitable[object]]] = {
    "an event": lambda client: client.raise_event("i", "go", 1),
    "a value that is saved": lambda client: client.state("statestore").set("k", 1),
    "an export": exported,
    "a stream": followed,
    "a wait": lambda client: client.wait_for("i", timeout=1),
}


@pytest.mark.parametrize("body", ["<html>Welcome to our wireless network</html>", "", "{}"])
@pytest.mark.parametrize("call", CALLS)
async def test_another_server_that_says_yes_has_done_nothing(call: str, body: str) -> None:
    async with server_that_says(raw("200 OK", body)) as url, connect(url) as client:
        with pytest.raises(ServerRefused, match="Is it this version of Perdure"):
            await CALLS[call](client)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("HTTPS_PROXY", "nonsense://proxy"),
        ("ALL_PROXY", "nonsense://proxy"),
        ("SSL_CERT_FILE", "/nowhere/certificates.pem"),
    ],
)
async def test_an_environment_that_http_cannot_use_is_an_error(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ServerUnreachable, match=r"settings that HTTP cannot use .*nothing of this") as caught:
        async with Server("https://perdure.example"):
            pass
    assert not caught.value.sent


async def test_a_port_on_which_nothing_listens_is_told_and_nothing_was_done() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        async with Server(f"127.0.0.1:{taken.getsockname()[1]}") as server:
            with pytest.raises(ServerUnreachable, match="nothing of this request was done") as caught:
                await server.ask("GET", path_of("count"), dict)
    assert not caught.value.sent
