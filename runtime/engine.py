"""An engine: an app, a store and a host, running inside an anyio program.

The rule: an engine runs once. To run again, make another one on the same store.

    async with Engine(app, data="perdure.db") as engine:
        print(await engine.client.run(greet, input="world"))

Leaving the block stops gracefully: no new requests, running activities get a
grace period, and everything is on disk.

On asyncio an engine lives in a task of its own, so that it can be entered in one
task and left in another: fixtures, start and stop hooks (`await engine.start()`,
`await engine.stop()`), cells of a notebook (docs/design/embedding.md).
"""

import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self

import anyio

from ..actors.address import FIRST_RING, Address
from ..actors.clock import Clock, SystemClock
from ..actors.cluster.keeper import ShardSource
from ..actors.cluster.leases.shared import SharedPeers
from ..actors.cluster.membership import FixedMembership, name_of
from ..actors.cluster.peers import Peers
from ..actors.hosting.flight_record import record_of
from ..actors.hosting.host import Host, HostLimits, Precautions
from ..actors.hosting.release import Route
from ..actors.hosting.shards.flights import FlightNotes
from ..actors.hosting.shards.hosted import Gone, Sharing
from ..actors.instruments import Instruments
from ..actors.on_database import share_of, store_on
from ..actors.store.contract import Store
from ..actors.store.durability import Durability
from ..actors.store.errors import StoreFailed, sole_store_error
from ..actors.store.memory import MemoryStore
from ..actors.store.part import WHOLE, Part
from ..actors.store.postgres.url import is_url
from ..actors.store.presence.apps import AppNames
from ..actors.store.sqlite.store import SqliteStore
from ..actors.turn import ActorType
from ..actors.waiting.own_task import OwnTask, on_asyncio
from ..journal.journal import Journal
from .activities.workshop import SystemWorkshop
from .authoring.app import App
from .directory import WORKFLOW, AppDirectory
from .errors import AppError, AsyncioNeeded, EngineUsed
from .hosted_app import EngineParts, HostedApp
from .instance.surroundings import Propagate
from .observing.observer import Observer, Tracing
from .operations.client import Client
from .operations.facade import Facade
from .operations.management import InstanceOperations
from .operations.steering.embedded import EmbeddedOperations
from .settings import Opening, OtherApp, Settings
from .words import vocabulary
from .workers.items import ItemWriter

IN_MEMORY = ":memory:"

NOTES_LOGGER = "perdure.runtime.instance.turn"  # of the notes of turns

HEARD_S = 1.0  # within this all hosts of a store know that a shard was given: two beats
logger = logging.getLogger(__name__)


