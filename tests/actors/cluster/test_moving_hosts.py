"""Hosts that come, go and move shards: a message is never lost, never done by the wrong host, and never waits for the
dead. In virtual time, over a network in memory."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from anyio.abc import TaskGroup

from perdure.actors.address import Address
from perdure.actors.cluster.inbound import Inbound
from perdure.actors.cluster.method import HostMethod
from perdure.actors.cluster.outbound import Outbound
from perdure.actors.cluster.peers import Peers
from perdure.actors.cluster.protocol import HelloFrame
from perdure.actors.cluster.side import Moved, Origin
from perdure.actors.cluster.transport.endpoint import MemoryEndpoint
from perdure.actors.cluster.transport.memory import MemoryNetwork, MemoryTransport
from perdure.actors.cluster.wire import framed
from perdure.actors.errors import HostLost, HostSilent, HostUnreachable, NotOwner
from perdure.actors.turn import Envelope
from perdure.actors.waiting.reply import Reply
from perdure.actors.waiting.watch import Watch, Watches

from ...support.actors.counter_actor import Add, counter_vocabulary
from ...support.actors.memory_wire import HandMembership, Notebook
from ...support.actors.virtually import virtually

WHO = HostMethod("who", (), str)
A = Address("counter", "a")


class Side:
    """A host that records its calls: a `HostSide`."""

    def __init__(self) -> None:
        self.received: list[Envelope] = []
        self.acknowledged: list[Any] = []
        self.returned_to: list[tuple[Any, Any, Moved | None]] = []  # body, reply or sender, the actor's move
        self.origins: dict[Any, Origin] = {}
        self.late: list[Origin] = []
        self.elsewhere: NotOwner | None = None

    def receive(self, address: Address, envelope: Envelope, *, new: bool = False) -> None:
        if self.elsewhere is None:
            self.received.append(envelope)
        elif not envelope.refuse(self.elsewhere):
            envelope.sender.refuse(self.elsewhere)

    def acknowledge(self, sender: Any) -> None:
        self.acknowledged.append(sender)

    def returned(self, address: Address, envelope: Envelope, *, new: bool, moved: Moved | None) -> None:
        self.returned_to.append((envelope.body, envelope.reply or envelope.sender, moved))

    def origin(self, sender: Any) -> Origin | None:
        return self.origins.get(sender)

    def is_late(self, origin: Origin) -> bool:
        return origin in self.late

    @property
    def bodies(self) -> list[Any]:
        return [envelope.body for envelope in self.received]


class Node:
    """A host without actors."""

    def __init__(self, network: MemoryNetwork, name: str, *others: str, patience_s: float = 0.0) -> None:
        self.membership = HandMembership(name, *others)
        self.transport = network.transport(name)
        self.peers = Peers(self.membership, counter_vocabulary(), self.transport, patience_s=patience_s)
        self.peers.answer(WHO, lambda: name)
        self.side = Side()
        self.watches = Watches()

    async def run(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        async with self.peers.running(self.side, self.watches):
            task_status.started()
            await anyio.sleep_forever()

    def to(self, name: str) -> Outbound:
        return self.peers.outbound(name)

    async def ask(self, name: str, body: Any) -> Any:
        reply = Reply()
        self.to(name).deliver(A, Envelope(body, reply))
        return await reply.wait()


class Cluster:
    def __init__(self, tasks: TaskGroup, delay_s: float = 0.001) -> None:
        self.network = MemoryNetwork(delay_s)
        self.tasks = tasks
        self.nodes: dict[str, Node] = {}
        self.patience_s = 0.0  # of commits with their database

    async def start(self, name: str, *others: str) -> Node:
        node = self.nodes[name] = Node(self.network, name, *others, patience_s=self.patience_s)
        await self.tasks.start(node.run)
        return node


@asynccontextmanager
async def cluster() -> AsyncIterator[Cluster]:
    async with anyio.create_task_group() as tasks:
        yield Cluster(tasks)
        tasks.cancel_scope.cancel()


async def pair(world: Cluster) -> tuple[Node, Node]:
    a, b = await world.start("a", "b"), await world.start("b", "a")
    await a.peers.wait_for_all()
    await b.peers.wait_for_all()
    return a, b


@virtually
async def test_a_host_that_comes_is_connected_and_one_that_goes_is_not() -> None:
    async with cluster() as world:
        a = await world.start("a")
        assert a.peers.connected
        assert await a.peers.ask_all(WHO) == []
        await world.start("b", "a")
        a.membership.come("b")
        assert not a.peers.connected
        await a.peers.wait_for_all()
        assert await a.peers.ask_all(WHO) == ["b"]
        assert a.membership.told == ["b there"]
        a.membership.go("b")
        assert a.peers.find("b") is None
        assert await a.peers.ask_all(WHO) == []


@virtually
async def test_a_caller_that_is_not_known_to_live_waits_until_it_is() -> None:
    async with cluster() as world:
        # Given a host that another one does not know yet,
        a, b = await world.start("a", "b"), await world.start("b")
        await anyio.sleep(1)
        assert not a.peers.connected
        with pytest.raises(HostUnreachable):
            await a.to("b").call(WHO)
        # when that host learns of it, then the waiting connection is taken.
        b.membership.come("a")
        await anyio.sleep(0.01)
        assert await a.to("b").call(WHO) == "b"


@virtually
async def test_a_caller_that_never_becomes_known_is_sent_away_and_comes_again() -> None:
    async with cluster() as world:
        a, b = await world.start("a", "b"), await world.start("b")
        await anyio.sleep(Inbound.GREETING_S * 3)
        assert len(b.peers._inbounds) <= 1
        b.membership.come("a")
        await anyio.sleep(Inbound.GREETING_S)
        assert a.peers.connected


@virtually
async def test_requests_to_a_host_that_dies_fail_at_once_and_messages_come_back_in_their_order() -> None:
    async with cluster() as world:
        a, b = await pair(world)
        # Given a request, a watch and messages that a host has not answered,
        errors: list[BaseException] = []

        async def ask() -> None:
            with pytest.raises(HostLost) as lost:
                await a.ask("b", Add(1))
            errors.append(lost.value)

        world.tasks.start_soon(ask)
        await anyio.lowlevel.checkpoint()
        for amount in (2, 3, 4):
            a.to("b").deliver(A, Envelope(Add(amount), None, f"sender of {amount}"))
        watch = Watch()
        a.to("b").follow(A, watch)
        await anyio.sleep(0.1)
        assert b.side.bodies == [Add(1), Add(2), Add(3), Add(4)]
        b.side.received[2].sender.give()
        await anyio.sleep(0.1)
        assert a.side.acknowledged == ["sender of 3"]
        # when it dies,
        a.membership.go("b")
        # then all of them end at that moment.
        assert watch.lost
        assert a.side.returned_to == [(Add(2), "sender of 2", None), (Add(4), "sender of 4", None)]
        await anyio.lowlevel.checkpoint()
        assert [str(error) for error in errors] == [str(HostLost("b"))]
        # Its later messages are ignored.
        b.side.received[0].reply.succeed(1)  # type: ignore[union-attr]
        b.side.received[1].sender.give()
        await anyio.sleep(1)
        assert a.side.acknowledged == ["sender of 3"]


@virtually
async def test_an_owner_is_waited_for_longer_than_it_waits_for_its_database() -> None:
    for patience_s, waits_s in ((30.0, 45.0), (300.0, 315.0)):
        async with cluster() as world:
            world.patience_s = patience_s
            a, _ = await pair(world)
            began_s = anyio.current_time()
            with pytest.raises(HostSilent):
                await a.ask("b", Add(1))
            assert waits_s <= anyio.current_time() - began_s < waits_s + 2


@virtually
async def test_what_a_dead_host_still_sends_is_not_taken() -> None:
    async with cluster() as world:
        a, b = await pair(world)
        a.to("b").deliver(A, Envelope(Add(1), None, "s"))
        # Given a message on its way, when its host dies,
        b.membership.go("a")
        await anyio.sleep(1)
        # then it does not arrive.
        assert b.side.received == []


@virtually
async def test_a_host_answers_moved_for_an_actor_of_another_and_the_sender_gets_its_message_back() -> None:
    async with cluster() as world:
        a, b = await pair(world)
        b.side.elsewhere = NotOwner(A, shard=7, owner="c", epoch=9)
        reply = Reply()
        a.to("b").deliver(A, Envelope(Add(1), reply))
        a.to("b").deliver(A, Envelope(Add(2), None, "sender"))
        await anyio.sleep(0.1)
        said = Moved(7, "c", 9)
        assert a.side.returned_to == [(Add(1), reply, said), (Add(2), "sender", said)]
        assert not reply.done()
        # The message is not sent again to the host that has refused it.
        world.network.close("a", "b")
        await anyio.sleep(1)
        assert len(a.side.returned_to) == 2


@virtually
async def test_a_message_of_a_host_that_has_lost_the_shard_of_its_sender_is_dropped() -> None:
    async with cluster() as world:
        a, b = await pair(world)
        a.side.origins = {"old": Origin(3, 5), "new": Origin(3, 6)}
        b.side.late = [Origin(3, 5)]
        for sender in ("old", "new", "nobody's"):
            a.to("b").deliver(A, Envelope(Add(len(sender)), None, sender))
        await anyio.sleep(0.1)
        assert b.side.bodies == [Add(3), Add(8)]


@virtually
async def test_messages_of_a_shard_that_was_given_away_are_not_sent_again() -> None:
    async with cluster() as world:
        a, b = await pair(world)
        a.side.origins = {"kept": Origin(1, 1), "given": Origin(2, 1)}
        world.network.cut("a", "b")
        for sender in ("kept", "given", "nobody's"):
            a.to("b").deliver(A, Envelope(Add(len(sender)), None, sender))
        await anyio.sleep(0.1)
        a.peers.withdraw({2})
        world.network.heal("a", "b")
        await anyio.sleep(1)
        assert b.side.bodies == [Add(4), Add(8)]


@virtually
async def test_a_host_that_joins_again_forgets_what_it_had_sent_and_is_let_in_under_its_new_name() -> None:
    async with cluster() as world:
        a, b = await pair(world)
        a.to("b").deliver(A, Envelope(Add(1), None, "sender"))
        await anyio.sleep(0.1)
        reply = Reply()
        a.to("b").deliver(A, Envelope(Add(2), reply))
        a.membership.join_again("a2")
        with pytest.raises(HostLost):
            await reply.wait()
        assert a.side.returned_to == []
        b.membership.come("a2")
        b.membership.go("a")
        await anyio.sleep(1)
        assert await a.to("b").call(WHO) == "b"
        assert b.side.bodies == [Add(1)]


@virtually
async def test_a_connection_that_is_made_anew_ends_the_one_before() -> None:
    async with cluster() as world:
        a, b = await pair(world)
        # Given a connection of which only the caller knows that it is over,
        world.network.cut("b", "a", one_way=True)
        world.network.cut("a", "b", one_way=True)
        before = next(iter(b.peers._inbounds))
        wire = a.to("b")._wire
        assert wire is not None
        wire.close()
        await anyio.sleep(0.2)
        assert list(b.peers._inbounds) == [before]
        # when it connects again, then the other host has one connection of it.
        world.network._cut.clear()
        await anyio.sleep(0.2)
        [now] = b.peers._inbounds
        assert now is not before
        assert a.peers.connected


@virtually
async def test_a_refusal_counts_only_where_a_verified_connection_has_been() -> None:
    async with cluster() as world:
        # Given a host whose process never listened, and one that did,
        a = await world.start("a", "never", "b")
        await world.start("b", "a")
        await anyio.sleep(1)
        assert a.membership.told == ["b there"]
        # when no process listens there any more,
        world.network.kill("b")
        await anyio.sleep(Outbound.RECONNECT_S * 3)
        # then only the second is reported as gone, once.
        assert a.membership.told == ["b there", "b gone", "b refused"]
        await anyio.sleep(1)
        assert len(a.membership.told) == 3


@virtually
async def test_a_caller_that_says_another_name_than_the_transport_knows_is_sent_away() -> None:
    async with cluster() as world:
        b = await world.start("b", "a", "c")
        liar = Notebook()
        await MemoryTransport(world.network, "c").connect(MemoryEndpoint("b"), liar)
        liar.write(framed(b.peers._codec.pack(HelloFrame("a", 1, 1))))
        await anyio.sleep(0.1)
        assert (liar.lost, liar.got) == (True, b"")


@virtually
async def test_releases_that_know_no_wire_in_common_do_not_talk() -> None:
    async with cluster() as world:
        b = await world.start("b", "a")
        later = Notebook()
        await MemoryTransport(world.network, "a").connect(MemoryEndpoint("b"), later)
        later.write(framed(b.peers._codec.pack(HelloFrame("a", 100, 200))))
        await anyio.sleep(0.1)
        assert (later.lost, later.got) == (True, b"")


@virtually
async def test_what_a_host_sends_that_has_not_noticed_a_failover_is_not_taken_until_it_has() -> None:
    async with cluster() as world:
        # Given two hosts, of which one has seen that the store has a new server,
        a, b = await pair(world)
        a.membership.timeline = b.membership.timeline = "1"
        b.membership.timeline = "2"
        b.peers.abandon()
        b.membership.tell()
        # when the other sends something, then it does not arrive,
        a.to("b").deliver(A, Envelope(Add(1), None, "sender"))
        await anyio.sleep(3)
        assert not a.peers.connected
        assert b.side.received == []
        # until it has noticed too, and has forgotten its earlier messages.
        a.membership.timeline = "2"
        a.peers.abandon()
        a.membership.tell()
        a.to("b").deliver(A, Envelope(Add(2), None, "sender"))
        await anyio.sleep(1)
        assert b.side.bodies == [Add(2)]
        assert await b.to("a").call(WHO) == "a"


@virtually
async def test_a_host_that_has_just_begun_is_heard_at_once_and_hears_others_once_it_has_seen_the_server() -> None:
    async with cluster() as world:
        a = await world.start("a", "b")
        a.membership.timeline = "2"
        b = await world.start("b", "a")
        await anyio.sleep(0.2)
        assert await b.to("a").call(WHO) == "a"
        assert not a.peers.connected
        b.membership.timeline = "2"
        b.membership.tell()
        await anyio.sleep(0.01)
        assert await a.to("b").call(WHO) == "b"
