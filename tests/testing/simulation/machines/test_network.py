"""Hosts of a world meet a network as they meet TCP and TLS: in order, once, or not at all."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from perdure.actors.cluster.transport.endpoint import TcpEndpoint
from perdure.testing.simulation.choices import Choices, Schedule
from perdure.testing.simulation.loop import SimLoop
from perdure.testing.simulation.machines.network import SILENT_S, SLOW_S, SimNetwork, SimTransport

ONE, TWO = "10.0.0.1:1", "10.0.0.2:1"
THERE = TcpEndpoint(2, TWO)


class Notes(asyncio.Protocol):
    """Notes what comes."""

    def __init__(self) -> None:
        self.got: list[bytes] = []
        self.over = False
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.got.append(data)

    def connection_lost(self, error: Exception | None) -> None:
        self.over = True

    def write(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.write(data)


class Pair:
    """Two hosts, of which the first has connected to the second."""

    def __init__(self, network: SimNetwork) -> None:
        self.network = network
        self.one, self.two = network.transport(ONE), network.transport(TWO)
        self.one.identify(TcpEndpoint(1, ONE).name)
        self.two.identify(THERE.name)
        self.caller, self.callee = Notes(), Notes()

    async def connect(self) -> None:
        await self.two.listen(lambda: self.callee)
        await self.one.connect(THERE, self.caller)
        await asyncio.sleep(0)


def played(story: Callable[[Pair], Awaitable[None]], schedule: Schedule | None = None) -> None:
    loop = SimLoop()  # type: ignore[abstract]
    network = SimNetwork(loop, Choices(schedule=schedule or {}), lambda what: None)

    async def told() -> None:
        await story(Pair(network))

    try:
        loop.run(told())
    finally:
        loop.close()


def test_bytes_come_in_their_order_and_slow_ones_hold_up_what_follows() -> None:
    async def story(pair: Pair) -> None:
        await pair.connect()
        pair.caller.write(b"a")
        pair.caller.write(b"b")
        await asyncio.sleep(SLOW_S[2] / 2)
        assert pair.callee.got == []
        await asyncio.sleep(SLOW_S[2])
        assert pair.callee.got == [b"a", b"b"]

    played(story, {("wire.slow", 0): 2})


def test_what_a_cut_holds_back_arrives_when_it_is_healed_soon() -> None:
    async def story(pair: Pair) -> None:
        await pair.connect()
        pair.network.cut("10.0.0.1", "10.0.0.2", one_way=True)
        pair.caller.write(b"a")
        pair.callee.write(b"b")
        await asyncio.sleep(1)
        assert (pair.callee.got, pair.caller.got) == ([], [b"b"])
        pair.network.heal("10.0.0.1", "10.0.0.2")
        await asyncio.sleep(0)
        assert pair.callee.got == [b"a"]
        assert not pair.callee.over

    played(story)


def test_a_connection_that_is_silent_for_too_long_is_over_at_both_ends() -> None:
    async def story(pair: Pair) -> None:
        await pair.connect()
        pair.network.cut("10.0.0.1", "10.0.0.2")
        pair.caller.write(b"a")
        await asyncio.sleep(SILENT_S + 0.1)
        pair.network.heal_all()
        await asyncio.sleep(1)
        assert (pair.caller.over, pair.callee.over, pair.callee.got) == (True, True, [])
        with pytest.raises(TimeoutError):
            pair.network.cut("10.0.0.1", "10.0.0.2")
            await pair.one.connect(THERE, Notes())

    played(story)


def test_of_a_process_that_is_killed_the_last_bytes_arrive_and_then_its_end() -> None:
    async def story(pair: Pair) -> None:
        await pair.connect()
        pair.caller.write(b"a")
        pair.network.kill(ONE)
        await asyncio.sleep(1)
        assert (pair.callee.got, pair.callee.over, pair.caller.over) == ([b"a"], True, False)
        pair.network.kill(TWO)
        with pytest.raises(ConnectionRefusedError):
            await pair.one.connect(THERE, Notes())

    played(story)


@pytest.mark.parametrize(("how", "got"), [(1, []), (2, [b"a"])])
def test_a_connection_that_breaks_loses_what_is_written_or_ends_behind_it(how: int, got: list[bytes]) -> None:
    async def story(pair: Pair) -> None:
        await pair.connect()
        pair.caller.write(b"a")
        pair.caller.write(b"b")
        await asyncio.sleep(1)
        assert (pair.callee.got, pair.caller.over, pair.callee.over) == (got, True, True)

    played(story, {("wire.cut", 0): how})


def test_a_process_that_stands_still_shakes_no_hands() -> None:
    async def story(pair: Pair) -> None:
        loop = pair.network.loop

        async def listen() -> None:
            await pair.two.listen(Notes)

        await loop.create_task(listen(), context=loop.in_life(7))
        loop.hold(7)
        with pytest.raises(TimeoutError):
            await pair.one.connect(THERE, Notes())

    played(story)


def test_each_end_knows_the_name_of_the_other_and_refuses_another_one() -> None:
    async def story(pair: Pair) -> None:
        await pair.connect()
        here, there = pair.caller.transport, pair.callee.transport
        assert here is not None
        assert there is not None
        assert pair.two.caller(there) == TcpEndpoint(1, ONE).name
        pair.one.verify(THERE, here)
        with pytest.raises(PermissionError):
            SimTransport(pair.network, ONE).verify(TcpEndpoint(3, TWO), here)

    played(story)


def test_a_connection_may_be_reset_before_it_is_made() -> None:
    async def story(pair: Pair) -> None:
        with pytest.raises(ConnectionResetError):
            await pair.connect()

    played(story, {("wire.connect", 0): 1})
