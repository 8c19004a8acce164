"""An engine: an app, a store and a host, running inside an anyio program.

    async with Engine(app, data="perdure.db") as engine:
        print(await engine.client.run(greet, input="world"))

Leaving the block stops gracefully: no new requests, running activities get a
grace period, and everything is on disk.

On asyncio an engine lives in a task of its own, so that it can be entered in one
task and left in another: fixtures, start and stop hooks (`await engine.start()`,
`await engine.stop()`), cells of a notebook (docs/design/embedding.md).
"""

import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

import anyio

from ..actors.address import Address
from ..actors.clock import Clock, SystemClock
from ..actors.cluster.keeper import ShardSource
from ..actors.cluster.leases.seen import ClusterSeen
from ..actors.cluster.leases.shared import SharedPeers
from ..actors.cluster.membership import FixedMembership, name_of
from ..actors.cluster.peers import Peers
from ..actors.hosting.flight_record import record_of
from ..actors.hosting.host import Host, HostLimits, Precautions
from ..actors.hosting.shards.hosted import Gone
from ..actors.instruments import Instruments
from ..actors.on_database import share_of
from ..actors.store.contract import Store
from ..actors.store.durability import Durability
from ..actors.store.errors import sole_store_error
from ..actors.store.memory import MemoryStore
from ..actors.store.part import WHOLE, Part
from ..actors.store.postgres.cluster_store import PostgresClusterStore
from ..actors.store.postgres.url import is_url
from ..actors.store.sqlite.store import SqliteStore
from ..actors.waiting.own_task import OwnTask, on_asyncio
from ..journal.journal import Journal
from .activities.actors import ActivityActors
from .activities.lending import lending_of
from .activities.workshop import SystemWorkshop
from .authoring.app import App
from .errors import AsyncioNeeded, EngineUsed
from .instance.actor import WorkflowActorType
from .instance.message import (
    ACTIVITY,
    CHILD_START,
    ENDED,
    EVENT_SEND,
    SPANS,
    WITHDRAW,
    WORK,
    WORKFLOW,
    Withdraw,
    WorkState,
)
from .instance.surroundings import Propagate, Surroundings
from .observing.observer import Audience, Observer, Tracing
from .operations.bulk.actor import OPERATION, OPERATION_RUN, OperationActorType
from .operations.bulk.bulk import Bulk
from .operations.bulk.instances import SelectedInstances
from .operations.bulk.runner import BulkRunner
from .operations.child_starter import ChildStarter
from .operations.client import Client
from .operations.event_sender import EventSender
from .operations.facade import Facade
from .operations.management import InstanceOperations, management_of
from .operations.overview.attention import Attentions
from .operations.overview.reports import Reports
from .operations.reading.under_way import WorkLocator
from .operations.reading.views import views_of
from .operations.retention.loop import RetentionLoop
from .operations.retention.policy import Retention
from .operations.steering.embedded import EmbeddedOperations
from .operations.steering.steering import Steering
from .operations.steering.transfer import Transfer
from .settings import Opening, Settings
from .state.service import StateService
from .steps import watch_calls
from .words import vocabulary
from .workers.activity_spans import ActivitySpans
from .workers.dispatcher import Dispatcher
from .workers.hosts.sharing import shared_workers
from .workers.items import ItemWriter
from .workers.mark import ADDRESS as WORKER_MARK_ADDRESS
from .workers.mark import WORKER_MARK, Remember, WorkerMarkType, own_mark

IN_MEMORY = ":memory:"

# Of what turns, and activities, have to tell.
NOTES_LOGGER, ACTIVITIES_LOGGER = "perdure.runtime.instance.turn", "perdure.runtime.activities.actors"

