"""The shards of a host that come and go while it runs.

The rule: what the store says happens to a shard happens here to all that is in memory of it. A shard that comes is
recovered as after a restart, before a message reaches its actors. A shard that goes takes nothing along: its last
commit is over, its new owner finds all in the store, and messages that wait here go on to it.

`actors/hosting/host.py` has one where a membership gives and takes its shards, which calls it
(`actors/cluster/keeper.py`).
"""

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, NamedTuple

import anyio
from anyio.abc import TaskStatus

from ...address import Address
from ...cluster.keeper import ShardSource
from ...cluster.peers import Peers
from ...cluster.placement import Ownership, Placement
from ...errors import HostLost
from ...reminders.loop import ReminderLoop
from ...store.contract import Store
from ...store.errors import as_store_error
from ...turn import Envelope
from ...waiting.signal import Signal
from ..committer import Committer
from ..mailroom import Mailroom
from ..probation import Probation
from ..reading.outsides import Outsides
from ..turn_loop import TurnLoop
from .gate import ShardGate, is_remote
from .recovery import Recovery

IsIn = Callable[[Address], bool]  # says whether an actor is one of some


class Gone(NamedTuple):
    """Actors that have another host now, which begins their work anew."""

    has: Callable[[Address], bool]  # whether an actor is one of them
    dead: bool  # this host was taken for dead: nothing of it counts; else it may end what it has begun


