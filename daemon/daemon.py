"""The daemon in one process: an engine, its HTTP and gRPC servers, and the port of its metrics.

The rule: the start takes the ports first, and answers probes from then on. Then it opens the store, lets both servers
take requests, and writes the ready line. The stop has the reverse order: the store is closed last, so that it holds
every answer that was given.
`daemon/serve.py` runs a daemon with an app, and `cli/daprd.py` a daemon without one.
"""

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from functools import partial
from math import inf

import anyio
from anyio.abc import TaskGroup, TaskStatus
from starlette.types import ASGIApp

from ..actors.on_database import store_on
from ..actors.store.contract import Store
from ..actors.store.durability import Durability
from ..actors.store.postgres.url import is_url
from ..actors.waiting.own_task import only_exception
from ..api.ports import address_of
from ..api.sidecar import Sidecar
from ..api.tokens import Tokens
from ..http.app import BODY_BYTES_MAX, HttpOptions, OtherApps, create_app
from ..http.gate import StartingGate
from ..http.serving.crowd import ConnectionLimits
from ..http.serving.listener import address, listen, share
from ..http.serving.server import serve
from ..rpc.services.dapr import dapr
from ..rpc.services.task_hub import task_hub
from ..rpc.services.work_items import WorkItems
from ..rpc.serving.auth import actor_by
from ..rpc.serving.server import RECEIVE_BYTES_MAX, RpcOptions, RpcServer, create_server
from ..rpc.serving.unread import UnreadAnswers
from ..rpc.wire.event_json import event_writer
from ..rpc.wire.propagation import propagation
from ..rpc.wire.work_items import WorkItemWriter
from ..runtime.authoring.app import App
from ..runtime.directory import NO_APP_ID
from ..runtime.engine import Engine
from ..runtime.hosted_app import HostedApp
from ..runtime.operations.management import InstanceOperations
from ..runtime.settings import Opening, OtherApp
from .config import Config
from .control import Control
from .event_loop import new_event_loop, run_as_owner
from .process.garbage_collector import tune_garbage_collector
from .process.grace import Grace
from .process.hangup import Hangup, hangup_heard
from .process.inheritance import Inheritance
from .process.interpreter_guard import guard_interpreter
from .process.mapped_files import mending
from .process.open_files import Shares, cut_off, open_files_max, shares_of, watch_connections
from .process.port_guard import guard_ports
from .process.process_fence import ProcessFence
from .process.signal_guard import guard_signals
from .process.system_limits import threads_needed
from .pulse.stand_in import StandIn
from .pulse.watchdog import Pulse, PulseLimits
from .stopping import Stopping, ask_supervisor, end_without_activities, leave_first, signals_heard, watch_supervisor
from .supervision import Member
from .telemetry.meter import AppMeter, NoMeter
from .telemetry.tracing import traced
from .token_reload import known_tokens, reloading, watch_reload

logger = logging.getLogger(__name__)

RPC_GRACE_S = 2.0  # for unary calls under way; calls that wait for the end of an instance are cut off


def run(
    config: Config,
    app: App | None,
    announce: Callable[[str], None],
    member: Member | None = None,
    fence: ProcessFence | None = None,
    others: Sequence[App | None] = (),
) -> None:
    """Serve until a signal or a request stops the daemon.

    Args:
        app: None if only remote workers execute workflows.
        others: The code of the other apps of the configuration, in their order.
        announce: Called with the ready line, once.
        member: Given if this process is a host of several; its supervisor stops it.
        fence: Learns which descriptors and threads of this process are the daemon's.

    Raises:
        PerdureError: The daemon could not start; the message says why.
    """
    options = {"loop_factory": new_event_loop}
    try:
        arguments = (config, app, announce, member, fence, others)
        with threads_needed():
            run_as_owner(anyio.run, main, *arguments, backend="asyncio", backend_options=options)
    except BaseExceptionGroup as group:
        raise only_exception(group) from None


