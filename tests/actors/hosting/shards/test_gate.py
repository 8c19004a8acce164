"""A message goes to its actor, to the owner of its shard, back to its sender, or it waits."""

from typing import Any, ClassVar, cast

import anyio
import pytest

from perdure.actors.address import Address
from perdure.actors.cluster.peers import Peers
from perdure.actors.cluster.placement import Ownership, Placement
from perdure.actors.errors import HostAwaited, NotOwner, WaitingRoomFull
from perdure.actors.hosting.activation import Activation
from perdure.actors.hosting.shards.gate import ShardGate
from perdure.actors.hosting.shards.waiting_room import WaitingRoom
from perdure.actors.turn import RECOVER, Envelope, ReminderDue
from perdure.actors.waiting.reply import Reply
from perdure.journal.journal import Journal
from perdure.testing.virtual_time import run_virtually

from ....support.actors.counter_actor import counter
from ....support.actors.fake_outbound import FakePeers

A = counter("a")


class RemoteReply(Reply):
    """A reply to a caller in another host."""

    remote: ClassVar[bool] = True


class Bench:
    """A gate in front of a list."""

    def __init__(self, messages_max: int = WaitingRoom.MESSAGES_MAX) -> None:
        self.placement = Placement("me")
        self.placement.sized(8)
        self.shard = self.placement.shard_of(A)
        self.peers = FakePeers("other", "third")
        self.came: list[tuple[Address, Any]] = []
        self.gate = ShardGate(
            self.placement,
            cast(Peers, self.peers),
            self.deliver,
            Journal(),
            room=WaitingRoom(messages_max=messages_max),
        )

    def deliver(self, address: Address, envelope: Envelope, *, new: bool = False) -> None:
        """Deliver a message as the mailroom does."""
        if self.gate.holds(address, envelope, new=new):
            return
        if (owner := self.placement.elsewhere(address)) is not None:
            self.peers.hosts[owner].deliver(address, envelope)
        else:
            self.came.append((address, envelope.body))

    def own(self) -> None:
        self.placement.claimed({self.shard: self.placement.known_epoch(self.shard) + 1}, shards=8)

    def move(self, host: str) -> None:
        self.placement.lost(self.shard, Ownership(host=host, epoch=self.placement.known_epoch(self.shard) + 1))

    def sent_to(self, host: str) -> list[Any]:
        return [body for _, body in self.peers.hosts[host].delivered]


def test_a_message_for_an_open_shard_goes_at_once() -> None:
    bench = Bench()
    bench.own()
    assert not bench.gate.holds(A, Envelope("now"))
    assert not bench.gate.unsettled


@pytest.mark.parametrize("state", ["nobody", "opening", "closed", "unknown host", "not connected"])
def test_a_message_that_cannot_go_waits_until_it_can(state: str) -> None:
    async def story() -> None:
        bench = Bench()
        match state:
            case "opening" | "closed":
                bench.own()
                bench.gate.opening = {bench.shard: 1} if state == "opening" else {}
                bench.gate.closed = {bench.shard} if state == "closed" else set()
            case "unknown host":
                bench.move("fourth")
            case "not connected":
                bench.move("other")
                bench.peers.hosts["other"].connected = False
        for body in ("first", "second"):
            bench.deliver(A, Envelope(body, Reply()))
        assert bench.gate.unsettled
        assert bench.came == []
        bench.gate.opening, bench.gate.closed = {}, set()
        bench.own()
        bench.gate.let_go(bench.shard)
        assert bench.came == [(A, "first"), (A, "second")]
        assert not bench.gate.unsettled

    run_virtually(story)


def test_what_an_actor_sends_to_a_host_that_is_not_connected_is_left_to_the_connection() -> None:
    bench = Bench()
    bench.move("other")
    bench.peers.hosts["other"].connected = False
    bench.deliver(A, Envelope("from an actor"))
    assert bench.sent_to("other") == ["from an actor"]


