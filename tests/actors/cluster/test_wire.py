"""A wire carries messages both ways, whole and in their order, whatever the packets."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import anyio
import pytest

from perdure.actors.cluster.wire import LENGTH, Wire, connect, listen, packed

from ...support.actors.several_hosts import socket_directory

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def nothing(*arguments: Any) -> None:
    pass


@asynccontextmanager
async def listening(answer: Callable[[], Wire]) -> AsyncIterator[str]:
    async with AsyncExitStack() as stack:
        stack.enter_context(anyio.fail_after(10))
        path = f"{stack.enter_context(socket_directory())}/s"
        stack.callback((await listen(path, answer)).close)
        yield path


async def test_what_is_sent_arrives_whole_and_in_order_also_what_is_longer_than_a_packet() -> None:
    arrived: list[Any] = []
    ended = anyio.Event()
    async with listening(lambda: Wire(arrived.append, ended.set)) as path:
        wire = await connect(path, Wire(nothing, nothing))
        sent = [(number, b"x" * number * 50_000) for number in range(20)]
        for message in sent:
            wire.send(message)
        while len(arrived) < len(sent):
            await anyio.sleep(0.001)
        wire.close()
        await ended.wait()
    assert arrived == sent


async def test_both_ends_may_talk() -> None:
    answers: list[Any] = []
    done = anyio.Event()
    server = Wire(lambda message: server.send(message * 2), nothing)
    async with listening(lambda: server) as path:

        def receive(message: Any) -> None:
            answers.append(message)
            done.set()

        wire = await connect(path, Wire(receive, nothing))
        wire.send(21)
        await done.wait()
        wire.close()
    assert answers == [42]


def test_a_message_in_pieces_is_received_once_when_it_is_whole() -> None:
    arrived: list[Any] = []
    wire = Wire(arrived.append, nothing)
    message = packed("hello") + packed("again")
    for byte in range(len(message)):
        assert len(arrived) == (byte >= len(packed("hello")))
        wire.data_received(message[byte : byte + 1])
    assert arrived == ["hello", "again"]
    assert len(message) > 2 * LENGTH.size


async def test_each_end_learns_that_the_other_is_gone_and_may_send_into_the_void() -> None:
    lost = [anyio.Event(), anyio.Event()]
    async with listening(lambda: Wire(nothing, lost[0].set)) as path:
        wire = await connect(path, Wire(nothing, lost[1].set))
        wire.close()
        for event in lost:
            await event.wait()
        wire.send("into the void")
        await anyio.lowlevel.checkpoint()


async def test_nobody_at_the_socket_is_an_os_error() -> None:
    with socket_directory() as directory, pytest.raises(OSError, match="No such file"):
        await connect(f"{directory}/nobody", Wire(nothing, nothing))


def test_what_cannot_be_packed_is_refused_before_anything_is_sent() -> None:
    with pytest.raises((AttributeError, TypeError, ValueError)):
        packed(lambda: None)