async def main(
    config: Config,
    app: App | None,
    announce: Callable[[str], None],
    member: Member | None,
    fence: ProcessFence | None = None,
    others: Sequence[App | None] = (),
) -> None:
    """Serve in an event loop; see `run`."""
    settings = config.settings()
    app_id = settings.app_id_for(app.name if app is not None else None)
    tokens = known_tokens(config)
    options = HttpOptions(
        app_id=app_id,
        api_tokens=tokens,
        body_bytes_max=config.max_body_bytes or BODY_BYTES_MAX,
        allowed_hosts=config.names(),
        other_apps=OtherApps(
            lambda other: operations_of(engine, meter, other),
            event_writer,
            lambda: engine.directory.reached(engine.apps),
        ),
        page=not config.no_ui,
    )
    engine = Engine(
        app,
        data=store_of(config),
        durability=Durability(config.durability),
        settings=settings,
        propagate=propagation(app_id),
        membership=member.membership if member is not None and not is_url(config.data) else None,
        opening=Opening(
            flight_record=True,
            set_aside=config.set_aside,
            folder=config.folder,
            stuck_after_s=config.loop_age_max_s() or inf,
            items=WorkItemWriter(app_id),
            others=others_of(config, others),
        ),
    )
    with ExitStack() as ports:
        take = listen if member is None else share
        listener = ports.enter_context(closing(take(config.host, config.http_port)))
        async with traced(config.tracing, engine), anyio.create_task_group() as tasks:
            stopping = Stopping(tasks.cancel_scope)
            control = Control(
                engine,
                engine.apps[app_id],
                stopping,
                stopping.tell if member is None else partial(ask_supervisor, member),
                parts=engine.peers if not is_url(config.data) else None,
            )
            sidecar = Sidecar(control, app_id=app_id, peers=engine.apps[app_id].peers, states=engine.states)
            meter = meter_of(config, tokens, engine, sidecar, tasks, stopping.closing, ports)
            rpc = RpcDoors(config, tokens, engine, control, meter)
            rpc.add_all(sidecar)

            def ready() -> None:
                tune_garbage_collector()
                announce(ready_line(config, *address(listener), rpc.ports))
                logger.info("serving %s from %s", app or "no app", config.shown_data)
                served = (address(listener)[1], *rpc.ports.values())
                tasks.start_soon(partial(guard_ports, served, stopping=stopping.closing.is_set, end=os._exit))

            await hear_orders(reloading(tokens, config.api_token_file), config, member, stopping, tasks, ports)
            tasks.start_soon(guard_interpreter, fence.tracers if fence is not None else {})
            grace = bounded_stop(settings.stop_grace_s, engine, stopping, tasks)
            tasks.start_soon(partial(leave_first, stopping, engine, drain_s=config.drain_s))
            keep_from_others(config, (address(listener)[1], *rpc.ports.values()), member, ports, fence)
            rpc.watch_connections(tasks)
            if engine.flight is not None:
                ports.enter_context(mending(engine.flight.mend))
            pulse = pulse_of(config, engine, listener, member, stopping)
            with pulse.running():
                tasks.start_soon(guard_signals, pulse.signals)
                front = front_door_of(config, engine, meter, sidecar, options, listener, stopping)
                if member is None or member.first:
                    await tasks.start(front.serve)
                async with engine:
                    stopping.started = True
                    await rpc.start()
                    tasks.start_soon(engine.management.series.run)
                    await front.open(tasks)
                    ready()
                    await front.closed.wait()
                    await rpc.stop(grace_s=0 if stopping.forced else min(RPC_GRACE_S, grace.left_s()))
                    engine.stop_grace_s = grace.left_s()
                    if stopping.forced:
                        tasks.cancel_scope.cancel()
            tasks.cancel_scope.cancel()
    logger.info("stopped")


def bounded_stop(grace_s: float, engine: Engine, stopping: Stopping, tasks: TaskGroup) -> Grace:
    """Begin the grace of the stop, and end the process after it even if code of the app does not end."""
    grace = Grace(grace_s)
    tasks.start_soon(grace.begin_with, stopping.closing)
    tasks.start_soon(end_without_activities, stopping.closing, engine)
    return grace


def keep_from_others(
    config: Config,
    served: Sequence[int],
    member: Member | None,
    ports: ExitStack,
    fence: ProcessFence | None,
) -> None:
    """Keep the daemon's files and sockets from forked children, and from code of the app.

    Args:
        served: The ports of all servers.
    """
    folder = member.membership.directory if member is not None else None
    ours = ports.enter_context(Inheritance((*served, config.metrics_port), config.data, folder))
    if fence is not None:
        fence.begin(ours.is_ours)


