"""A host that is stopped or reads slowly costs the others bounded memory, and no message of an actor.

With real sockets between two ends, of which one reads when the test tells it to.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from perdure.actors.address import Address
from perdure.actors.cluster import inbound, outbound
from perdure.actors.cluster.method import HostMethod
from perdure.actors.cluster.outbound import Outbound
from perdure.actors.cluster.peers import Peers
from perdure.actors.cluster.protocol import (
    AskFrame,
    CallFrame,
    FrameCodec,
    HelloFrame,
    PostFrame,
    ResultFrame,
    ToHost,
    WelcomeFrame,
)
from perdure.actors.cluster.transport.endpoint import UnixEndpoint
from perdure.actors.cluster.transport.unix import UnixTransport
from perdure.actors.cluster.wire import Wire
from perdure.actors.errors import HostOverloaded, HostUnreachable
from perdure.actors.turn import Envelope
from perdure.actors.waiting.reply import Reply
from perdure.actors.waiting.watch import Watches

from ...support.actors.counter_actor import Add, Read, counter_vocabulary
from ...support.actors.memory_wire import HandMembership
from ...support.actors.several_hosts import socket_directory
from .test_moving_hosts import Side

pytestmark = pytest.mark.anyio

LARGE = Address("counter", "x" * 50_000)  # so that its messages are
READ_LARGE = HostMethod("read large", (), str)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def socket_of(wire: Wire) -> asyncio.Transport:
    assert wire._transport is not None
    return wire._transport


async def until(seen: Any) -> None:
    with anyio.fail_after(10):
        while not seen():
            await anyio.sleep(0.005)


class Standing:
    """The other end of an outbound: it takes the greeting, and then reads nothing until told to."""

    def __init__(self) -> None:
        self.codec = FrameCodec()
        self.frames: list[ToHost] = []
        self.wire: Wire | None = None

    def answer(self) -> Wire:
        self.wire = wire = Wire(self._receive, lambda: None)
        wire.trusted = True
        return wire

    def _receive(self, packed: bytes) -> None:
        assert self.wire is not None
        frame = self.codec.to_host(packed)
        if isinstance(frame, HelloFrame):
            self.wire.send(self.codec.pack(WelcomeFrame(1)))
            socket_of(self.wire).pause_reading()
        else:
            self.frames.append(frame)

    def go_on(self) -> None:
        assert self.wire is not None
        socket_of(self.wire).resume_reading()

    @property
    def posts(self) -> list[int]:
        return [frame.number for frame in self.frames if isinstance(frame, PostFrame)]


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[Outbound, Standing]]:
    standing = Standing()
    with socket_directory() as directory:
        listener = await UnixTransport(f"{directory}/b").listen(standing.answer)
        made = Outbound(
            "b",
            UnixEndpoint(f"{directory}/b"),
            membership=HandMembership("a", "b"),
            transport=UnixTransport("unused"),
            vocabulary=counter_vocabulary(),
            codec=FrameCodec(),
        )
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(made.run)
            await until(lambda: made.connected)
            yield made, standing
            tasks.cancel_scope.cancel()
        listener.close()


async def test_messages_of_actors_wait_for_a_host_that_stands_and_come_in_their_order() -> None:
    async with connected() as (host, standing):
        for _ in range(200):
            host.deliver(LARGE, Envelope(Add(1), None))
            await anyio.lowlevel.checkpoint()
        await anyio.sleep(0.05)
        # Given ten megabytes for a stopped host: all are kept, and few of them are in the socket.
        assert host._wire is not None
        assert len(host.posted) == 200
        assert socket_of(host._wire).get_write_buffer_size() < 500_000
        # Acknowledged and recalled messages are not sent.
        host.recall(lambda address: False)
        del host.posted[199]
        # When the host continues, then all come, in their order.
        standing.go_on()
        await until(lambda: len(standing.posts) == 199)
        assert standing.posts == list(range(199))
        assert not host._held


async def test_what_was_held_back_is_sent_over_the_next_connection() -> None:
    async with connected() as (host, standing):
        for _ in range(200):
            host.deliver(LARGE, Envelope(Add(1), None))
            await anyio.lowlevel.checkpoint()
        standing.go_on()
        await until(lambda: standing.posts)
        assert standing.wire is not None
        standing.wire.close()
        standing.frames.clear()
        await until(lambda: not host.connected)
        await until(lambda: host.connected)
        standing.go_on()
        await until(lambda: len(standing.posts) == 200)
        assert standing.posts == list(range(200))


async def test_requests_to_a_host_that_stands_are_refused_beyond_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbound, "UNANSWERED_MAX", 3)
    async with connected() as (host, standing):
        replies = [Reply() for _ in range(4)]
        for reply in replies:
            host.deliver(LARGE, Envelope(Read(), reply))
        with pytest.raises(HostOverloaded, match=r"b, .* has not answered 3 requests .* nothing of this .* Send again"):
            await replies[3].wait()
        # The error is of the kind that says that nothing was done.
        assert issubclass(HostOverloaded, HostUnreachable)
        standing.go_on()
        await until(lambda: sum(isinstance(frame, AskFrame) for frame in standing.frames) == 3)


async def test_requests_are_refused_when_too_many_bytes_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbound, "PILED_BYTES_MAX", 1_000_000)
    async with connected() as (host, standing):
        refused = 0
        for _ in range(100):
            reply = Reply()
            host.deliver(LARGE, Envelope(Read(), reply))
            refused += isinstance(reply._error, HostOverloaded)
            await anyio.lowlevel.checkpoint()
        assert 20 < refused < 90
        # Once the host has taken its messages, it gets requests again.
        standing.go_on()
        assert host._wire is not None
        wire = host._wire
        await until(lambda: not wire.full)
        reply = Reply()
        host.deliver(LARGE, Envelope(Read(), reply))
        assert reply._error is None


@asynccontextmanager
async def calling() -> AsyncIterator[tuple[Wire, list[bytes], Side, Peers]]:
    """A host b, and a caller a that reads nothing until told to; returns the frames for it, and the host's side."""
    heard: list[bytes] = []
    with socket_directory() as directory:
        membership = HandMembership("b")
        membership.come_at("a", UnixEndpoint(f"{directory}/nobody"))
        peers = Peers(membership, counter_vocabulary(), UnixTransport(f"{directory}/b"))
        peers.answer(READ_LARGE, lambda: "y" * 200_000)
        side = Side()
        async with peers.running(side, Watches()):
            codec = FrameCodec()
            wire = Wire(heard.append, lambda: None)
            wire.trusted = True
            await UnixTransport("unused").connect(UnixEndpoint(f"{directory}/b"), wire)
            wire.send(codec.pack(HelloFrame("a", 1, 9, "")))
            await until(lambda: heard)
            heard.clear()
            socket_of(wire).pause_reading()
            try:
                yield wire, heard, side, peers
            finally:
                wire.close()
                await until(lambda: wire.over)


