"""An engine: an app, a store and a host, running inside an anyio program.

    async with Engine(app, data="perdure.db") as engine:
        print(await engine.client.run(greet, input="world"))

Leaving the block stops gracefully: no new requests, running activities get a
grace period, and everything is on disk.
"""

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import anyio

from ..actors.address import Address
from ..actors.clock import Clock, SystemClock
from ..actors.cluster.membership import Membership, name_of
from ..actors.cluster.peers import Peers
from ..actors.hosting.flight_record import FlightRecord
from ..actors.hosting.host import Host, HostLimits, Precautions
from ..actors.store.contract import Store
from ..actors.store.durability import Durability
from ..actors.store.errors import StoreError
from ..actors.store.memory import MemoryStore
from ..actors.store.part import WHOLE, Part
from ..actors.store.sqlite.store import SqliteStore
from .activities.actors import ActivityActors
from .authoring.app import App
from .errors import EngineUsed
from .history.status import Status
from .instance.actor import WorkflowActorType
from .instance.message import (
    ACTIVITY,
    CHILD_START,
    ENDED,
    EVENT_SEND,
    WITHDRAW,
    WORK,
    WORKFLOW,
    Ended,
    SendEvent,
    Start,
    Withdraw,
)
from .instance.surroundings import Propagate, Surroundings
from .observer import Observer
from .operations.child_starter import ChildStarter
from .operations.client import Client
from .operations.event_sender import EventSender
from .operations.facade import Facade
from .operations.retention import RetentionLoop
from .settings import Opening, Settings
from .workers.dispatcher import Dispatcher
from .workers.mark import ADDRESS as WORKER_MARK_ADDRESS
from .workers.mark import WORKER_MARK, Remember, WorkerMarkType

IN_MEMORY = ":memory:"


