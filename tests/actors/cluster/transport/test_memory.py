"""A network in memory behaves like sockets: in order, with delays, and it can be cut."""

import asyncio
from contextvars import ContextVar

import anyio
import pytest

from perdure.actors.cluster.transport.endpoint import MemoryEndpoint
from perdure.actors.cluster.transport.memory import SILENT_S, MemoryNetwork, MemoryTransport

from ....support.actors.memory_wire import Notebook
from ....support.actors.virtually import virtually

WHOSE: ContextVar[str] = ContextVar("whose", default="nobody's")


class Pair:
    """A connection from a to b."""

    def __init__(self, network: MemoryNetwork) -> None:
        self.network = network
        self.caller = Notebook()
        self.answered: list[Notebook] = []

    @property
    def callee(self) -> Notebook:
        return self.answered[-1]

    async def listen(self) -> None:
        await MemoryTransport(self.network, "b").listen(self._answer)

    async def connect(self) -> None:
        await MemoryTransport(self.network, "a").connect(MemoryEndpoint("b"), self.caller)

    def _answer(self) -> Notebook:
        self.answered.append(Notebook())
        return self.answered[-1]


async def connected(delay_s: float = 0.0) -> Pair:
    pair = Pair(MemoryNetwork(delay_s))
    await pair.listen()
    await pair.connect()
    return pair


@virtually
async def test_bytes_come_in_their_order_and_after_the_delay() -> None:
    pair = await connected(delay_s=0.5)
    began_s = anyio.current_time()
    pair.caller.write(b"one ")
    await anyio.sleep(0.1)
    pair.caller.write(b"two")
    await anyio.sleep(0.45)
    assert (pair.callee.got, anyio.current_time() - began_s) == (b"one ", pytest.approx(0.55))
    await anyio.sleep(0.1)
    assert pair.callee.got == b"one two"
    pair.callee.write(b"and back")
    await anyio.sleep(0.6)
    assert pair.caller.got == b"and back"


@virtually
async def test_a_caller_is_known_by_its_name() -> None:
    pair = await connected()
    assert pair.callee.connection is not None
    assert MemoryTransport(pair.network, "b").caller(pair.callee.connection) == "a"


@virtually
async def test_each_end_learns_that_the_other_has_closed() -> None:
    pair = await connected()
    pair.callee.close()
    await anyio.sleep(0.01)
    assert pair.caller.lost
    assert pair.callee.lost
    pair.caller.write(b"into the void")
    await anyio.sleep(0.01)
    assert pair.callee.got == b""


@virtually
async def test_a_cut_link_swallows_bytes_that_are_sent_or_under_way_without_an_error() -> None:
    pair = await connected(delay_s=0.5)
    pair.caller.write(b"on its way")
    await anyio.sleep(0.1)
    pair.network.cut("a", "b")
    pair.caller.write(b"sent")
    await anyio.sleep(1)
    assert (pair.callee.got, pair.caller.lost, pair.callee.lost) == (b"", False, False)
    with pytest.raises(TimeoutError):
        await Pair(pair.network).connect()
    # Once it is healed the connection is reset, because bytes are missing, and a new one works.
    pair.network.heal("a", "b")
    await anyio.sleep(0.1)
    assert (pair.caller.lost, pair.callee.lost) == (True, True)
    pair.caller = Notebook()
    await pair.connect()
    pair.caller.write(b"again")
    await anyio.sleep(1)
    assert pair.callee.got == b"again"


@virtually
async def test_a_link_that_is_cut_one_way_lets_the_other_way_through() -> None:
    pair = await connected()
    pair.network.cut("a", "b", one_way=True)
    pair.caller.write(b"lost")
    pair.callee.write(b"comes")
    await anyio.sleep(0.1)
    assert (pair.caller.got, pair.callee.got) == (b"comes", b"")
    # Later bytes do not come either, until there is a new connection: TCP waits for the missing ones.
    pair.network.heal("a", "b")
    await anyio.sleep(0.1)
    assert pair.caller.lost


@virtually
async def test_a_connection_that_stays_cut_is_over_after_a_while_and_not_before() -> None:
    for one_way in (False, True):
        pair = await connected()
        pair.network.cut("a", "b", one_way=one_way)
        await anyio.sleep(SILENT_S - 0.1)
        assert (pair.caller.lost, pair.callee.lost) == (False, False)
        await anyio.sleep(0.2)
        assert (pair.caller.lost, pair.callee.lost) == (True, True)


@virtually
async def test_a_cut_over_which_nothing_was_lost_leaves_the_connection() -> None:
    pair = await connected()
    pair.network.cut("a", "b")
    pair.network.heal("a", "b")
    pair.caller.write(b"hello")
    await anyio.sleep(0.1)
    assert pair.callee.got == b"hello"


@virtually
async def test_a_reset_is_seen_by_both() -> None:
    pair = await connected()
    pair.network.close("a", "b")
    await anyio.sleep(0.1)
    assert (pair.caller.lost, pair.callee.lost) == (True, True)


@virtually
async def test_a_host_that_is_killed_learns_nothing_and_does_not_listen() -> None:
    pair = await connected()
    pair.network.kill("b")
    await anyio.sleep(0.1)
    assert (pair.caller.lost, pair.callee.lost) == (True, False)
    with pytest.raises(ConnectionRefusedError):
        await pair.connect()


@virtually
async def test_a_listener_that_has_closed_takes_no_connection_and_does_not_close_its_successor() -> None:
    network = MemoryNetwork()
    first = await MemoryTransport(network, "b").listen(asyncio.Protocol)
    await MemoryTransport(network, "b").listen(asyncio.Protocol)
    first.close()
    await Pair(network).connect()


@virtually
async def test_each_end_runs_in_the_context_of_its_own_host() -> None:
    seen: list[str] = []

    class Marks(Notebook):
        def data_received(self, data: bytes) -> None:
            seen.append(f"got, {WHOSE.get()}")

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            seen.append(f"made, {WHOSE.get()}")

        def connection_lost(self, error: Exception | None) -> None:
            seen.append(f"lost, {WHOSE.get()}")

    network = MemoryNetwork()
    WHOSE.set("b's")
    await MemoryTransport(network, "b").listen(Marks)
    WHOSE.set("a's")
    caller = Marks()
    await MemoryTransport(network, "a").connect(MemoryEndpoint("b"), caller)
    WHOSE.set("nobody's")
    caller.write(b"x")
    await anyio.sleep(0.01)
    caller.close()
    await anyio.sleep(0.01)
    assert sorted(seen) == ["got, b's", "lost, a's", "lost, b's", "made, a's", "made, b's"]
