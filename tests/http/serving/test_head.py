"""A head has at most 64 KiB, in pieces of any size and after any earlier request on the connection."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

import anyio
import pytest
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from perdure.http.serving.crowd import ConnectionLimits, Crowd
from perdure.http.serving.protocol import HEAD_BYTES_MAX, PIPELINED_MAX, PlainHttp
from perdure.http.serving.server import configure

pytestmark = pytest.mark.anyio

PIECE = 16 * 1024
GET = b"GET /%b HTTP/1.1\r\nhost: x\r\n%b\r\n"
POST = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%b"
TOO_LARGE = b"HTTP/1.1 431 "


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Wire(asyncio.Transport):
    """The transport of a connection: keeps the written bytes."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closed = False

    def write(self, data: Any) -> None:
        self.written += bytes(data)

    def write_eof(self) -> None:
        pass

    def can_write_eof(self) -> bool:
        return True

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


async def answer_at_once(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer 200 when the body has come."""
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


async def answers_to(pieces: Iterable[bytes]) -> list[bytes]:
    """The answers of a connection that receives these pieces: the beginning of each first line."""
    wire = Wire()
    crowd = Crowd(ConnectionLimits(), now_s=0.0)
    connection = PlainHttp(
        config=configure(answer_at_once, crowd), server_state=ServerState(), app_state={}, crowd=crowd
    )
    connection.connection_made(wire)
    for piece in pieces:
        connection.data_received(piece)
    for _ in range(PIPELINED_MAX * 3):
        await anyio.lowlevel.checkpoint()
    return [line[:13] for line in wire.written.split(b"\r\n") if line.startswith(b"HTTP/1.1 ")]


def cut(data: bytes, size: int) -> list[bytes]:
    """Cut bytes into pieces of a size."""
    return [data[begin : begin + size] for begin in range(0, len(data), size)]


OK = b"HTTP/1.1 200 "
LINES_OF: dict[str, Callable[[int], bytes]] = {
    "one long path": lambda size: GET % (b"a" * size, b""),
    "one long header": lambda size: GET % (b"", b"x: %b\r\n" % (b"y" * size)),
    "many headers": lambda size: GET % (b"", b"x: y\r\n" * (size // 6)),
    "headers, then a long one": lambda size: (
        GET % (b"", b"x: y\r\n" * (size // 12) + b"x: %b\r\n" % (b"y" * (size // 2)))
    ),
}
SIZES = (1, 1000, PIECE, 40_000, 10_000_000)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("lines", LINES_OF)
async def test_a_head_is_taken_below_the_limit_and_refused_above_it_in_pieces_of_any_size(
    lines: str, size: int
) -> None:
    made = LINES_OF[lines]
    assert await answers_to(cut(made(HEAD_BYTES_MAX - 100), size)) == [OK]
    assert await answers_to(cut(made(HEAD_BYTES_MAX + 100), size)) == [TOO_LARGE]


@pytest.mark.parametrize("lines", LINES_OF)
async def test_a_head_without_an_end_is_refused_when_it_passes_the_limit(lines: str) -> None:
    # Given a head whose last line has no end,
    unended = LINES_OF[lines](HEAD_BYTES_MAX * 2).removesuffix(b"\r\n\r\n")
    below, above = HEAD_BYTES_MAX // PIECE, HEAD_BYTES_MAX // PIECE + 2
    # then the head is refused within a piece or two of the limit.
    assert await answers_to(cut(unended, PIECE)[:below]) == []
    assert await answers_to(cut(unended, PIECE)[:above]) == [TOO_LARGE]


async def test_what_comes_before_a_head_in_its_piece_does_not_count_for_it() -> None:
    whole, half = GET % (b"", b""), b"GET / HTTP/1.1\r\nhost: x\r\n"
    before = {
        "a body": POST % (100_000, b"b" * 100_000),
        "requests": GET % (b"a" * 1000, b"") * (HEAD_BYTES_MAX // 1000 + 1),
    }
    for earlier in before.values():
        many = earlier.count(b"HTTP/1.1")
        assert await answers_to([earlier + half, b"\r\n"]) == [OK] * (many + 1)
        assert await answers_to([earlier + whole]) == [OK] * (many + 1)


async def test_each_head_of_a_connection_has_the_limit_for_itself() -> None:
    large = GET % (b"", b"x: %b\r\n" % (b"y" * 50_000))
    assert await answers_to([large] * 3) == [OK] * 3
    assert await answers_to(cut(large * 3, PIECE)) == [OK] * 3
    # A head that is too large is refused after other requests too, once these have been answered.
    over = GET % (b"", b"x: %b\r\n" % (b"y" * 70_000))
    assert (await answers_to([large + over]))[:1] == [OK]
    assert len(await answers_to([large + over])) == 1


@pytest.mark.parametrize("size", SIZES)
async def test_what_comes_before_a_body_does_not_count_for_its_trailers(size: int) -> None:
    head = b"POST / HTTP/1.1\r\nhost: x\r\nx: %b\r\ntransfer-encoding: chunked\r\n\r\n" % (b"y" * 40_000)
    trailed = head + b"1\r\n1\r\n0\r\n" + b"x: y\r\n" * 6_000 + b"\r\n"
    assert await answers_to(cut(trailed, size)) == [OK]