class Engine:
    """Hosts an app's workflows and activities.

    Args:
        app: None hosts no code: instances wait until a process that has their code opens the store.
        data: A SQLite file, ":memory:" for nothing that outlives the engine, or a store of your own.
        durability: What a commit survives; FULL is power loss, RELAXED only a crash of the process.
        propagate: Writes histories for remote workers that may see them (`rpc/wire/propagation.py`).
        membership: Which of the hosts of a daemon this engine is; None is a daemon of one. `data` is the path of the
            whole store, of which it takes its part.
        opening: How it begins; like any engine by default.
    """

    def __init__(
        self,
        app: App | None = None,
        *,
        data: str | Path | Store = "perdure.db",
        durability: Durability = Durability.FULL,
        settings: Settings | None = None,
        clock: Clock | None = None,
        propagate: Propagate = lambda instance_id, events, scope, received: None,
        membership: Membership | None = None,
        opening: Opening | None = None,
    ) -> None:
        self.app = app
        self.settings = settings or Settings()
        self.stop_grace_s = self.settings.stop_grace_s  # a program that has used part of it may lower it
        self.peers = Peers(membership) if membership is not None else None
        self.store = _store(data, durability, membership.part if membership is not None else WHOLE)
        opening = opening or Opening()
        flight = _flight_record(self.store, self.settings) if opening.flight_record else None
        self.dispatcher = Dispatcher(self.settings.dispatch, send=self._send, greet=self._remember_workers)
        self._activities = ActivityActors(
            app,
            self.settings,
            send=self._send,
            elsewhere=self.dispatcher.receive_activity,
            waits_for_workers=self._waits_for_workers,
            flight=flight,
        )
        self._surroundings = Surroundings(
            app,
            app_id=self.settings.app_id,
            waits_for_workers=self._waits_for_workers,
            propagate=propagate,
            limits=self.settings.limits,
        )
        self._observer: Observer | None = None
        self._clock = clock or SystemClock()
        self._host = Host(
            self.store,
            self._clock,
            types={
                WORKFLOW: WorkflowActorType(self._surroundings),
                WORKER_MARK: WorkerMarkType(),
            },
            routes={
                ACTIVITY: self._activities.receive,
                CHILD_START: self._start_child,
                EVENT_SEND: self._send_event,
                WORK: self.dispatcher.receive,
                ENDED: self._tell_end,
                WITHDRAW: self._withdraw,
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
            ),
        )
        self.facade = Facade(self._host, name_bytes_max=self.settings.limits.name_bytes_max)
        self.client = Client(self.facade, app)
        self._children = ChildStarter(self.facade, send=self._send)
        self._events = EventSender(self.facade, send=self._send, app_id=self.settings.app_id)
        self._running: AsyncExitStack | None = None
        self._used = False
        self._workers_known = False  # whether a worker has ever been connected to this store

    @property
    def ready(self) -> bool:
        """Whether the engine takes requests and its store takes writes."""
        return self._running is not None and self._host.healthy

    @property
    def commit_under_way(self) -> int | None:
        """The number of the group commit that is under way; None: there is none."""
        return self._host.commit_under_way

    def set_hanging(self, hanging: bool) -> None:
        """Say whether a commit does not end: as long as it lasts the engine is not ready, and refuses new work."""
        self._host.set_hanging(hanging)

    @property
    def commits(self) -> int:
        """How many group commits there were since the start."""
        return self._host.commits

    @property
    def turns(self) -> int:
        """How many turns were taken since the start."""
        return self._host.turns

    def observe(self, observer: Observer) -> None:
        """Tell an observer of each instance and activity that ends from now on."""
        self._observer = self._activities.observer = observer
        self._surroundings.observed = True

    def active_actors(self) -> Mapping[str, int]:
        """How many actors of each type are in memory."""
        return {WORKFLOW: self._host.activations - self._host.has(WORKER_MARK_ADDRESS), ACTIVITY: len(self._activities)}

    async def __aenter__(self) -> Self:
        if self._used:
            raise EngineUsed
        self._used = True
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._run())
            self._running = stack.pop_all()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._running is not None
        running, self._running = self._running, None
        # An error in the block stops the engine as gracefully as its end does, and then goes on
        # its way as it is, not wrapped by the task groups inside.
        await running.aclose()

    @asynccontextmanager
    async def _run(self) -> AsyncIterator[None]:
        # Not inside the task group, which would wrap an error of the store in a group of errors.
        await self._host.open()
        try:
            [mark] = await self.store.inspect([WORKER_MARK_ADDRESS])
            self._workers_known = mark is not None
            # The actors' host starts last and stops first: it sends to the activities, the children and the events.
            async with anyio.create_task_group() as tasks:
                await tasks.start(self._activities.run)
                await tasks.start(self._children.run)
                await tasks.start(self._events.run)
                async with self._host.running():
                    if self.peers is not None:
                        await self.peers.wait_for_all()
                    if retention := self.settings.retention:
                        loop = RetentionLoop(self.facade, retention, clock=self._clock, turns=lambda: self.turns)
                        tasks.start_soon(loop.run)
                    yield
                    self._host.refuse()
                    self.dispatcher.stop()
                    await self._activities.stop(self.stop_grace_s)
                tasks.cancel_scope.cancel()
        except BaseExceptionGroup as group:
            raise _sole_store_error(group) from group
        finally:
            # Again, in case it was cancelled before the host had it.
            with anyio.CancelScope(shield=True):
                await self.store.close()

    def _waits_for_workers(self) -> bool:
        return self.settings.wait_for_workers or self._workers_known

    def _remember_workers(self) -> None:
        if not self._workers_known:
            self._workers_known = True
            self._send(WORKER_MARK_ADDRESS, Remember())

    def _send(self, address: Address, body: object) -> None:
        self._host.send(address, body)

    def _tell_end(self, address: Address, ended: Ended) -> None:
        if self._observer is not None:
            self._observer.workflow_ended(ended.name, Status(ended.status), ended.took_us / 1e6)

    def _send_event(self, address: Address, message: SendEvent) -> None:
        self._events.receive(address, message)

    def _withdraw(self, address: Address, message: Withdraw) -> None:
        self._activities.withdraw(message)
        self.dispatcher.withdraw(message)

    def _start_child(self, address: Address, start: Start) -> None:
        self._children.receive(address, start)


def _flight_record(store: Store, settings: Settings) -> FlightRecord | None:
    """The flight record beside a store; None beside a store without a file."""
    if not isinstance(store, SqliteStore):
        return None
    slots = settings.activities_max + settings.activity_threads_max
    # A symbolic link to the file has the same record, as it has the same lock.
    return FlightRecord(f"{os.path.realpath(store.path)}.flight", actor_type=WORKFLOW, slots=slots)


def _store(data: str | Path | Store, durability: Durability, part: Part) -> Store:
    if data == IN_MEMORY:
        return MemoryStore(part=part)
    if isinstance(data, str | Path):
        return SqliteStore(part.path(str(data)), durability=durability, part=part)
    return data


def _sole_store_error(group: BaseExceptionGroup) -> BaseException:
    """The error of the store in a group of one, such as that of its closing; else the group."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error if isinstance(error, StoreError) else group