async def hear_orders(
    reload: Callable[[], None],
    config: Config,
    member: Member | None,
    stopping: Stopping,
    tasks: TaskGroup,
    ports: ExitStack,
) -> None:
    """Begin to listen to the signals or, in a host of several, to the supervisor.

    Args:
        reload: Reads the tokens again.
    """
    if member is not None:
        tasks.start_soon(watch_supervisor, member, stopping, reload)
        return
    ports.enter_context(signals_heard(stopping))
    if config.api_token_file is not None:
        await tasks.start(watch_reload, reload)
    else:
        act = Hangup(stopping.tell).act
        ports.enter_context(hangup_heard(partial(asyncio.get_running_loop().call_soon_threadsafe, act)))


class FrontDoor:
    """The HTTP server of a daemon, behind a gate that opens when the engine runs.

    Args:
        listener, stop, grace_s, limits: As for `serve`.
    """

    def __init__(
        self, app: ASGIApp, listener: socket.socket, *, stop: anyio.Event, grace_s: float, limits: ConnectionLimits
    ) -> None:
        self.closed = anyio.Event()  # set when no request is under way any more
        self._gate = StartingGate(app)
        self._serving = False
        self._serve = partial(serve, self._gate, listener=listener, stop=stop, grace_s=grace_s, limits=limits)

    async def serve(self, *, task_status: TaskStatus[None]) -> None:
        """Serve until the daemon stops. Until the gate is opened only probes are answered."""
        self._serving = True
        await self._serve(ready=task_status.started)
        self.closed.set()

    async def open(self, tasks: TaskGroup) -> None:
        """Open the gate to all requests."""
        self._gate.open()
        if not self._serving:
            await tasks.start(self.serve)


def front_door_of(
    config: Config,
    engine: Engine,
    meter: AppMeter,
    sidecar: Sidecar,
    options: HttpOptions,
    listener: socket.socket,
    stopping: Stopping,
) -> FrontDoor:
    """Make the HTTP server. It does not serve yet."""
    facade = meter.facade(engine.apps[engine.app_id])
    app = create_app(
        facade,
        options,
        sidecar,
        engine.management_through(facade),
        stopping=stopping.ending,
        event_json=event_writer(sidecar.app_id),
        configuration=config.public(sidecar.app_id),
    )
    limits = ConnectionLimits(connections_max=connections_of(config).http)
    return FrontDoor(app, listener, stop=stopping.closing, grace_s=config.limits.stop_grace_s, limits=limits)


def pulse_of(
    config: Config, engine: Engine, listener: socket.socket, member: Member | None, stopping: Stopping
) -> Pulse:
    """Make the thread that watches the event loop and the commits. It does not run yet."""
    limits = PulseLimits(
        workflow_step_s=config.workflow_step_max_s,
        activity_step_s=config.activity_step_max_s,
        commit_s=commit_max_s_of(config),
    )
    beat = member.beat if member is not None else None
    loop = asyncio.get_running_loop()
    return Pulse(loop, engine, StandIn(listener), limits, beat=beat, stopping=stopping.closing.is_set)


def store_of(config: Config) -> str | Store:
    """The store of a daemon, or its path."""
    if not is_url(config.data):
        return config.data
    return store_on(config.data, patience_s=config.store_patience_s)


def commit_max_s_of(config: Config) -> float:
    """How long a commit may last. A commit that waits for an unreachable database does not count as hanging."""
    if config.commit_max_s and is_url(config.data):
        return max(config.commit_max_s, config.store_patience_s + config.commit_max_s)
    return config.commit_max_s