async def test_the_results_of_calls_wait_for_a_caller_that_reads_slowly() -> None:
    async with calling() as (wire, heard, _, peers):
        codec = FrameCodec()
        for number in range(50):
            wire.send(codec.pack(CallFrame(number, READ_LARGE.name, READ_LARGE.pack_arguments(()))))
        await anyio.sleep(0.1)
        (served,) = peers._inbounds
        assert socket_of(served.wire).get_write_buffer_size() < 1_000_000
        assert served.wire.piled == 0
        socket_of(wire).resume_reading()
        await until(lambda: len(heard) == 50)
        answers = [codec.from_host(packed) for packed in heard]
        assert sorted(each.number for each in answers if isinstance(each, ResultFrame)) == list(range(50))


async def test_a_caller_that_does_not_read_its_answers_is_cut_off(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(inbound, "PILED_BYTES_MAX", 500_000)
    caplog.set_level(logging.WARNING)
    async with calling() as (wire, _, side, _):
        codec, vocabulary = FrameCodec(), counter_vocabulary()
        word, body = vocabulary.say(Read())
        for number in range(200):
            wire.send(codec.pack(AskFrame(number, Address("counter", "c"), word, body, False)))
        await until(lambda: len(side.received) == 200)
        # Its requests are answered while it reads nothing; beyond the bound the connection ends,
        for envelope in side.received:
            assert envelope.reply is not None
            envelope.reply.fail(ValueError("z" * 20_000))
            await anyio.lowlevel.checkpoint()
        socket_of(wire).resume_reading()
        await until(lambda: wire.over)
    # with one line that gives the reason.
    assert [line for line in caplog.messages if "does not read its answers" in line] == caplog.messages[-1:]
