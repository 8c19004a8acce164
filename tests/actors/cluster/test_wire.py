"""A wire carries frames both ways, whole and in their order, in any packets, and ends at bytes that are no frame."""

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import anyio
import pytest

from perdure.actors.cluster import wire as wires
from perdure.actors.cluster.protocol import FrameRefused
from perdure.actors.cluster.transport.endpoint import UnixEndpoint
from perdure.actors.cluster.transport.unix import UnixTransport
from perdure.actors.cluster.wire import FRAME_BYTES_MAX, GREETING_BYTES_MAX, LENGTH, Wire, framed
from perdure.actors.errors import FrameTooLong

from ...support.actors.several_hosts import socket_directory

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def nothing(*arguments: Any) -> None:
    pass


def trusted(receive: Callable[[bytes], None], lost: Callable[[], None] = nothing) -> Wire:
    wire = Wire(receive, lost)
    wire.trusted = True
    return wire


@asynccontextmanager
async def listening(answer: Callable[[], Wire]) -> AsyncIterator[str]:
    async with AsyncExitStack() as stack:
        stack.enter_context(anyio.fail_after(10))
        path = f"{stack.enter_context(socket_directory())}/s"
        stack.callback((await UnixTransport(path).listen(answer)).close)
        yield path


async def connect(path: str, wire: Wire) -> Wire:
    await UnixTransport("unused").connect(UnixEndpoint(path), wire)
    return wire


class Ended:
    """The end of a connection that has no other end."""

    def __init__(self) -> None:
        self.aborted = False
        self.written: list[bytes] = []

    def abort(self) -> None:
        self.aborted = True

    def write(self, data: bytes) -> None:
        self.written.append(data)


def attached(wire: Wire) -> Ended:
    ended = Ended()
    wire.connection_made(ended)  # type: ignore[arg-type]
    return ended


async def test_what_is_sent_arrives_whole_and_in_order_also_what_is_longer_than_a_packet() -> None:
    arrived: list[bytes] = []
    ended = anyio.Event()
    async with listening(lambda: trusted(arrived.append, ended.set)) as path:
        wire = await connect(path, trusted(nothing))
        sent = [bytes([number]) * number * 50_000 for number in range(20)]
        for frame in sent:
            wire.send(frame)
        while len(arrived) < len(sent):
            await anyio.sleep(0.001)
        wire.close()
        await ended.wait()
    assert arrived == sent


async def test_both_ends_may_talk() -> None:
    answers: list[bytes] = []
    done = anyio.Event()
    server = trusted(lambda frame: server.send(frame * 2))
    async with listening(lambda: server) as path:

        def receive(frame: bytes) -> None:
            answers.append(frame)
            done.set()

        wire = await connect(path, trusted(receive))
        wire.send(b"21")
        await done.wait()
        wire.close()
    assert answers == [b"2121"]


def test_a_frame_in_pieces_is_received_once_when_it_is_whole() -> None:
    arrived: list[bytes] = []
    wire = Wire(arrived.append, nothing)
    attached(wire)
    packet = framed(b"hello") + framed(b"again")
    for byte in range(len(packet)):
        assert len(arrived) == (byte >= len(framed(b"hello")))
        wire.data_received(packet[byte : byte + 1])
    assert arrived == [b"hello", b"again"]
    assert len(packet) > 2 * LENGTH.size


async def test_each_end_learns_that_the_other_is_gone_and_may_send_into_the_void() -> None:
    lost = [anyio.Event(), anyio.Event()]
    async with listening(lambda: Wire(nothing, lost[0].set)) as path:
        wire = await connect(path, Wire(nothing, lost[1].set))
        wire.close()
        for event in lost:
            await event.wait()
        wire.send(b"into the void")
        await anyio.lowlevel.checkpoint()


async def test_a_socket_without_a_listener_is_an_os_error() -> None:
    with socket_directory() as directory, pytest.raises(OSError, match="No such file"):
        await connect(f"{directory}/nobody", Wire(nothing, nothing))


def test_a_message_that_the_other_end_would_refuse_is_refused_before_anything_is_sent(small: None) -> None:
    with pytest.raises(FrameTooLong, match=r"this has 101 bytes.*at most 100 at once"):
        framed(bytes(101))


@pytest.mark.parametrize(("length", "frames"), [(0, 1), (1, 1), (10, 1), (11, 2), (20, 2), (21, 3), (100, 10)])
def test_a_message_that_is_longer_than_a_frame_goes_in_several(small: None, length: int, frames: int) -> None:
    arrived: list[bytes] = []
    wire = trusted(arrived.append)
    attached(wire)
    message = bytes(range(length))
    packet = framed(message)
    assert len(packet) == length + frames * LENGTH.size
    for byte in packet + framed(b"next"):
        wire.data_received(bytes([byte]))
    assert arrived == [message, b"next"]


@pytest.mark.parametrize("known", [False, True])
def test_a_message_without_an_end_ends_the_connection(small: None, known: bool) -> None:
    arrived: list[bytes] = []
    wire = Wire(arrived.append, nothing)
    wire.trusted = known
    ended = attached(wire)
    sent = 0
    while not ended.aborted:
        wire.data_received(LENGTH.pack(wires.MORE | 10) + bytes(10))
        sent += 10
    assert (sent, arrived) == (110 if known else 10, [])


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wires, "FRAME_BYTES_MAX", 10)
    monkeypatch.setattr(wires, "MESSAGE_BYTES_MAX", 100)


@pytest.mark.parametrize(("known", "limit"), [(False, GREETING_BYTES_MAX), (True, FRAME_BYTES_MAX)])
def test_a_length_beyond_the_limit_ends_the_connection_before_more_is_read(
    known: bool, limit: int, caplog: pytest.LogCaptureFixture
) -> None:
    arrived: list[bytes] = []
    wire = Wire(arrived.append, nothing)
    wire.trusted = known
    ended = attached(wire)
    wire.data_received(LENGTH.pack(limit))
    assert not ended.aborted
    wire = Wire(arrived.append, nothing)
    wire.trusted = known
    ended = attached(wire)
    with caplog.at_level(logging.WARNING):
        wire.data_received(LENGTH.pack(limit + 1) + b"rest")
    assert ended.aborted
    assert not arrived
    assert len(caplog.records) == 1


def test_a_frame_that_its_reader_refuses_ends_the_connection_with_one_line(caplog: pytest.LogCaptureFixture) -> None:
    def refuse(frame: bytes) -> None:
        raise FrameRefused("none of ours")

    wire = Wire(refuse, nothing)
    wire.peer = "host-7"
    ended = attached(wire)
    with caplog.at_level(logging.WARNING):
        wire.data_received(framed(b"one") + framed(b"two"))
    assert ended.aborted
    assert [record.getMessage() for record in caplog.records] == ["the connection of host-7 was closed: none of ours"]


def test_nothing_is_read_after_the_reader_has_ended_the_connection() -> None:
    arrived: list[bytes] = []

    def receive(frame: bytes) -> None:
        arrived.append(frame)
        wire.connection_lost(None)

    wire = Wire(receive, nothing)
    attached(wire)
    wire.data_received(framed(b"one") + framed(b"two"))
    assert arrived == [b"one"]