def test_nothing_overtakes_what_waits_for_the_same_shard() -> None:
    async def story() -> None:
        bench = Bench()
        bench.move("other")
        bench.peers.hosts["other"].connected = False
        bench.deliver(A, Envelope("asked", Reply()))
        bench.deliver(A, Envelope("from an actor"))
        bench.peers.hosts["other"].connected = True
        bench.deliver(A, Envelope("later"))
        bench.gate.let_go(bench.shard)
        assert bench.sent_to("other") == ["asked", "from an actor", "later"]

    run_virtually(story)


def test_a_message_of_another_host_is_not_sent_on_when_the_shard_is_a_third_one_s() -> None:
    async def story() -> None:
        bench = Bench()
        reply = RemoteReply()
        bench.deliver(A, Envelope("asked", reply))
        bench.move("third")
        bench.gate.let_go(bench.shard)
        assert bench.sent_to("third") == []
        with pytest.raises(NotOwner):
            await reply.wait()
        with pytest.raises(NotOwner):
            bench.gate.check(A)

    run_virtually(story)


def test_what_the_new_owner_finds_in_the_store_is_not_sent_to_it() -> None:
    async def story() -> None:
        bench = Bench()
        gone = Activation(counter("sender"), 0)
        gone.dropped = True
        for envelope in (Envelope(RECOVER), Envelope(ReminderDue("r", 1)), Envelope("sent", None, gone)):
            bench.deliver(A, envelope)
        bench.deliver(A, Envelope("told"))
        bench.move("other")
        bench.gate.let_go(bench.shard)
        assert bench.sent_to("other") == ["told"]

    run_virtually(story)


def test_a_reminder_that_was_due_while_its_shard_was_closed_comes_when_it_is_opened_again() -> None:
    async def story() -> None:
        bench = Bench()
        bench.own()
        bench.gate.closed = {bench.shard}
        due = ReminderDue("r", 1)
        bench.deliver(A, Envelope(due))
        bench.gate.closed = set()
        bench.gate.let_go(bench.shard)
        assert bench.came == [(A, due)]

    run_virtually(story)


def test_a_caller_learns_after_ten_seconds_that_no_host_has_the_shard() -> None:
    took: list[float] = []

    async def story() -> None:
        bench = Bench()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(bench.gate.run)
            reply = Reply()
            bench.deliver(A, Envelope("asked", reply))
            bench.deliver(A, Envelope("told"))
            began_s = anyio.current_time()
            with pytest.raises(HostAwaited, match="no living host"):
                await reply.wait()
            took.append(anyio.current_time() - began_s)
            # Messages of actors still wait.
            bench.own()
            await anyio.sleep(1)
            assert bench.came == [(A, "told")]
            tasks.cancel_scope.cancel()

    run_virtually(story)
    assert took == [pytest.approx(10, abs=0.2)]


def test_callers_that_are_too_many_are_refused_and_the_log_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        # Given a shard on its way for which the allowed number of callers wait,
        bench = Bench(messages_max=2)
        for body in ("first", "second"):
            bench.deliver(A, Envelope(body, Reply()))
        # when more come, then they are refused,
        for _ in range(20):
            with pytest.raises(WaitingRoomFull):
                bench.deliver(A, Envelope("too many", Reply()))
        # and the waiting ones still wait, also when the shard arrives with one more ahead of them.
        bench.gate.let_go(bench.shard, [(A, Envelope("from the last owner"))])
        bench.own()
        bench.gate.let_go(bench.shard)
        assert bench.came == [(A, "from the last owner"), (A, "first"), (A, "second")]

    run_virtually(story)
    records = [vars(record) for record in caplog.records]
    assert {record["event"] for record in records} == {"limit_reached"}
    assert {record["limit"] for record in records} == {"waiting_messages_max"}
    assert len(records) == 10  # the burst of the line