@dataclass(frozen=True, slots=True, kw_only=True)
class Sharing:
    """How a host shares its store with others."""

    source: ShardSource  # says which shards are its own
    gone: Callable[[Gone], None] = lambda gone: None  # called with actors that are not here any more
    # The work that goes on when a shard moves. `has` says whether an actor is in that shard. Begins nothing more for
    # actors that are about to be another host's, and says what goes on, for the next owner. It is given the messages
    # of this host that wait for them, each with its actor: they go to the new owner.
    lent: Callable[[IsIn, Sequence[tuple[Address, Any]]], Sequence[bytes]] = lambda has, waiting: ()
    kept: Callable[[IsIn], None] = lambda has: None  # they are not given after all
    borrowed: Callable[[Sequence[bytes]], None] = lambda jobs: None  # called with what other hosts do for actors here
    heard: Callable[[Any], None] = lambda body: None  # called with a message of another host that a commit holds


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The parts of a host that hold state of shards."""

    store: Store
    placement: Placement
    mailroom: Mailroom
    gate: ShardGate
    recovery: Recovery
    committer: Committer
    reminders: ReminderLoop
    outsides: Outsides
    turn_loop: TurnLoop
    probation: Probation
    peers: Peers


class HostedShards:
    """Keeps the shards of one host.

    Args:
        parts: Those of the host.
        sharing: The membership that calls this, and the parts that hear of actors that are not here any more.
    """

    RETRY_S = 0.5  # after a store that did not say what to recover

    def __init__(self, parts: Parts, sharing: Sharing) -> None:
        self._parts = parts
        self._sharing = sharing
        parts.gate.told = self._told
        self._opened = Signal()

    @property
    def gate(self) -> ShardGate:
        """Says which messages go to their actors now."""
        return self._parts.gate

    # Called by the membership.

    def rings(self, rings: Mapping[str, int]) -> None:
        """Learn of rings, and send on the messages that wait for their actors."""
        parts = self._parts
        news = [ring for ring, number in rings.items() if parts.placement.enter_ring(ring, number)]
        if news:
            parts.mailroom.call_strays()

    def opened(self, epochs: Mapping[int, int], jobs: Sequence[bytes] = ()) -> None:
        """Take shards over, and recover them."""
        parts = self._parts
        parts.placement.host = self._sharing.source.me
        # A shard that was given away, and came back before this host had heard that it was given.
        left = {shard: self._drop(shard) for shard in epochs if parts.placement.owner(shard) == parts.placement.host}
        parts.placement.claimed(epochs, shards=parts.store.shards)
        parts.gate.opening.update(epochs)
        if jobs:
            self._sharing.borrowed(jobs)
        for shard, sent in self._recalled(epochs.keys()).items():
            parts.gate.let_go(shard, [*sent, *left.get(shard, ())])
        parts.gate.settle()
        self._opened.set()

    async def close(self, shard: int) -> Sequence[bytes]:
        """Take no more turns for the actors of a shard, and wait until its last commit is over."""
        gate = self._parts.gate
        gate.closed.add(shard)
        gate.settle()
        self._parts.mailroom.rest(shard)
        await self._parts.committer.settled(shard)
        return self._sharing.lent(self._in(shard), self._waiting(shard))

    def reopened(self, shard: int) -> None:
        """Go on with a shard that was closed."""
        gate = self._parts.gate
        gate.closed.discard(shard)
        self._sharing.kept(self._in(shard))
        self._parts.mailroom.go_on(shard)
        gate.let_go(shard)
        self._parts.recovery.go_on()

    def given(self, shard: int, owner: Ownership) -> None:
        """Forget a shard that was closed, and send on the messages that wait for it."""
        parts = self._parts
        parts.placement.lost(shard, owner)
        left = self._drop(shard)
        parts.gate.let_go(shard, left)
        parts.outsides.lose({shard})

    def moved(self, owners: Mapping[int, Ownership | None]) -> None:
        """Learn of owners of shards that are not this host's."""
        self._parts.placement.host = self._sharing.source.me
        if news := {shard for shard, owner in owners.items() if self._is_news(shard, owner)}:
            self._follow(news)

    def set_serving(self, serving: bool) -> None:
        """Take turns, or take none."""
        self._parts.turn_loop.pause(not serving)

    def abandon(self) -> None:
        """Drop all that is in memory."""
        parts = self._parts
        error = HostLost(parts.placement.host)
        parts.gate.opening.clear()
        parts.gate.closed.clear()
        parts.gate.dismiss(error)
        parts.placement.abandoned()
        parts.committer.abandon(error)
        for _, envelope in parts.mailroom.drop(lambda activation: True):
            envelope.refuse(error)
        parts.reminders.leave_all()
        parts.peers.abandon()
        self._forget(lambda address: True, dead=True)
        parts.outsides.lose(None)

    def heard(self, body: Any) -> None:
        """Learn that a commit holds a message of another host."""
        self._sharing.heard(body)

    # Inside.

    async def join(self, *, task_status: TaskStatus[None]) -> None:
        """Have shards for as long as this is not cancelled; started once the first of them are here."""
        await self._sharing.source.run(self, task_status=task_status)

    async def run(self) -> None:
        """Recover shards that are opened, and let messages wait, until cancelled."""
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._parts.gate.run)
                await self._open_all()
        finally:
            self._parts.gate.send_back()

    async def _open_all(self) -> None:
        gate = self._parts.gate
        while True:
            await self._opened.wait()
            while opening := dict(gate.opening):
                try:
                    marked = await self._parts.store.active(tuple(opening))
                except Exception as error:
                    as_store_error(error, "reading what to recover")
                    await anyio.sleep(self.RETRY_S)
                    continue
                self._open({s: e for s, e in opening.items() if gate.opening.get(s) == e}, marked)

    def _open(self, epochs: Mapping[int, int], marked: Sequence[Address]) -> None:
        """Open shards whose actors with work in flight are known."""
        parts = self._parts
        for shard in epochs:
            del parts.gate.opening[shard]
        mine = (address for address in marked if parts.placement.shard_of(address) in epochs)
        parts.mailroom.unrecovered.update(dict.fromkeys(mine))
        parts.reminders.come(epochs.keys())
        parts.probation.take_up()  # before a message lets anything of them begin
        for shard in epochs:
            parts.gate.let_go(shard)
        parts.gate.settle()
        parts.outsides.lose(set(epochs))
        parts.recovery.go_on()

    def _drop(self, shard: int) -> Sequence[tuple[Address, Envelope]]:
        """Forget all that is in memory of a shard, and return the messages that waited for its actors."""
        parts = self._parts
        parts.gate.closed.discard(shard)
        parts.gate.opening.pop(shard, None)
        left = parts.mailroom.drop(lambda activation: activation.shard == shard)
        self._forget(lambda address: parts.placement.shard_of(address) == shard, dead=False)
        parts.reminders.leave([shard])
        parts.peers.withdraw([shard])
        return left

    def _in(self, shard: int) -> Callable[[Address], bool]:
        """Says whether an actor is in a shard."""
        return lambda address: self._parts.placement.shard_of(address) == shard

    def _waiting(self, shard: int) -> Sequence[tuple[Address, Any]]:
        """The messages of this host that wait for the actors of a shard which is closed."""
        here = (each for each in self._parts.mailroom.activations if each.shard == shard)
        boxes = [(each.address, envelope) for each in here for envelope in each.mailbox]
        room = [(each.address, each.envelope) for each in self._parts.gate.room.waiting(shard)]
        return [(address, envelope.body) for address, envelope in (*boxes, *room) if not is_remote(envelope)]

    def _told(self, shard: int) -> None:
        """Follow a shard of which another host has said where it is."""
        self._follow({shard})

    def _follow(self, shards: Set[int]) -> None:
        """Send to the new owners of shards the messages that their last ones may not have taken, and watch their actors
        there.
        """
        self._parts.outsides.lose(shards)
        for shard, sent in self._recalled(shards).items():
            # Messages that wait, and messages to the new owner from now on, must not overtake these.
            self._parts.gate.let_go(shard, sent)

    def _recalled(self, shards: Set[int]) -> Mapping[int, Sequence[tuple[Address, Envelope]]]:
        """Take back the messages to the actors of shards that have no receipt; by shard."""
        placement = self._parts.placement
        recalled: dict[int, list[tuple[Address, Envelope]]] = {shard: [] for shard in shards}
        for address, envelope in self._parts.peers.recall(lambda address: placement.shard_of(address) in shards):
            recalled[placement.shard_of(address)].append((address, envelope))
        return recalled

    def _is_news(self, shard: int, owner: Ownership | None) -> bool:
        placement = self._parts.placement
        return placement.owner(shard) != placement.host and placement.moved(shard, owner)

    def _forget(self, has: Callable[[Address], bool], *, dead: bool) -> None:
        """Drop recoveries of actors that are not here any more, and have the other parts of the engine forget them."""
        parts = self._parts
        for address in [address for address in parts.mailroom.unrecovered if has(address)]:
            del parts.mailroom.unrecovered[address]
        self._sharing.gone(Gone(has, dead))