class Engine:
    """Hosts an app's workflows and activities.

    Args:
        app: None hosts no code: instances wait until a process that has their code opens the store.
        data: A SQLite file, the address of a PostgreSQL database (`postgresql://user@host/database`), ":memory:" for
            nothing that outlives the engine, or a store of your own.
        durability: What a commit survives; FULL is power loss, RELAXED only a crash of the process. On PostgreSQL it is
            always FULL.
        propagate: Writes histories for remote workers that may see them (`rpc/wire/propagation.py`).
        membership: Which of the hosts of a daemon this engine is; None is a daemon of one. `data` is the path of the
            whole store, of which it takes its part.
        opening: Options of the start.
    """

    # Makes, for an app id, the writer of work items for the workers of other hosts. None: this engine gives them no
    # work.
    writer_for: ClassVar[partial[ItemWriter] | None] = None

    def __init__(
        self,
        app: App | None = None,
        *,
        data: str | Path | Store = "perdure.db",
        durability: Durability = Durability.FULL,
        settings: Settings | None = None,
        clock: Clock | None = None,
        propagate: Propagate = lambda instance_id, events, scope, received: None,
        membership: FixedMembership | None = None,
        opening: Opening | None = None,
    ) -> None:
        self.app = app
        self.settings = settings or Settings()
        self.app_id = self.settings.app_id_for(app.name if app is not None else None)
        self.stop_grace_s = self.settings.stop_grace_s  # a program that has used part of it may lower it
        self._clock = clock or SystemClock()
        opening = opening or Opening()
        part = membership.part if membership is not None else WHOLE
        self._membership = membership
        self.store = _store(data, durability, part, opening.instruments)
        self._every = opening.dormant and not opening.others and self.app is None and self.settings.app_id is None
        names = AppNames(every=True) if self._every else _names_of(self, opening.others)
        shared = self._share(opening, names.names)
        self.peers = shared.peers if shared is not None else _peers_of(membership)
        self._source: ShardSource | None = shared.membership if shared is not None else None
        self.flight = flight = record_of(self.store, WORKFLOW, self.settings.slots) if opening.flight_record else None
        self._notes = FlightNotes(shared.book) if shared is not None and shared.book is not None else None
        self._journal = journal = Journal(NOTES_LOGGER)
        self._visited: dict[str, HostedApp] = {}  # apps of other hosts that were requested here
        self._parts = parts = EngineParts(
            store=self.store,
            settings=self.settings,
            clock=self._clock,
            instruments=opening.instruments,
            journal=journal,
            flight=self._notes or flight,
            workshop=opening.workshop or SystemWorkshop(opening.folder),
            peers=self.peers,
            source=self._source,
            has_app=shared.membership.has_app if shared is not None else lambda host, app_id: True,
            seen=lambda: shared.membership.seen() if shared is not None else None,
            send=self._send,
        )
        self.directory = AppDirectory(self.app_id)
        own = OtherApp(self.app_id, app, propagate=propagate, items=opening.items)
        self.apps: dict[str, HostedApp] = {
            each.app_id: HostedApp(
                each.app,
                self.directory.of(each.app_id),
                parts,
                propagate=each.propagate,
                items=each.items or self.writer_for,
            )
            for each in (own, *opening.others)
        }
        self._first = first = self.apps[self.app_id]
        self._types: dict[str, ActorType] = {}
        self._routes: dict[str, Route] = {}
        self._host = Host(
            self.store,
            self._clock,
            types=self._types,
            routes=self._routes,
            limits=HostLimits(
                activations_max=0 if self.settings.always_replay else self.settings.activations_max,
                mailbox_messages_max=self.settings.mailbox_messages_max,
            ),
            name=name_of(membership.index) if membership is not None else "local",
            peers=self.peers,
            precautions=Precautions(
                flight=flight,
                set_aside=[Address(WORKFLOW, instance_id) for instance_id in opening.set_aside],
                dormant=opening.dormant,
                journal=journal,
                instruments=opening.instruments,
                sharing=self._sharing(self._source) if self._source is not None else None,
                apps=names,
                entered=self._enter,
            ),
        )
        self.directory.rings = lambda: self._host.placement.rings if self._running else ()
        for hosted in self.apps.values():
            hosted.attach(self._host)
        self.items = opening.items
        # The parts of the first app.
        self.dispatcher, self.workers = first.dispatcher, first.workers
        self.facade, self.views, self.steering = first.facade, first.views, first.steering
        self.transfer, self.bulk, self.management = first.transfer, first.bulk, first.management
        self.states = first.states
        self.client = self.make_client(EmbeddedOperations(self.facade, self.steering, self.states))
        self._own_task = OwnTask(self._run, hurry=self._hurry, ended=self._end)
        self._block: AsyncExitStack | None = None  # on trio
        self._running = self._used = False
        # Everything else has stopped and the store is still open, but cancelled activities have not ended.
        self.waits_for_activities = False
        self._told_of_stop: list[Callable[[], None]] = []
        self._leaving: anyio.CancelScope | None = None  # once shards are given because it stops

    def _share(self, opening: Opening, apps: Sequence[str]) -> SharedPeers | None:
        """Share the store with other hosts, if the store supports it."""
        stuck_after_s = opening.stuck_after_s
        share = opening.share or share_of(
            self.store, self.settings.peer_address, stuck_after_s=stuck_after_s, apps=apps
        )
        return SharedPeers(self.store, share, vocabulary()) if share is not None else None

    def _enter(self, apps: Mapping[str, int]) -> None:
        """Learn which apps the store has. Each app of this engine knows its addresses from here on."""
        first = next((app_id for app_id, number in apps.items() if number == 0), self.app_id)
        if self._membership is not None and len(self.apps) > 1 and first != self.app_id:
            # Each process has a file of its own, and all of them must have the same first app.
            raise StoreFailed(
                f"the first app of this store is {first!r}, and this daemon of several processes has {self.app_id!r} "
                f"for its first. Name {first!r} first."
            )
        self.directory.settle(apps)
        if not self.settings.app_id and self.app is None and len(self.apps) == 1:
            self._first.own.settle(FIRST_RING)  # its own app is the first app of the store
        for app_id, number in apps.items() if self._every else ():
            if number:
                self.apps[app_id] = HostedApp.elsewhere(self.directory.of(app_id), self._parts, self._host)
        for hosted in self.apps.values():
            hosted.enter(self._types, self._routes)
        for flights in (self.flight, self._notes):
            if flights is not None:
                flights.types = frozenset(hosted.own.workflow for hosted in self.apps.values())

    def _sharing(self, source: ShardSource) -> Sharing:
        """How the host shares its store. Each app says which of its work moves with a shard."""
        apps = self.apps.values()

        def all_of(tell: Callable[[HostedApp, Any], None]) -> Callable[[Any], None]:
            def tell_all(what: Any) -> None:
                for app in apps:
                    tell(app, what)

            return tell_all

        return Sharing(
            source=source,
            notes=self._notes,
            gone=self._forget,
            lent=lambda has, waiting: [job for app in apps for job in app.lent(has, waiting)],
            kept=all_of(HostedApp.kept),
            borrowed=all_of(HostedApp.borrowed),
        )

    def make_client(self, operations: EmbeddedOperations) -> Client:
        """Make the client of this engine; `embedding/engine.py` makes one that can do more."""
        return Client(operations, self.app)

    def app_of(self, app_id: str) -> HostedApp | None:
        """The app with an id: this host's own, or one that forwards to its hosts. None if no host has it."""
        found = self.apps.get(app_id) or self._visited.get(app_id)
        if found is None and self._running:
            own = self.directory.of(app_id)
            if self._host.placement.knows(own.workflow):
                found = self._visited[app_id] = HostedApp.elsewhere(own, self._parts, self._host)
                if found.peers is not None:
                    found.peers.settle(own.ring)
        return found

    @property
    def alone(self) -> bool:
        """Whether no other host has the store."""
        return self._source is None or self._source.alone

    async def leave(self, within_s: float = 20.0) -> None:
        """Give all shards to the other hosts of a shared store, if there are any, and forward requests to them.

        Returns when all shards are given and the other hosts know it, or after `within_s`.
        """
        if self._source is None or not self._running or self._source.alone or self._leaving is not None:
            return
        for app in self.apps.values():
            app.leave()
        with anyio.CancelScope() as self._leaving:
            await self._source.leave(within_s)
            await anyio.sleep(HEARD_S)

    @property
    def ready(self) -> bool:
        """Whether the engine takes requests and its store takes writes."""
        return self._running and self._host.healthy

    @property
    def commit_under_way(self) -> int | None:
        """The number of the group commit that is under way, if there is one."""
        return self._host.commit_under_way

    @property
    def store_intact(self) -> bool:
        """Whether the store's files are where they were opened. Other threads may call this."""
        return not self._running or self.store.intact

    def set_hanging(self, hanging: bool) -> None:
        """Set whether a commit hangs. While one hangs the engine is not ready, and refuses new work."""
        self._host.set_hanging(hanging)

    def tell_blocked(self) -> None:
        """Note that the log has a line about the code that blocks the event loop. For the thread that watches it."""
        self._host.turn_loop.blocked_told = True

    @property
    def commits(self) -> int:
        """How many group commits there were since the start."""
        return self._host.commits

    @property
    def turns(self) -> int:
        """How many turns were taken since the start."""
        return self._host.turns

    def management_through(self, facade: Facade) -> InstanceOperations:
        """The management operations, reported to the watch of a facade like the operations of the facade itself.

        Args:
            facade: One that `facade.watched_by` has made.
        """
        return self.apps[facade.own.app_id].management_through(facade)

    def observe(self, observer: Observer) -> None:
        """Notify an observer of each instance and activity that ends from now on."""
        self._first.observe(observer)

    def trace(self, tracing: Tracing) -> None:
        """Make spans of all that begins from now on."""
        for app in self.apps.values():
            app.trace(tracing)

    def on_stop(self, tell: Callable[[], None]) -> None:
        """Have a function called when the engine begins to stop."""
        self._told_of_stop.append(tell)

    def active_actors(self) -> Mapping[str, int]:
        """How many actors of the first app are in memory, by type."""
        return self._first.active_actors(alone=len(self.apps) == 1)

    async def start(self) -> None:
        """Start the engine; it runs until `stop`, which another task may call. For asyncio.

        Raises:
            AsyncioNeeded, EngineUsed, StoreError: The engine has not started.
        """
        if not on_asyncio():
            raise AsyncioNeeded
        if self._used:
            raise EngineUsed
        self._used = True
        await self._own_task.enter(guard=False)

    async def stop(self) -> None:
        """Stop the engine gracefully. Does nothing if it was never started, or has been stopped.

        If the caller is cancelled meanwhile, running activities are cancelled too; the next engine of the store
        performs them again.

        Raises:
            BaseException: The error that has ended the engine before, or has kept it from stopping in order.
        """
        if self._used and self._block is None:
            await self._own_task.leave()

    async def __aenter__(self) -> Self:
        if self._used:
            raise EngineUsed
        self._used = True
        if on_asyncio():
            await self._own_task.enter(guard=True)
        else:
            async with AsyncExitStack() as stack:
                await stack.enter_async_context(self._run())
                self._block = stack.pop_all()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # An error in the block stops the engine as gracefully as the end of the block does. It is raised as it is, not
        # wrapped by the task groups inside.
        if self._block is not None:
            await self._block.aclose()
            return
        pardoned = self._own_task.pardon_block() and isinstance(exc, anyio.get_cancelled_exc_class())
        try:
            await self._own_task.leave()
        except Exception:
            if exc is None or pardoned:
                raise
            logger.exception("the engine did not stop in order")

    @asynccontextmanager
    async def _run(self) -> AsyncIterator[None]:
        # Not inside the task group, which would wrap an error of the store in a group of errors.
        await self._host.open()
        try:
            # The actors' host starts last and stops first: it sends to the activities, the children and the events.
            async with anyio.create_task_group() as tasks, AsyncExitStack() as running:
                for app in self.apps.values():
                    await running.enter_async_context(app.running())
                async with self._host.running():
                    if self.peers is not None:
                        await self.peers.wait_for_all()
                    if retention := self.settings.retention:
                        for app in self.apps.values():
                            tasks.start_soon(app.retention_loop(retention, lambda: self.turns + self.commits).run)
                    self._running = True
                    yield
                    await self.leave()
                    self._running = False
                    for tell in self._told_of_stop:
                        tell()
                    self._host.refuse()
                    await self._stop_apps()
                self.waits_for_activities = True
                tasks.cancel_scope.cancel()
        except BaseExceptionGroup as group:
            raise sole_store_error(group) from group
        finally:
            self._running = self.waits_for_activities = False
            # Closed again, in case the engine was cancelled before the host had the store.
            with anyio.CancelScope(shield=True):
                await self.store.close()

    async def _stop_apps(self) -> None:
        """Start no more activities, and give the running ones of all apps their grace at once."""
        async with anyio.create_task_group() as stopping:
            for app in self.apps.values():
                app.dispatcher.stop()
                stopping.start_soon(app.activities.stop, self.stop_grace_s)
        for app in self.apps.values():
            if app.lending is not None:
                await app.lending.hand_over()

    def _forget(self, gone: Gone) -> None:
        """Forget the running work for instances that another host owns now."""
        for app in self.apps.values():
            app.forget(gone.has, dead=gone.dead)

    def _hurry(self) -> None:
        """End the grace of the activities, because the caller that stops the engine was cancelled."""
        self.stop_grace_s = 0
        if self._leaving is not None:
            self._leaving.cancel()
        for app in self.apps.values():
            app.activities.hurry()

    def _end(self, error: BaseException) -> None:
        """Report to present and later callers that an error has ended the engine."""
        logger.error("the engine has ended", exc_info=error)
        self._host.refuse(error)

    def _send(self, address: Address, body: object) -> None:
        self._host.send(address, body)


def _peers_of(membership: FixedMembership | None) -> Peers | None:
    return Peers(membership, vocabulary(), membership.transport()) if membership is not None else None


def _store(data: str | Path | Store, durability: Durability, part: Part, instruments: Instruments) -> Store:
    if data == IN_MEMORY:
        return MemoryStore(part=part)
    if isinstance(data, str) and is_url(data):
        assert part == WHOLE, "several processes have files"
        return store_on(data)
    if isinstance(data, str | Path):
        return SqliteStore(part.path(str(data)), durability=durability, part=part, instruments=instruments)
    return data


def _names_of(engine: Engine, others: Sequence[OtherApp]) -> AppNames:
    """The apps of an engine, in the form for its store."""
    first = engine.app_id
    ids = [first, *(other.app_id for other in others)]
    if twice := sorted({each for each in ids if ids.count(each) > 1}):
        raise AppError(f"two apps have the ID {twice[0]!r}: give each a name of its own, or an ID with --app-id")
    if others or engine.settings.app_id is not None:
        return AppNames((first, *(other.app_id for other in others)))
    return AppNames((first,), said=False) if engine.app is not None else AppNames()
