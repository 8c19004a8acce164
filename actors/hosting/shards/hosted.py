"""The shards of a host that come and go while it runs.

The rule: the actors of a shard in memory follow the shard's state in the store. A shard that comes is recovered as
after a restart, before a message reaches its actors. A shard leaves no state here: its last commit is over, its new
owner reads the actors from the store, and messages that wait here go on to the new owner.

`actors/hosting/host.py` makes it where a membership gives and takes the host's shards; the membership calls it
(`actors/cluster/keeper.py`).
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence, Set
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
from .flights import FlightNotes
from .gate import ShardGate, is_remote
from .inquest import Suspected
from .recovery import Recovery

IsIn = Callable[[Address], bool]  # whether an actor is one of a set


class Gone(NamedTuple):
    """Actors that another host owns now; that host begins their work anew."""

    has: Callable[[Address], bool]  # whether an actor is one of them
    dead: bool  # this host was taken for dead: its work is void; False: it may end the work that it has begun


@dataclass(frozen=True, slots=True, kw_only=True)
class Sharing:
    """How a host shares its store with others."""

    source: ShardSource  # knows the host's shards
    notes: FlightNotes | None = None  # the work under way here
    gone: Callable[[Gone], None] = lambda gone: None  # called with actors that have left
    # Called before a shard moves; `has` tells whether an actor is in that shard. Begins no more work for its actors,
    # and returns the jobs that go on here, for the next owner. `waiting` has the messages of this host that wait for
    # these actors, each with its actor: they go to the new owner.
    lent: Callable[[IsIn, Sequence[tuple[Address, Any]]], Sequence[bytes]] = lambda has, waiting: ()
    kept: Callable[[IsIn], None] = lambda has: None  # the shard is not given after all
    borrowed: Callable[[Sequence[bytes]], None] = lambda jobs: None  # gets jobs under way elsewhere


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The parts of a host that hold state of its shards."""

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
    notes: FlightNotes | None = None


