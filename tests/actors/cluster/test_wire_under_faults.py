"""Over links that are cut, reset and slow, with hosts that are killed, die and come again: every message of an actor is
acknowledged once or given back, in order, and every caller learns the outcome of its request.
"""

from typing import Any

import anyio
from anyio.abc import TaskGroup, TaskStatus
from hypothesis import example, given, settings
from hypothesis import strategies as st

from perdure.actors.address import Address
from perdure.actors.cluster.outbound import Outbound
from perdure.actors.cluster.side import Moved
from perdure.actors.cluster.transport.memory import MemoryNetwork
from perdure.actors.errors import HostLost, HostSilent, HostUnreachable, NotOwner
from perdure.actors.turn import Envelope
from perdure.actors.waiting.reply import Reply
from perdure.testing.virtual_time import run_virtually

from ...support.actors.counter_actor import Add
from ...support.examples import examples
from .test_moving_hosts import A, Node, Side

STEPS = st.lists(
    st.one_of(
        st.just(("post",)),
        st.just(("ask",)),
        st.tuples(st.just("wait"), st.sampled_from([0.0, 0.01, 0.06, 0.5, 3.5])),
        st.tuples(st.just("cut"), st.just("a"), st.just("b"), st.booleans()),
        st.tuples(st.just("cut"), st.just("b"), st.just("a"), st.just(True)),
        st.sampled_from([("heal",), ("close",), ("kill b",)]),
        st.tuples(st.sampled_from(["owns", "lives"]), st.booleans()),
    ),
    max_size=40,
)


class Receiver(Side):
    """A host that answers each request and acknowledges each message at once, unless the actor has moved."""

    def receive(self, address: Address, envelope: Envelope, *, new: bool = False) -> None:
        super().receive(address, envelope, new=new)
        if self.elsewhere is not None:
            return
        if envelope.reply is not None:
            envelope.reply.succeed(envelope.body.amount)
        else:
            envelope.sender.give()


class Story:
    """A host `a` that sends, and a host `b` that receives, in several lives."""

    def __init__(self, delay_s: float) -> None:
        self.network = MemoryNetwork(delay_s)
        self.sender = Node(self.network, "a", "b")
        self.lives: list[Node] = []
        self.posts = 0
        self.replies: list[Reply] = []
        self.scope = anyio.CancelScope()  # of the life of b

    async def run(self, steps: list[Any], tasks: TaskGroup) -> None:
        await tasks.start(self.sender.run)
        await self.live(tasks)
        for step in steps:
            await self.take(step, tasks)
        # The faults are over.
        self.network.heal("a", "b")
        self.lives[-1].side.elsewhere = None
        if "b" not in self.sender.membership.others():
            self.sender.membership.come("b")
        await self.live(tasks)
        await anyio.sleep(Outbound.ANSWER_S + 10)

    async def live(self, tasks: TaskGroup) -> None:
        """Begin another life of b, as a process that is started again; the one before ends silently."""
        self.network.kill("b")
        self.scope.cancel()
        self.scope = anyio.CancelScope()
        node = Node(self.network, "b", "a")
        node.side = Receiver()
        self.lives.append(node)
        await tasks.start(self._live, node, self.scope)

    async def take(self, step: Any, tasks: TaskGroup) -> None:
        """Let the next event happen."""
        membership, b = self.sender.membership, self.lives[-1]
        match step:
            case ("post",) | ("ask",):
                self.send(step[0])
            case ("wait", seconds):
                await anyio.sleep(seconds)
            case ("cut", one, other, one_way):
                self.network.cut(one, other, one_way=one_way)
            case ("heal",):
                self.network.heal("a", "b")
            case ("close",):
                self.network.close("a", "b")
            case ("kill b",):
                await self.live(tasks)
            case ("owns", owns):
                b.side.elsewhere = None if owns else MOVED
            case ("lives", lives) if lives != ("b" in membership.others()):
                (membership.come if lives else membership.go)("b")

    def send(self, what: str) -> None:
        """Send a message to b, if it is known to live."""
        outbound = self.sender.peers.find("b")
        if outbound is None:
            return
        if what == "post":
            self.posts += 1
            outbound.deliver(A, Envelope(Add(self.posts), None, self.posts))
        else:
            self.replies.append(Reply())
            outbound.deliver(A, Envelope(Add(len(self.replies)), self.replies[-1]))

    async def _live(self, node: Node, scope: anyio.CancelScope, *, task_status: TaskStatus[None]) -> None:
        with scope:
            await node.run(task_status=task_status)


MOVED = NotOwner(A, shard=7, owner="c", epoch=9)


@settings(max_examples=examples(250), deadline=None)
@given(steps=STEPS, delay_s=st.sampled_from([0.0, 0.02, 0.4]))
# The host may come and go before its connection has begun.
@example(steps=[("lives", False), ("lives", True), ("post",), ("lives", False)], delay_s=0.0)
def test_no_message_is_lost_and_no_caller_waits_for_ever(steps: list[Any], delay_s: float) -> None:
    async def story() -> Story:
        made = Story(delay_s)
        async with anyio.create_task_group() as tasks:
            await made.run(steps, tasks)
            tasks.cancel_scope.cancel()
        return made

    made = run_virtually(story)
    acknowledged = made.sender.side.acknowledged
    returned = made.sender.side.returned_to
    posted_back = [(sender, moved) for _, sender, moved in returned if not isinstance(sender, Reply)]
    back = [sender for sender, _ in posted_back]
    # Every message is either acknowledged or given back, once.
    assert sorted(acknowledged + back) == list(range(1, made.posts + 1))
    # Returned messages have a reason, and come each time in the order in which they were sent.
    assert all(moved in (None, Moved(7, "c", 9)) for _, moved in posted_back)
    # Each life of b got the messages for the first time in the order in which they were sent.
    for life in made.lives:
        amounts = [envelope.body.amount for envelope in life.side.received if envelope.reply is None]
        first = list(dict.fromkeys(amounts))
        assert first == sorted(first)
    # Acknowledged messages were received.
    received = {e.body.amount for life in made.lives for e in life.side.received if e.reply is None}
    assert set(acknowledged) <= received
    # Every caller has its answer, or its request back, or an error that says that the outcome is unknown.
    asked_back = [reply for _, reply, _ in returned if isinstance(reply, Reply)]
    for number, reply in enumerate(made.replies, 1):
        assert reply.done() != (reply in asked_back)
        if reply.done():
            assert reply._value == number or isinstance(reply._error, HostLost | HostSilent | HostUnreachable)
