"""The host: one process in which actors live.

The rule: an actor takes one turn at a time, a turn never awaits, and its effects
(replies, messages, reminders) happen after its commit.

Other layers use the parts through the host, which runs their loops. The parts are
ordered, and each uses only the parts before it:

* `actors/hosting/activation.py`: an actor in memory;
* `actors/hosting/mailroom.py`: which actors are in memory, and messages to them;
* `actors/hosting/failures.py`: activations whose load, turn or commit failed, and that are tried again;
* `actors/hosting/release.py`: the effects of turns, after their commit;
* `actors/hosting/turn_loop.py`: taking turns;
* `actors/hosting/probation.py`: actors that may have ended the process before this one.

Where hosts share a store, the parts in `actors/hosting/shards/` are added: shards come and go while the host runs.

`actors/hosting/committer.py` and `actors/hosting/loader.py` call the other parts through callbacks. The parts in
`actors/hosting/reading/` read the store, and do not use activations. The engine makes a host (`runtime/engine.py`).
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from threading import get_ident
from typing import Any, NoReturn

import anyio
from anyio.abc import TaskGroup

from ...journal.journal import Journal
from ..address import Address
from ..clock import Clock
from ..cluster.changes import ChangeFeed
from ..cluster.membership import place_peers
from ..cluster.peers import Peers
from ..cluster.placement import Placement
from ..errors import ForeignLoop, ForeignThread, HostNotRunning, HostStopping, PerdureError
from ..instruments import SYSTEM, Instruments
from ..reminders.loop import ReminderLoop
from ..reminders.window import ReminderWindow
from ..store.contract import FoundItems, Inspection, Store, Stored
from ..store.errors import StoreFailed
from ..store.presence.apps import NO_NAMES, AppNames, rings_of
from ..turn import ActorType, Envelope
from ..waiting.own_task import only_exception, place_of_caller
from ..waiting.reply import Reply
from ..waiting.taskless import no_current_task
from ..waiting.watch import Watch, Watches
from .activation import Activation
from .border import Border
from .committer import Committer
from .failures import Failures
from .flight_record import FlightRecord, Flights
from .left_out import LeftOut
from .mailroom import Mailroom
from .probation import Probation
from .reading.enlisting import Enlisting
from .reading.inspector import Inspector
from .reading.listing import Lists
from .reading.outsides import Outsides
from .release import Release, Route
from .shards.gate import ShardGate
from .shards.hosted import HostedShards, Parts, Sharing
from .shards.recovery import Recovery
from .turn_loop import TurnLoop


@dataclass(frozen=True, slots=True, kw_only=True)
class HostLimits:
    """The limits of a host."""

    activations_max: int = 10_000
    mailbox_messages_max: int = 10_000
    reminders_max: int = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Precautions:
    """How a host begins."""

    flight: FlightRecord | None = None  # where it notes the turn and the attempts under way
    set_aside: Sequence[Address] = ()  # actors that are set aside before they take a turn
    # Begin no work: no recovery and no reminders. Messages are delivered, and their turns are taken.
    dormant: bool = False
    journal: Journal | None = None  # writes its log
    instruments: Instruments = SYSTEM
    sharing: Sharing | None = None  # how it shares its store; None: no other host has its part of the store
    apps: AppNames = NO_NAMES  # the apps whose actors it has
    entered: Callable[[Mapping[str, int]], None] = lambda apps: None  # gets the store's apps and their numbers


class Host:
    """Runs actors of the given types on a store.

    Args:
        clock: Its wall clock is the time of turns.
        types: The types of actors, by the types of their addresses.
        routes: By type of address, the functions that take messages to addresses
            that are not actors. They are called after the commit of the turn that
            sends the message; they may begin work, but store nothing.
        name: The host's own name in the placement table.
        peers: The other hosts of the daemon, if there are any.
        precautions: How it begins; like any host by default.
    """

    # How long actors may go on sending each other messages during a stop. The restart sends later messages again.
    STOP_S = 2.0

    def __init__(
        self,
        store: Store,
        clock: Clock,
        *,
        types: Mapping[str, ActorType],
        routes: Mapping[str, Route],
        name: str = "local",
        limits: HostLimits | None = None,
        peers: Peers | None = None,
        precautions: Precautions | None = None,
    ) -> None:
        limits = limits or HostLimits()
        self.store = store
        self.placement = Placement(name)
        self.clock = clock
        precautions = precautions or Precautions()
        sharing = precautions.sharing
        self._apps, self._entered = precautions.apps, precautions.entered
        self.instruments = precautions.instruments
        self._thread: int | None = None  # the thread in which the host was opened
        # The place in which it was opened, from which all calls come: on asyncio the event loop, elsewhere the thread.
        self._here: Callable[[], object] = get_ident
        self._home: object = None
        self._routes = routes
        self._peers = peers
        self._record = precautions.flight
        self._flight: Flights | None = sharing.notes if sharing is not None else self._record
        self._dormant = precautions.dormant
        self._watches = Watches()
        self.journal = journal = precautions.journal or Journal()
        self._counts = LeftOut(journal)
        self._mailroom = Mailroom(
            store,
            types,
            self.placement,
            activations_max=limits.activations_max,
            mailbox_messages_max=limits.mailbox_messages_max,
            peers=peers,
            not_loaded=self._not_loaded,
            journal=journal,
        )
        self._failures = Failures(
            self._mailroom,
            failing=lambda: self._committer.failing,
            stalled=self._lose_watches,
            journal=journal,
            flight=self._record,
        )
        self._reminders = ReminderLoop(
            store,
            clock,
            ReminderWindow(
                limits.reminders_max, shard_of=None if sharing is None else self.placement.shard_of_reminder
            ),
            fire=self._mailroom.fire,
            room=self._mailroom.loader.room,
            journal=journal,
        )
        self.changes = ChangeFeed(name, peers, self.instruments.chance)
        mailroom = self._mailroom
        self._release = Release(
            mailroom, routes, self._reminders, self._watches, self.changes.own, retire=self._retire, journal=journal
        )
        self.tallies = self._release.tallies
        self._committer = Committer(
            store,
            self.placement,
            release=self._release.release,
            undo=self._failures.undo,
            journal=journal,
            stopwatch=self.instruments.stopwatch,
        )
        self.turn_loop = TurnLoop(
            self._mailroom, self._failures, self._committer, routes, self.clock, self._flight, journal=journal
        )
        self.commit_times = self._committer.took_s
        self.mailbox_depths, self.watch_commits = self._mailroom.depths, self._committer.watch_with
        self._probation = Probation(
            self._record, self._flight, self._mailroom, self.placement,
            set_aside=precautions.set_aside, chance=self.instruments.chance, journal=journal,
        )  # fmt: skip
        self._inspector = Inspector(store, refusal=self._mailroom.refusal)
        self._enlisting = Enlisting(store, types, journal)
        source = sharing.source if sharing is not None else None
        self._outsides = Outsides(store, self._mailroom, self.placement, self._inspector, self._watches, source=source)
        self._recovery = Recovery(self._mailroom)
        self._gate: ShardGate | None = None  # only where shards come and go
        self._shards = self._share(sharing) if sharing is not None else None
        self._lists = Lists(store, peers)
        if peers is not None:
            self._outsides.answer(peers)

    # For the engine and the facade.

    async def open(self) -> None:
        """Take the store, and read which actors had work in flight when its last host ended.

        Raises:
            StoreError: The store cannot be opened; nothing is left open.
        """
        await self.store.open()
        try:
            self._entered(apps := await self.store.enter_apps(self._apps))
            self.placement.sized(self.store.shards, rings_of(apps, self._apps, apart=self.store.rings_apart))
            self._thread = get_ident()
            self._here = place_of_caller()
            self._home = self._here()
            if self._shards is not None:
                return
            epochs = await self.store.claim(self.placement.host, now_us=self.clock.now_us())
            self.placement.claimed(epochs, shards=self.store.shards)
            if self._peers is not None:
                place_peers(self.placement, self._peers.membership, self.store.shards)
            # Read before a message can reach an actor: an actor recovers before it does anything else.
            if not self._dormant:
                self._mailroom.unrecovered = dict.fromkeys(filter(self.placement.reaches, await self.store.active()))
                self._probation.open()
        except BaseException:
            with anyio.CancelScope(shield=True):
                await self.store.close()
            raise

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Recover, and run until the block ends; then commit all turns that can be taken, and close the store."""
        try:
            async with AsyncExitStack() as stack:
                if self._peers is not None:
                    await stack.enter_async_context(
                        self._peers.running(
                            Border(self._mailroom, self._release, self.placement, self._shards), self._watches
                        )
                    )
                tasks = await stack.enter_async_context(anyio.create_task_group())
                self._start(tasks)
                if self._shards is not None:
                    await tasks.start(self._shards.join)
                try:
                    await self._probation.set_aside()
                    yield
                    await self._stop()
                finally:
                    self._mailroom.stopping = True
                    tasks.cancel_scope.cancel()
            self.journal.flush(now=True)
            if self._record is not None:
                self._record.close()
        except Exception as error:
            self._mailroom.ended_by = only_exception(error)
            raise
        finally:
            self._wake_watchers()
            self._dismiss()
            with anyio.CancelScope(shield=True):
                await self.store.close()

    @property
    def healthy(self) -> bool:
        """Whether the host takes work and its store takes writes."""
        return not (self._mailroom.stopping or self._mailroom.hanging or self._committer.failing) and self.store.intact

    # For a thread that watches this host. Each method reads or writes one attribute.

    @property
    def commit_under_way(self) -> int | None:
        """The number of the commit that is under way; None: no commit is."""
        return self._committer.attempts if self._committer.under_way else None

    def set_hanging(self, hanging: bool) -> None:
        """Refuse new work while a commit does not end. Reads go on."""
        self._mailroom.hanging = hanging

    @property
    def activations(self) -> int:
        """How many actors are in memory."""
        return len(self._mailroom.activations)

    def activations_of(self, actor_type: str) -> int:
        """How many actors of a type are in memory."""
        return self._mailroom.activations.of_type(actor_type)

    def is_open(self, address: Address) -> bool:
        """Whether an actor is this host's and takes messages now: its shard is neither being opened nor given away."""
        return self.placement.owns(address) if self._gate is None else self._gate.is_open(address)

    @property
    def commits(self) -> int:
        """How many groups were committed since the start."""
        return self._committer.commits

    @property
    def turns(self) -> int:
        """How many turns were taken since the start."""
        return self.turn_loop.turns

    def refuse(self, because: BaseException | None = None) -> None:
        """Take no more requests of callers, and wake all watchers. Actors go on sending each other messages.

        Args:
            because: The error that has ended the host, if an error has.
        """
        self._mailroom.stopping = True
        self._mailroom.ended_by = because or self._mailroom.ended_by
        self._wake_watchers()

    async def ask(self, address: Address, body: Any, *, new: bool = False) -> Any:
        """Send a message and wait for its reply, which comes after the commit of the turn that fills it.

        Args:
            new: The caller has just made the address up, so the store cannot have an actor with it.

        Raises:
            HostNotRunning, ForeignThread, ForeignLoop, HostStopping, HostUnreachable, MailboxFull, NotOwner,
                StoreError, ActorFailed: Nothing was done.
            HostLost: The host that owns the actor went away: the outcome is unknown.
            PerdureError: The actor answered with this error.
        """
        if self._home != self._here():
            self._refuse_outsider()
        if self._mailroom.stopping or self._mailroom.hanging:
            self._mailroom.admit()
        reply = Reply()
        self._mailroom.ask(address, Envelope(body, reply), new=new)
        return await reply.wait()

    def send(self, address: Address, body: Any) -> None:
        """Send a message without a reply. A crash loses the message, so the sender must be able to send it again."""
        route = self._routes.get(address.type)
        if route is not None:
            route(address, body)
        else:
            self._mailroom.deliver(address, Envelope(body))

    async def inspect(self, address: Address) -> Inspection | None:
        """Read the outside of an actor as last committed, without activating it."""
        if self._home != self._here():
            self._refuse_outsider()
        if self._shards is None:
            activation = self._mailroom.activations.peek(address)
            if activation is not None and (outside := activation.outside) is not None:
                return outside
        return await self._outsides.inspect(address)

    async def read(self, address: Address) -> Stored | None:
        """Read the record and the log of an actor from the store, without activating it."""
        if self._home != self._here():
            self._refuse_outsider()
        return await self._outsides.read(address)

    async def items(self, address: Address, names: Sequence[str]) -> FoundItems | None:
        """Read items of an actor as last committed, and its record, without activating it."""
        if self._home != self._here():
            self._refuse_outsider()
        return await self._outsides.items(address, names)

    def watch(self, address: Address) -> AbstractContextManager[Watch]:
        """Watch an actor until the block ends. Each commit that changes its record, and a stop, wake the watcher."""
        if self._home != self._here():
            self._refuse_outsider()
        return self._outsides.watch(address)

    async def ids(self, actor_type: str, *, after: str | None, limit: int) -> Sequence[str]:
        """List ids of actors of a type, of all hosts, as a store does."""
        if self._home != self._here():
            self._refuse_outsider()
        return await self._lists.ids(actor_type, after=after, limit=limit)

    @property
    def refusal(self) -> HostStopping | None:
        """The error for callers once the host refuses them because it stops or has failed."""
        return self._mailroom.refusal() if self._mailroom.stopping else None

    @property
    def lists(self) -> Lists:
        """Lists and counts of actors, and the audit, of all hosts.

        Raises:
            HostNotRunning, ForeignThread: As for `ask`.
        """
        if self._home != self._here():
            self._refuse_outsider()
        return self._lists

    def _refuse_outsider(self) -> NoReturn:
        """Refuse a caller that calls before the host was opened, or from another thread or event loop."""
        if self._thread is None:
            raise HostNotRunning
        if self._mailroom.stopping:
            raise self._mailroom.refusal()
        raise ForeignThread if self._thread != get_ident() else ForeignLoop

    def _start(self, tasks: TaskGroup) -> None:
        for loop in (
            self._committer.run,
            self._mailroom.loader.run,
            self._inspector.run,
            self.turn_loop.run,
            self._failures.run,
            self._counts.run,
            self._enlisting.run,
        ):
            tasks.start_soon(loop)
        if self._peers is not None:
            tasks.start_soon(self.changes.run)
        if not self._dormant:
            tasks.start_soon(self._reminders.run)
            tasks.start_soon(self._recovery.run)
            tasks.start_soon(self._probation.run)
        if self._shards is not None:
            tasks.start_soon(self._shards.run)
        if self._flight is not None:
            tasks.start_soon(self._flight.run)

    def _share(self, sharing: Sharing) -> HostedShards:
        """Make the object that opens and closes this host's shards as they come and go."""
        assert self._peers is not None, "hosts that share a store talk to each other"
        deliver, journal = self._mailroom.ask, self.journal
        gate = self._gate = self._mailroom.gate = ShardGate(self.placement, self._peers, deliver, journal)
        self._recovery = Recovery(self._mailroom, may_wake=gate.is_open)
        parts = Parts(
            store=self.store,
            placement=self.placement,
            mailroom=self._mailroom,
            gate=gate,
            recovery=self._recovery,
            committer=self._committer,
            reminders=self._reminders,
            outsides=self._outsides,
            turn_loop=self.turn_loop,
            probation=self._probation,
            peers=self._peers,
            notes=sharing.notes,
        )
        return HostedShards(parts, sharing)

    async def _stop(self) -> None:
        """Take the turns that can be taken, and make all active marks true."""
        self.refuse()
        mailroom = self._mailroom
        if not self._committer.failing:
            self._failures.retry_now()
        with anyio.move_on_after(self.STOP_S):
            while mailroom.runnable or not self._committer.idle or len(mailroom.loader) > 0:
                if self._committer.failing:
                    break  # no more turns can be committed; marked actors recover after the restart
                await anyio.sleep(0.001)
        self.turn_loop.halt()
        if self._committer.failing:
            return
        for activation in mailroom.activations:
            if activation.idle and activation.active and not activation.in_flight:
                self._retire(activation)
        await self._committer.drain()

    def _dismiss(self) -> None:
        """Answer all callers that still wait when the host has ended."""
        self._inspector.close()
        for taken in self._committer.unfinished():
            error = StoreFailed("the host stopped while this was being written; it may have happened")
            for envelope in taken.envelopes:
                envelope.refuse(error)
        if self._gate is not None:
            self._gate.dismiss(self._mailroom.refusal())
        for activation in (*self._mailroom.activations, *self._failures.parked):
            for envelope in activation.take():
                envelope.refuse(self._mailroom.refusal())
            if activation.actor is not None:
                with no_current_task():
                    activation.actor.close()

    def _wake_watchers(self) -> None:
        if self._peers is not None:
            self._peers.wake_watchers()
        self._watches.wake()
        self.changes.wake()

    def _lose_watches(self, address: Address) -> None:
        """Let the watchers of an actor inspect it again."""
        for watch in self._watches.get(address, ()):
            watch.lose()

    def _not_loaded(self, activation: Activation, error: PerdureError) -> None:
        self._failures.not_loaded(activation, error)

    def _retire(self, activation: Activation) -> None:
        if self._gate is None or activation.shard not in self._gate.closed:
            self._committer.retire(activation, self.clock.now_us())
