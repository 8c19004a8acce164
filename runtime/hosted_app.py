"""A hosted app: the parts of an engine that belong to one of its apps.

The rule: nothing here belongs to another app. The apps of an engine share its host and its store, and with them
commits, reminders and the limits on memory. Each app has its own instances, workers, activities, limits on these,
operations and reports.

`runtime/engine.py` makes one for each of its apps.
"""

from collections.abc import AsyncIterator, Callable, Mapping, MutableMapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from typing import Any

import anyio

from ..actors.address import Address, ring_of
from ..actors.clock import Clock
from ..actors.cluster.keeper import ShardSource
from ..actors.cluster.leases.seen import ClusterSeen
from ..actors.cluster.peers import Peers, RingPeers
from ..actors.hosting.flight_record import Flights
from ..actors.hosting.host import Host
from ..actors.hosting.release import Route
from ..actors.hosting.shards.hosted import IsIn
from ..actors.instruments import Instruments
from ..actors.store.contract import Store
from ..actors.turn import ActorType
from ..journal.journal import Journal
from .activities.actors import ActivityActors
from .activities.calls import CallActorType
from .activities.elsewhere import ActivitiesElsewhere
from .activities.lending import lending_of
from .activities.steps import watch_calls
from .activities.workshop import Workshop
from .authoring.app import App
from .directory import ACTIVITY, WORK, WORKFLOW, AppAddresses
from .instance.actor import WorkflowActorType
from .instance.message import ActivityDone, Withdraw, WorkState
from .instance.surroundings import Propagate, Surroundings
from .observing.observer import Audience, Observer, Tracing
from .operations.bulk.actor import OperationActorType
from .operations.bulk.bulk import Bulk
from .operations.bulk.instances import SelectedInstances
from .operations.bulk.runner import BulkRunner
from .operations.child_starter import ChildStarter
from .operations.event_sender import EventSender
from .operations.facade import Facade
from .operations.management import InstanceOperations, management_of
from .operations.overview.attention import Attentions
from .operations.overview.reports import Reports
from .operations.reading.under_way import WorkLocator
from .operations.reading.views import views_of
from .operations.retention.loop import RetentionLoop
from .operations.retention.policy import Retention
from .operations.steering.steering import Steering
from .operations.steering.transfer import Transfer
from .settings import Settings
from .state.service import StateService
from .workers.activity_spans import ActivitySpans
from .workers.dispatcher import Dispatcher
from .workers.hosts.awaited import AwaitedCode
from .workers.hosts.code import CodeKind, CodeOfHosts
from .workers.hosts.sharing import shared_workers
from .workers.items import ItemWriter
from .workers.mark import CONNECTED, Remember, WorkerMarkType, own_mark

# The logger of notes on activities.
ACTIVITIES_LOGGER = "perdure.runtime.activities.actors"


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineParts:
    """The parts of an engine that its apps share."""

    store: Store
    settings: Settings
    clock: Clock
    instruments: Instruments
    journal: Journal
    flight: Flights | None
    workshop: Workshop
    peers: Peers | None  # the other hosts, if there are any
    source: ShardSource | None  # says which shards are this host's, where hosts share the store
    has_app: Callable[[str, str], bool]  # whether a host has an app: (name of the host, id of the app)
    seen: Callable[[], ClusterSeen | None]
    send: Callable[[Address, Any], None]  # sends a message; it may be lost