HEARD_S = 1.0  # in which all hosts of a store have heard of a shard that was given: two beats
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
        opening: How it begins; like any engine by default.
    """

    # Makes what writes work for the workers of other hosts, for an app id; None: this engine gives them none.
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
        self.store = _store(data, durability, membership.part if membership else WHOLE, opening.instruments)
        self.peers = Peers(membership, vocabulary(), membership.transport()) if membership is not None else None
        self._source: ShardSource | None = None
        self._seen: Callable[[], ClusterSeen] | None = None
        share = opening.share or share_of(self.store, self.settings.peer_address, stuck_after_s=opening.stuck_after_s)
        if share is not None:
            shared = SharedPeers(self.store, share, vocabulary())
            self.peers, self._source, self._seen = shared.peers, shared.membership, shared.membership.seen
        self.flight = flight = record_of(self.store, WORKFLOW, self.settings.slots) if opening.flight_record else None
        self._journal = journal = Journal(NOTES_LOGGER)
        self.dispatcher = Dispatcher(
            self.settings.dispatch,
            send=self._send,
            now_us=self._clock.now_us,
            greet=self._remember_workers,
            chance=opening.instruments.chance,
            journal=journal,
        )
        self._activities = ActivityActors(
            app,
            self.settings,
            send=self._send,
            now_us=self._clock.now_us,
            elsewhere=self.dispatcher.receive_activity,
            waits_for_workers=self._waits_for_workers,
            flight=flight,
            workshop=opening.workshop or SystemWorkshop(opening.folder),
        )
        self._activities.journal = journal.at(ACTIVITIES_LOGGER)
        self._activities.stopwatch, self._activities.chance = opening.instruments.stopwatch, opening.instruments.chance
        self._lending = lending_of(self._activities, self.dispatcher.lent, self.peers, self._source)
        self._surroundings = Surroundings(
            app,
            app_id=self.app_id,
            waits_for_workers=self._waits_for_workers,
            propagate=propagate,
            limits=self.settings.limits,
            watch_calls=watch_calls,
        )
        self._audience = Audience()
        self._operations = OperationActorType()
        self._state = StateService(self.settings, self.store, self._clock, journal)
        self._host = Host(
            self.store,
            self._clock,
            types={
                WORKFLOW: WorkflowActorType(self._surroundings),
                WORKER_MARK: WorkerMarkType(),
                OPERATION: self._operations,
                **self._state.types,
            },
            routes={
                ACTIVITY: self._activities.receive,
                CHILD_START: lambda address, start: self._children.receive(address, start),  # noqa: PLW0108  made below
                EVENT_SEND: lambda address, message: self._events.receive(address, message),  # noqa: PLW0108  made below
                WORK: self.dispatcher.receive,
                ENDED: self._audience.tell_end,
                SPANS: self._audience.tell_spans,
                WITHDRAW: self._withdraw,
                OPERATION_RUN: lambda address, message: self._bulk_runner.receive(address, message),  # noqa: PLW0108  made below
                **self._state.routes,
            },
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
                sharing=self._lending.sharing(self._forget) if self._lending is not None else None,
            ),
        )
        self.items = opening.items
        self._shared = shared_workers(
            self.dispatcher, self.peers, self._host, self.app_id, self.items or self.writer_for, opening.instruments
        )
        self.workers = self._shared or self.dispatcher  # the door of the workers has it
        self.facade = Facade(self._host, limits=self.settings.limits)
        self.states = self._state.serve(self._host, app_id=self.app_id)
        work = WorkLocator(activity=self._activity_state, turn=self.dispatcher.turn_state, peers=self.peers)
        self.views = views_of(self._host, work, app_id=self.app_id)
        self.steering = Steering(self._host, self.facade, app=app, waits_for_workers=self._waits_for_workers)
        self.transfer = Transfer(self._host, self.facade)
        self._selected = SelectedInstances(self.views.listing, self.steering, self._clock)
        self._bulk_runner = BulkRunner(self._selected, ask=self._host.ask, journal=self._journal)
        self.bulk = Bulk(self._host, self._clock, self._selected)
        self.management = management_of(
            self._host,
            Reports(
                self._host,
                self._activities,
                self.dispatcher,
                app=app,
                limit_of=self._activities.limit_of,
                clock=self._clock,
                peers=self.peers,
                seen=lambda: self._seen() if self._seen is not None else None,
            ),
            Attentions(self._host, self.dispatcher, self.views, clock=self._clock, peers=self.peers),
            views=self.views,
            steering=self.steering,
            transfer=self.transfer,
            bulk=self.bulk,
            clock=self._clock,
        )
        self.client = self.make_client(EmbeddedOperations(self.facade, self.steering, self.states))
        self._children = ChildStarter(self.facade, send=self._send, journal=journal)
        self._events = EventSender(self.facade, send=self._send, app_id=self.app_id, journal=journal)
        self._own_task = OwnTask(self._run, hurry=self._hurry, ended=self._end)
        self._block: AsyncExitStack | None = None  # on trio
        self._running = self._used = False
        self._told_of_stop: list[Callable[[], None]] = []
        self._leaving: anyio.CancelScope | None = None  # once shards are given because it stops
        self._mark = WORKER_MARK_ADDRESS
        self._workers_known = False  # whether a worker has ever been connected to this store

    def make_client(self, operations: EmbeddedOperations) -> Client:
        """Make the client of this engine; `embedding/engine.py` makes one that can do more."""
        return Client(operations, self.app)

    @property
    def alone(self) -> bool:
        """Whether no other host has the store."""
        return self._source is None or self._source.alone

    async def leave(self, within_s: float = 20.0) -> None:
        """Give all shards to the other hosts of a store that is shared, if there are any, and pass requests on to them.

        Returns when all is given and known to them, or the time is over.
        """
        if self._source is None or not self._running or self._source.alone or self._leaving is not None:
            return
        if self._shared is not None:
            self._shared.leave()
        with anyio.CancelScope() as self._leaving:
            await self._source.leave(within_s)
            await anyio.sleep(HEARD_S)

    @property
    def ready(self) -> bool:
        """Whether the engine takes requests and its store takes writes."""
        return self._running and self._host.healthy

    @property
    def commit_under_way(self) -> int | None:
        """The number of the group commit that is under way; None: there is none."""
        return self._host.commit_under_way

    @property
    def store_intact(self) -> bool:
        """Whether the store's files are where they were opened. It may be asked from another thread."""
        return not self._running or self.store.intact

    def set_hanging(self, hanging: bool) -> None:
        """Say whether a commit does not end: as long as it lasts the engine is not ready, and refuses new work."""
        self._host.set_hanging(hanging)

    def tell_blocked(self) -> None:
        """Learn that the log has been told of what blocks the event loop now; a thread that watches it calls this."""
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
        """The operations of management, of which the watch of a facade is told as of those of the facade itself.

        Args:
            facade: One that `facade.watched_by` has made.
        """
        steering = Steering(self._host, facade, app=self.app, waits_for_workers=self._waits_for_workers)
        return replace(self.management, steering=steering)

    def observe(self, observer: Observer) -> None:
        """Tell an observer of each instance and activity that ends from now on."""
        self._audience.observer = self._activities.observer = observer
        self._surroundings.observed = True

    def trace(self, tracing: Tracing) -> None:
        """Make spans of all that begins from now on."""
        self._audience.tracing = self._activities.tracing = self.facade.tracing = tracing
        self.dispatcher.spans, self._surroundings.spans = ActivitySpans(tracing), tracing.choice

    def on_stop(self, tell: Callable[[], None]) -> None:
        """Have a function called when the engine begins to stop."""
        self._told_of_stop.append(tell)

    def active_actors(self) -> Mapping[str, int]:
        """How many actors of each type are in memory."""
        others = self._host.has(self._mark) + self._operations.in_memory + self._state.in_memory
        return {WORKFLOW: self._host.activations - others, ACTIVITY: len(self._activities)}

    async def start(self) -> None:
        """Start the engine; it runs until `stop`, which another task may call. For asyncio.

        Raises:
            AsyncioNeeded, EngineUsed, StoreError: It does not run.
        """
        if not on_asyncio():
            raise AsyncioNeeded
        if self._used:
            raise EngineUsed
        self._used = True
        await self._own_task.enter(guard=False)

    async def stop(self) -> None:
        """Stop the engine gracefully. Does nothing if it was never started, or has been stopped.

        If the caller is cancelled meanwhile, running activities are cancelled too: they are performed again by the
        next engine of the store.

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
        # An error in the block stops the engine as gracefully as its end does, and then goes on
        # its way as it is, not wrapped by the task groups inside.
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
            if self._source is None and self.peers is not None:
                self._mark = own_mark(self._host.placement.owns)
            self._workers_known = await self.store.inspect([self._mark]) != [None]
            # The actors' host starts last and stops first: it sends to the activities, the children and the events.
            async with anyio.create_task_group() as tasks:
                await tasks.start(self._activities.run)
                await tasks.start(self._children.run)
                await tasks.start(self._events.run)
                await tasks.start(self._bulk_runner.run)
                await tasks.start(self._state.expiry.run)
                if self._shared is not None:
                    await tasks.start(self._shared.run)
                async with self._host.running():
                    if self.peers is not None:
                        await self.peers.wait_for_all()
                    if retention := self.settings.retention:
                        tasks.start_soon(self._retention_loop(retention).run)
                    self._running = True
                    yield
                    await self.leave()
                    self._running = False
                    for tell in self._told_of_stop:
                        tell()
                    self._host.refuse()
                    self.dispatcher.stop()
                    await self._activities.stop(self.stop_grace_s)
                    if self._lending is not None:
                        await self._lending.hand_over()
                tasks.cancel_scope.cancel()
        except BaseExceptionGroup as group:
            raise sole_store_error(group) from group
        finally:
            self._running = False
            # Again, in case it was cancelled before the host had it.
            with anyio.CancelScope(shield=True):
                await self.store.close()

    def _retention_loop(self, retention: Retention) -> RetentionLoop:
        looks = count()  # of the turns of other hosts this one does not hear
        return RetentionLoop(
            self.store,
            self.facade,
            retention,
            clock=self._clock,
            turns=lambda: self.turns if self._source is None else next(looks),
            is_mine=lambda: self._source is None or self._host.placement.owns(WORKER_MARK_ADDRESS),
            journal=self._journal,
        )

    def _forget(self, gone: Gone) -> None:
        """Forget what is done here for instances that are another host's now."""
        self._activities.leave(gone.has, cancel=gone.dead)
        self.dispatcher.leave(gone.has)
        for attendance in (self._children, self._events, self._bulk_runner, self._state.expiry):
            attendance.leave(gone.has)

    def _hurry(self) -> None:
        """End the grace of the activities: who stops the engine was cancelled."""
        self.stop_grace_s = 0
        if self._leaving is not None:
            self._leaving.cancel()
        self._activities.hurry()

    def _end(self, error: BaseException) -> None:
        """Tell callers, of now and later, that an error has ended the engine."""
        logger.error("the engine has ended", exc_info=error)
        self._host.refuse(error)

    def _activity_state(self, instance_id: str, execution_id: str, task_id: int) -> WorkState | None:
        here = self._activities.state_of(execution_id, task_id)
        return here or self.dispatcher.activity_state(instance_id, execution_id, task_id)

    def _waits_for_workers(self) -> bool:
        return self.settings.wait_for_workers or self._workers_known

    def _remember_workers(self) -> None:
        if not self._workers_known:
            self._workers_known = True
            self._send(self._mark, Remember())

    def _send(self, address: Address, body: object) -> None:
        self._host.send(address, body)

    def _withdraw(self, address: Address, message: Withdraw) -> None:
        self._activities.withdraw(message)
        self.dispatcher.withdraw(message)


def _store(data: str | Path | Store, durability: Durability, part: Part, instruments: Instruments) -> Store:
    if data == IN_MEMORY:
        return MemoryStore(part=part)
    if isinstance(data, str) and is_url(data):
        assert part == WHOLE, "several processes have files"
        return PostgresClusterStore(data)
    if isinstance(data, str | Path):
        return SqliteStore(part.path(str(data)), durability=durability, part=part, instruments=instruments)
    return data