class RpcDoors:
    """The gRPC servers of a daemon, one for each app, because a worker's request for work names no app.

    Args:
        control: The control of the daemon for its first app.
    """

    def __init__(
        self, config: Config, tokens: tuple[str, ...] | Tokens, engine: Engine, control: Control, meter: AppMeter
    ) -> None:
        self._config = config
        self._tokens = tokens
        self._engine = engine
        self._control = control
        self._meter = meter
        self._servers: dict[str, RpcServer] = {}

    @property
    def ports(self) -> Mapping[str, int]:
        """The port of each app; the first app comes first."""
        return {app_id: server.port for app_id, server in self._servers.items()}

    def add(self, hosted: HostedApp, port: int, sidecar: Sidecar) -> None:
        """Make the server of an app and take its port. It does not serve yet."""
        assert hosted.items is not None
        config = self._config
        facade = self._meter.facade(hosted)
        workers = WorkItems(hosted.workers, writer=hosted.items, watch=self._meter.activities(hosted.app_id))
        actor = actor_by(self._tokens)
        unread = UnreadAnswers(cut_off=lambda client: cut_off(server.port, client))
        services = [
            task_hub(facade, workers, app_id=sidecar.app_id, actor=actor, unread=unread),
            dapr(facade, sidecar, actor=actor, unread=unread),
        ]
        options = RpcOptions(
            api_tokens=self._tokens,
            receive_bytes_max=config.max_body_bytes or RECEIVE_BYTES_MAX,
            connections_max=connections_of(config).grpc,
        )
        server = create_server(services, options, host=config.host, port=port, shared=config.processes > 1)
        self._servers[hosted.app_id] = server

    def add_all(self, sidecar: Sidecar) -> None:
        """Make the servers of all apps.

        Args:
            sidecar: The sidecar of the first app.
        """
        first = self._engine.apps[self._engine.app_id]
        self.add(first, self._config.grpc_port, sidecar)
        beside = [hosted for app_id, hosted in self._engine.apps.items() if app_id != self._engine.app_id]
        for hosted, each in zip(beside, self._config.others, strict=True):
            control = self._control.of(hosted)
            sidecar = Sidecar(control, app_id=hosted.app_id, peers=hosted.peers, states=hosted.states)
            self.add(hosted, each.grpc_port, sidecar)

    async def start(self) -> None:
        """Begin to take calls."""
        for server in self._servers.values():
            await server.start()

    def watch_connections(self, tasks: TaskGroup) -> None:
        """Begin to close connections beyond the limit of each port."""
        for server in self._servers.values():
            tasks.start_soon(watch_connections, server.port, connections_of(self._config).grpc)

    async def stop(self, *, grace_s: float) -> None:
        """Take no more calls; calls under way get a grace."""
        # The streams of workers never end by themselves: without this they would use up the grace.
        for hosted in self._engine.apps.values():
            hosted.dispatcher.stop()
        async with anyio.create_task_group() as stopping:
            for server in self._servers.values():
                stopping.start_soon(partial(server.stop, grace_s=grace_s))


def others_of(config: Config, code: Sequence[App | None]) -> tuple[OtherApp, ...]:
    """Return the apps beside the first one in the engine's form."""
    others = []
    for each, app in zip(config.others, code or [None] * len(config.others), strict=True):
        app_id = each.app_id or (app.name if app is not None else NO_APP_ID)
        others.append(OtherApp(app_id, app, propagate=propagation(app_id), items=WorkItemWriter(app_id)))
    return tuple(others)


def operations_of(engine: Engine, meter: AppMeter, app_id: str) -> InstanceOperations | None:
    """Return the operations of the management API on the instances of another app; None if no host has the app."""
    hosted = engine.app_of(app_id)
    return hosted.management_through(meter.facade(hosted)) if hosted is not None else None


def connections_of(config: Config) -> Shares:
    """Return how many connections each port of this process may have."""
    return shares_of(open_files_max(), config.processes)


def meter_of(
    config: Config,
    tokens: tuple[str, ...] | Tokens,
    engine: Engine,
    sidecar: Sidecar,
    tasks: TaskGroup,
    stop: anyio.Event,
    ports: ExitStack,
) -> AppMeter:
    """Return the meter of requests and work, and serve the port for metrics. Without such a port count nothing."""
    if not config.metrics_port:
        return NoMeter()
    # Only a daemon with a port for metrics needs the library.
    from .telemetry.metrics_port import serve_metrics  # noqa: PLC0415

    return serve_metrics(config, tokens, engine, sidecar, tasks=tasks, stop=stop, ports=ports)


def ready_line(config: Config, host: str, http_port: int, grpc_ports: Mapping[str, int]) -> str:
    """Return the line that says that the daemon is ready, with its addresses. Programs parse it.

    Args:
        grpc_ports: The port of each app. The line has no name before the port of the first app, so that a daemon of one
            app has the same line.
    """
    first, *others = grpc_ports.items()
    more = "".join(f" grpc.{app_id}={address_of(host, port)}" for app_id, port in others)
    return f"Perdure ready: http=http://{address_of(host, http_port)} grpc={address_of(host, first[1])}{more}"