class HostedApp:
    """One app of an engine.

    Args:
        app: Its code; None: workers have it.
        own: Its addresses.
        propagate: Writes histories for remote workers that may see them.
        items: Writes the work items of the app for the workers of other hosts, or makes such a writer for the app id
            when it is needed. None: workers of other hosts get no items.
    """

    def __init__(
        self,
        app: App | None,
        own: AppAddresses,
        parts: EngineParts,
        *,
        propagate: Propagate,
        items: ItemWriter | partial[ItemWriter] | None,
    ) -> None:
        self.app = app
        self.own = own
        self.app_id = own.app_id
        self._parts = parts
        self._settings = settings = parts.settings
        self._journal = journal = parts.journal
        self.items = items if not isinstance(items, partial) else None
        self._writer = items
        self._audience = Audience()
        self._workers_known = False  # whether a worker of it has ever been connected to this store
        self._mark = Address(own.worker_mark, CONNECTED)
        has_app = parts.has_app
        self.peers = RingPeers(parts.peers, lambda host: has_app(host, own.app_id)) if parts.peers is not None else None
        self.dispatcher = Dispatcher(
            settings.dispatch,
            own=own,
            send=parts.send,
            now_us=parts.clock.now_us,
            greet=self._remember_workers,
            chance=parts.instruments.chance,
            journal=journal,
        )
        self.activities = ActivityActors(
            app,
            settings,
            send=parts.send,
            now_us=parts.clock.now_us,
            elsewhere=self.dispatcher.receive_activity,
            waits_for_workers=self.waits_for_workers,
            flight=parts.flight,
            workshop=parts.workshop,
        )
        self.activities.own = own
        self.activities.journal = journal.at(ACTIVITIES_LOGGER)
        self.activities.stopwatch, self.activities.chance = parts.instruments.stopwatch, parts.instruments.chance
        self.code = CodeOfHosts(app, self.peers) if self.peers is not None else None
        self.awaited = (
            AwaitedCode(self.code, instance=own.instance, send=parts.send, journal=journal)
            if self.code is not None
            else None
        )
        if self.peers is not None and self.code is not None:
            source = parts.source
            elsewhere = ActivitiesElsewhere(
                self.code,
                self.peers,
                apart=lambda: source.apart if source is not None else (),
                now_us=parts.clock.now_us,
                journal=journal,
            )
            self.activities.attach(elsewhere, self.peers)
        if parts.peers is not None:
            parts.peers.hear(self._heard)
        self.lending = lending_of(self.activities, self.dispatcher.lent, self.peers, parts.source)
        self._surroundings = Surroundings(
            app,
            app_id=own.app_id,
            addresses=own,
            waits_for_workers=self.waits_for_workers,
            code_elsewhere=self.code_elsewhere,
            propagate=propagate,
            limits=settings.limits,
            watch_calls=watch_calls,
        )
        self._operations = OperationActorType(own)
        self._calls = CallActorType(own)
        self._state = StateService(settings, parts.store, parts.clock, own, journal)

    @classmethod
    def elsewhere(cls, own: AppAddresses, parts: EngineParts, host: Host) -> "HostedApp":
        """An app that this host does not have. It takes requests here; the hosts that have the app perform them."""
        app = cls(None, own, parts, propagate=lambda instance_id, events, scope, received: None, items=None)
        app.attach(host)
        return app

    def attach(self, host: Host) -> None:
        """Make the parts that use the host."""
        parts, own, clock = self._parts, self.own, self._parts.clock
        self._host = host
        self._shared = shared_workers(self.dispatcher, self.peers, host, own, self._writer, parts.instruments)
        self.workers = self._shared or self.dispatcher  # the door of the workers uses it
        self.facade = Facade(host, own=own, limits=self._settings.limits)
        self.states = self._state.serve(host)
        work = WorkLocator(
            activity=self._activity_state,
            turn=self.dispatcher.turn_state,
            awaits_code=self._awaits_code,
            peers=self.peers,
        )
        self.views = views_of(host, work, own)
        self.steering = Steering(host, self.facade, app=self.app, elsewhere=self._workflow_elsewhere)
        self.transfer = Transfer(host, self.facade)
        selected = SelectedInstances(self.views.listing, self.steering, clock)
        self._bulk_runner = BulkRunner(selected, own=own, ask=host.ask, journal=self._journal)
        self.bulk = Bulk(host, own, clock, selected)
        reports = Reports(
            host,
            self.activities,
            self.dispatcher,
            app=self.app,
            limit_of=self.activities.limit_of,
            clock=clock,
            peers=self.peers,
            own=own,
        )
        reports.seen = parts.seen
        reports.code = self.code
        if self.awaited is not None:
            reports.awaiting = self.awaited.__len__
        self.management = management_of(
            host,
            reports,
            Attentions(host, self.dispatcher, self.views, own, clock=clock, peers=self.peers),
            views=self.views,
            steering=self.steering,
            transfer=self.transfer,
            bulk=self.bulk,
            clock=clock,
        )
        self._children = ChildStarter(self.facade, send=parts.send, journal=self._journal)
        self._events = EventSender(self.facade, send=parts.send, journal=self._journal)

    def enter(self, types: MutableMapping[str, ActorType], routes: MutableMapping[str, Route]) -> None:
        """Give the host the types of the app's actors, and where their messages go; its ring is known by now."""
        own = self.own
        types[own.workflow] = WorkflowActorType(self._surroundings)
        types[own.call] = self._calls
        types[own.worker_mark] = WorkerMarkType()
        types[own.operation] = self._operations
        types.update(self._state.types)
        # Jobs are known by their address within the app.
        routes[own.activity] = within(ACTIVITY, self.activities.receive) if own.ring else self.activities.receive
        routes[own.work] = within(WORK, self.dispatcher.receive) if own.ring else self.dispatcher.receive
        routes[own.child_start] = self._children.receive
        routes[own.event_send] = self._events.receive
        routes[own.ended] = self._audience.tell_end
        routes[own.spans] = self._audience.tell_spans
        routes[own.withdraw] = self._withdraw
        if self.awaited is not None:
            routes[own.code] = self.awaited.receive
        routes[own.operation_run] = self._bulk_runner.receive
        routes.update(self._state.routes)
        self._mark = Address(own.worker_mark, CONNECTED)
        if self.peers is not None:
            self.peers.settle(own.ring)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Carry out the requests of the app's actors, until the block ends. The host starts after it, and stops before
        it.
        """
        if self._parts.source is None and self.peers is not None:
            self._mark = own_mark(self._host.placement.owns, self.own.worker_mark)
        [mark] = await self._parts.store.inspect([self._mark])
        self._workers_known = mark is not None
        async with anyio.create_task_group() as tasks:
            await tasks.start(self.activities.run)
            if self.code is not None and self.activities.hosts is not None:
                await tasks.start(self.code.run)
                await tasks.start(self.activities.hosts.run)
            await tasks.start(self._children.run)
            await tasks.start(self._events.run)
            await tasks.start(self._bulk_runner.run)
            await tasks.start(self._state.expiry.run)
            if self._shared is not None:
                await tasks.start(self._shared.run)
            yield
            tasks.cancel_scope.cancel()

    def retention_loop(self, retention: Retention, happened: Callable[[], int]) -> RetentionLoop:
        """Make the loop that forgets the app's finished instances.

        Args:
            happened: See `RetentionLoop`.
        """
        source = self._parts.source
        looks = count()  # this host does not know of turns of other hosts
        mark = Address(self.own.worker_mark, CONNECTED)
        return RetentionLoop(
            self._parts.store,
            self.facade,
            retention,
            clock=self._parts.clock,
            happened=happened if source is None else lambda: next(looks),
            is_mine=lambda: source is None or self._host.placement.owns(mark),
            journal=self._journal,
        )

    def leave(self) -> None:
        """Take no more work of other hosts, and give no more work to the workers of this host, which stops soon."""
        if self._shared is not None:
            self._shared.leave()
        if self.code is not None:
            self.code.leave()
        self.activities.leave_foreign()

    # The work that moves with a shard; see `Sharing`.

    def lent(self, has: IsIn, waiting: Sequence[tuple[Address, Any]]) -> Sequence[bytes]:
        """Start nothing more for actors of the app that are about to move; return the activities that go on."""
        if self.lending is None:
            return ()
        own = [(address.id, body) for address, body in waiting if ring_of(address.type) == self.own.ring]
        return self.lending.lent(self.ids_in(has), own, self.own.ring)

    def kept(self, has: IsIn) -> None:
        """Resume work for actors that stay with this host after all."""
        if self.lending is not None:
            self.lending.keep(self.ids_in(has))

    def borrowed(self, jobs: Sequence[bytes]) -> None:
        """Take note of activities that other hosts perform for actors of the app."""
        if self.lending is not None:
            self.lending.borrowed(jobs, self.own.ring)

    def forget(self, has: IsIn, *, dead: bool) -> None:
        """Forget the running work of actors that another host owns now."""
        ids = self.ids_in(has)
        self.activities.leave(ids, cancel=dead)
        self.dispatcher.leave(ids)
        if self.awaited is not None:
            self.awaited.leave(ids)
        for attendance in (self._children, self._events, self._bulk_runner, self._state.expiry):
            attendance.leave(ids)

    def ids_in(self, has: IsIn) -> Callable[[str], bool]:
        """Make a test of an actor's id: whether the app's actor of this id is among the given ones."""
        return lambda actor_id: has(self.own.instance(actor_id))

    def management_through(self, facade: Facade) -> InstanceOperations:
        """As `Engine.management_through`."""
        steering = Steering(self._host, facade, app=self.app, elsewhere=self._workflow_elsewhere)
        return replace(self.management, steering=steering)

    def observe(self, observer: Observer) -> None:
        """As `Engine.observe`."""
        self._audience.observer = self.activities.observer = observer
        self._surroundings.observed = True

    def trace(self, tracing: Tracing) -> None:
        """As `Engine.trace`."""
        self._audience.tracing = self.activities.tracing = self.facade.tracing = tracing
        self.dispatcher.spans, self._surroundings.spans = ActivitySpans(tracing), tracing.choice

    def active_actors(self, *, alone: bool) -> Mapping[str, int]:
        """How many actors of each type are in memory.

        Args:
            alone: Whether this is the only app of the host.
        """
        if alone:
            others = (
                self._host.activations_of(self.own.worker_mark) + self._operations.in_memory + self._calls.in_memory
            )
            others += self._state.in_memory
            instances = self._host.activations - others
        else:
            instances = self._host.activations_of(self.own.workflow)
        return {WORKFLOW: instances, ACTIVITY: len(self.activities)}

    def connected_workers(self, *, here: bool = False) -> int:
        """Count the processes with workflow code: each worker, and the app itself (1 or 0).

        Args:
            here: Count only the workers that are connected to this host.
        """
        workers = len(self.dispatcher.own) if here else self.dispatcher.connected
        return workers + (self.app is not None)

    def waits_for_workers(self) -> bool:
        """Whether workflows and activities that the app does not have are left to workers."""
        return self._settings.wait_for_workers or self._workers_known

    def code_elsewhere(self, workflow: str) -> bool:
        """Whether another host of the app has, or may have, a workflow that this host lacks."""
        return self.code is not None and self.code.may_have(CodeKind.WORKFLOW, workflow)

    def _workflow_elsewhere(self, workflow: str) -> bool:
        return self.waits_for_workers() or self.code_elsewhere(workflow)

    def _awaits_code(self, instance_id: str) -> bool:
        return self.awaited is not None and self.awaited.awaits(instance_id)

    def _heard(self, body: Any) -> None:
        """Note that a commit holds a message of another host."""
        if self.lending is not None:
            self.lending.heard(body)
        if self.activities.hosts is not None and type(body) is ActivityDone:
            self.activities.hosts.answered(body)

    def _activity_state(self, instance_id: str, execution_id: str, task_id: int) -> WorkState | None:
        here = self.activities.state_of(execution_id, task_id)
        return here or self.dispatcher.activity_state(instance_id, execution_id, task_id)

    def _remember_workers(self) -> None:
        if not self._workers_known:
            self._workers_known = True
            self._parts.send(self._mark, Remember())

    def _withdraw(self, address: Address, message: Withdraw) -> None:
        self.activities.withdraw(message)
        self.dispatcher.withdraw(message)
        if message.ended and self.awaited is not None:
            self.awaited.withdraw(message.instance_id)


def within(kind: str, receive: Callable[[Address, Any], None]) -> Route:
    """A route that gets addresses without their ring.

    Args:
        kind: Their type without the ring.
    """
    return lambda address, body: receive(Address(kind, address.id), body)