class HostedShards:
    """Keeps the shards of one host.

    Args:
        parts: The parts of the host.
        sharing: The membership that calls this object, and the functions that are called for actors that leave.
    """

    RETRY_S = 0.5  # after a failed read of the actors to recover

    def __init__(self, parts: Parts, sharing: Sharing) -> None:
        self._parts = parts
        self._sharing = sharing
        parts.gate.told = self._told
        if (notes := parts.notes) is not None:
            parts.mailroom.notes = notes
            notes.attach(parts.placement, parts.mailroom.resume, lambda: tuple(parts.mailroom.unrecovered))
        self._opened = Signal()
        self._lost: set[int] = set()  # the opening shards whose owner has died
        self._found: Sequence[Suspected] = ()  # the suspects in opening shards

    @property
    def gate(self) -> ShardGate:
        """The gate, which says which messages go to their actors now."""
        return self._parts.gate

    # Called by the membership.

    def rings(self, rings: Mapping[str, int]) -> None:
        """Take in rings that are known now, and send on the messages that wait for their actors."""
        parts = self._parts
        news = [ring for ring, number in rings.items() if parts.placement.enter_ring(ring, number)]
        if news:
            parts.mailroom.call_strays()

    def opened(
        self, epochs: Mapping[int, int], jobs: Sequence[bytes] = (), *, lost: Collection[int] = frozenset()
    ) -> None:
        """Take shards over, and recover them."""
        parts = self._parts
        parts.placement.host = self._sharing.source.me
        # A shard that was given away, and came back before this host was notified that it was given.
        left = {shard: self._drop(shard) for shard in epochs if parts.placement.owner(shard) == parts.placement.host}
        parts.placement.claimed(epochs, shards=parts.store.shards)
        parts.gate.opening.update(epochs)
        self._lost.update(lost)
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
        """Drop a shard that was closed, and send on the messages that wait for it."""
        parts = self._parts
        parts.placement.lost(shard, owner)
        left = self._drop(shard)
        parts.gate.let_go(shard, left)
        parts.outsides.lose({shard})

    def moved(self, owners: Mapping[int, Ownership | None]) -> None:
        """Take in the owners of shards that other hosts own."""
        self._parts.placement.host = self._sharing.source.me
        if news := {shard for shard, owner in owners.items() if self._is_news(shard, owner)}:
            self._follow(news)

    def set_serving(self, serving: bool) -> None:
        """Take turns, or stop taking turns."""
        self._parts.turn_loop.pause(not serving)

    def abandon(self) -> None:
        """Drop all actors in memory."""
        parts = self._parts
        error = HostLost(parts.placement.host)
        parts.gate.opening.clear()
        parts.gate.closed.clear()
        self._lost.clear()
        parts.gate.dismiss(error)
        parts.placement.abandoned()
        parts.committer.abandon(error)
        for _, envelope in parts.mailroom.drop(lambda activation: True):
            envelope.refuse(error)
        if parts.notes is not None:
            parts.notes.leave(lambda address: True, None)
            parts.probation.leave(lambda address: True)
        parts.reminders.leave_all()
        parts.peers.abandon()
        self._forget(lambda address: True, dead=True)
        parts.outsides.lose(None)

    # Inside.

    async def join(self, *, task_status: TaskStatus[None]) -> None:
        """Have shards until cancelled; started once the first shards are here."""
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
                marked = await self._read(opening)
                if marked is None:
                    await anyio.sleep(self.RETRY_S)
                    continue
                self._open({s: e for s, e in opening.items() if gate.opening.get(s) == e}, marked)

    async def _read(self, opening: Mapping[int, int]) -> Sequence[Address] | None:
        """Read the actors of shards with work in flight, and the suspects; None: the store could not be read."""
        found: dict[str, Any] = {"suspects": ()}

        async def read(name: str, call: Callable[[], Awaitable[Any]]) -> None:
            try:
                found[name] = await call()
            except Exception as error:
                found["error"] = as_store_error(error, "reading what to recover")

        async with anyio.create_task_group() as reading:  # both at once, because callers wait
            reading.start_soon(read, "marked", lambda: self._parts.store.active(tuple(opening)))
            if (notes := self._parts.notes) is not None:
                reading.start_soon(read, "suspects", lambda: notes.look(opening, frozenset(self._lost)))
        self._found = found["suspects"]
        return found["marked"] if "error" not in found else None

    def _open(self, epochs: Mapping[int, int], marked: Sequence[Address]) -> None:
        """Open shards, once their actors with work in flight are known."""
        parts = self._parts
        for shard in epochs:
            del parts.gate.opening[shard]
        mine = (address for address in marked if parts.placement.shard_of(address) in epochs)
        parts.mailroom.unrecovered.update(dict.fromkeys(mine))
        if parts.notes is not None:
            found = [each for each in self._found if each.shard in epochs]
            parts.notes.come(epochs, self._lost, found)
            parts.probation.come([(each.address, each.suspect) for each in found])
        self._lost.difference_update(epochs)
        parts.reminders.come(epochs.keys())
        parts.probation.take_up(parts.gate.is_open)  # before a message lets work of these actors begin
        for shard in epochs:
            parts.gate.let_go(shard)
        parts.gate.settle()
        parts.outsides.lose(set(epochs))
        parts.recovery.go_on()

    def _drop(self, shard: int) -> Sequence[tuple[Address, Envelope]]:
        """Drop the actors of a shard in memory, and return the messages that waited for them."""
        parts = self._parts
        parts.gate.closed.discard(shard)
        parts.gate.opening.pop(shard, None)
        self._lost.discard(shard)
        left = parts.mailroom.drop(lambda activation: activation.shard == shard)
        if parts.notes is not None:
            parts.notes.leave(self._in(shard), shard)
            parts.probation.leave(self._in(shard))
        self._forget(lambda address: parts.placement.shard_of(address) == shard, dead=False)
        parts.reminders.leave([shard])
        parts.peers.withdraw([shard])
        return left

    def _in(self, shard: int) -> Callable[[Address], bool]:
        """Make the function that tells whether an actor is in a shard."""
        return lambda address: self._parts.placement.shard_of(address) == shard

    def _waiting(self, shard: int) -> Sequence[tuple[Address, Any]]:
        """The messages of this host that wait for the actors of a shard which is closed."""
        here = (each for each in self._parts.mailroom.activations if each.shard == shard)
        boxes = [(each.address, envelope) for each in here for envelope in each.mailbox]
        room = [(each.address, each.envelope) for each in self._parts.gate.room.waiting(shard)]
        return [(address, envelope.body) for address, envelope in (*boxes, *room) if not is_remote(envelope)]

    def _told(self, shard: int) -> None:
        """Follow a shard whose owner another host has reported."""
        self._follow({shard})

    def _follow(self, shards: Set[int]) -> None:
        """Send the new owners of shards the messages that the last owners may not have taken, and watch their actors
        there.
        """
        self._parts.outsides.lose(shards)
        for shard, sent in self._recalled(shards).items():
            # Waiting messages, and later messages to the new owner, must not overtake these.
            self._parts.gate.let_go(shard, sent)

    def _recalled(self, shards: Set[int]) -> Mapping[int, Sequence[tuple[Address, Envelope]]]:
        """Take back the messages without a receipt to the actors of shards; by shard."""
        placement = self._parts.placement
        recalled: dict[int, list[tuple[Address, Envelope]]] = {shard: [] for shard in shards}
        for address, envelope in self._parts.peers.recall(lambda address: placement.shard_of(address) in shards):
            recalled[placement.shard_of(address)].append((address, envelope))
        return recalled

    def _is_news(self, shard: int, owner: Ownership | None) -> bool:
        placement = self._parts.placement
        return placement.owner(shard) != placement.host and placement.moved(shard, owner)

    def _forget(self, has: Callable[[Address], bool], *, dead: bool) -> None:
        """Drop recoveries of actors that have left, and let the other parts of the engine forget them."""
        parts = self._parts
        for address in [address for address in parts.mailroom.unrecovered if has(address)]:
            del parts.mailroom.unrecovered[address]
        self._sharing.gone(Gone(has, dead))
