"""The daemon: an engine and its HTTP server, from the first byte to the last.

The one law: the port first, then the store, then the line that says ready; and
backwards on the way out, so that what was answered was kept.
"""

import importlib.metadata
import importlib.util
import logging
import os
import signal
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from functools import partial
from typing import Protocol

import anyio
from anyio.abc import TaskGroup, TaskStatus

from ..actors.store.durability import Durability
from ..api.ports import ListenFlags, address_of
from ..api.sidecar import Sidecar
from ..http.app import BODY_BYTES_MAX, HttpOptions, create_app
from ..http.serving.listener import address, listen, share
from ..http.serving.server import serve
from ..rpc.services.dapr import dapr
from ..rpc.services.task_hub import task_hub
from ..rpc.services.work_items import WorkItems
from ..rpc.serving.server import RECEIVE_BYTES_MAX, RpcOptions, RpcServer, create_server
from ..rpc.wire.propagation import propagation
from ..runtime.authoring.app import App
from ..runtime.engine import Engine
from ..runtime.observer import ActivityWatch
from ..runtime.operations.facade import Facade
from .collector import calm_collector
from .config import Config
from .supervision import Member, ShutdownAsked

logger = logging.getLogger(__name__)

RPC_GRACE_S = 2.0  # for unary calls under way; waits for an instance's end are cut off


def run(config: Config, app: App | None, announce: Callable[[str], None], member: Member | None = None) -> None:
    """Serve until a signal or a request says to stop.

    Args:
        announce: Told the ready line, once.
        member: What makes this process one of several; it is the supervisor then that says to stop.

    Raises:
        PerdureError: It could not start; the message says why.
    """
    uvloop = importlib.util.find_spec("uvloop") is not None
    try:
        anyio.run(main, config, app, announce, member, backend="asyncio", backend_options={"use_uvloop": uvloop})
    except BaseExceptionGroup as group:
        raise sole(group) from None


async def main(config: Config, app: App | None, announce: Callable[[str], None], member: Member | None) -> None:
    settings = config.settings(app.name if app is not None else None)
    options = HttpOptions(
        app_id=settings.app_id,
        api_tokens=config.api_tokens,
        body_bytes_max=config.max_body_bytes or BODY_BYTES_MAX,
    )
    engine = Engine(
        app,
        data=config.data,
        durability=Durability(config.durability),
        settings=settings,
        propagate=propagation(settings.app_id),
        membership=member.membership if member is not None else None,
    )
    with ExitStack() as ports:
        flags = ListenFlags(config.flags["host"], config.flags["http_port"])
        take = listen if member is None else share
        listener = ports.enter_context(closing(take(config.host, config.http_port, flags)))
        async with anyio.create_task_group() as tasks:
            stopping = Stopping(tasks.cancel_scope)
            shut_down = stopping.tell if member is None else partial(ask_supervisor, member)
            control = Control(engine, app, stopping, shut_down)
            sidecar = Sidecar(control, app_id=settings.app_id, peers=engine.peers)
            facade, watch = metered(config, engine, sidecar, tasks, stopping, ports)
            rpc = rpc_server(config, engine, facade, sidecar, watch)

            def ready() -> None:
                calm_collector()
                announce(ready_line(config, *address(listener), rpc.port))
                logger.info("serving %s from %s", app or "no app", config.data)

            if member is None:
                await tasks.start(watch_signals, stopping)
            else:
                tasks.start_soon(watch_supervisor, member, stopping)
            async with engine:
                stopping.started = True
                await rpc.start()
                web = create_app(facade, options, sidecar)
                await serve(web, listener=listener, stop=stopping.told, ready=ready, grace_s=settings.stop_grace_s)
                # The streams of workers end first: they would take all of the grace.
                engine.dispatcher.stop()
                await rpc.stop(grace_s=0 if stopping.forced else RPC_GRACE_S)
                if stopping.forced:
                    tasks.cancel_scope.cancel()
            tasks.cancel_scope.cancel()
    logger.info("stopped")


def rpc_server(
    config: Config, engine: Engine, facade: Facade, sidecar: Sidecar, watch: ActivityWatch | None
) -> RpcServer:
    """The gRPC server, with its port and not serving yet."""
    app_id = sidecar.app_id
    items = WorkItems(engine.dispatcher, app_id=app_id, watch=watch, processes=config.processes)
    services = [
        task_hub(facade, items, app_id=app_id),
        dapr(facade, sidecar),
    ]
    options = RpcOptions(api_tokens=config.api_tokens, receive_bytes_max=config.max_body_bytes or RECEIVE_BYTES_MAX)
    where = address_of(config.host, config.grpc_port)
    return create_server(
        services, options, address=where, port_flag=config.flags["grpc_port"], shared=config.processes > 1
    )


def metered(
    config: Config, engine: Engine, sidecar: Sidecar, tasks: TaskGroup, stopping: "Stopping", ports: ExitStack
) -> tuple[Facade, ActivityWatch | None]:
    """The engine's facade; with a port for metrics, one that counts, what counts executions, and all of it there."""
    if not config.metrics_port:
        return engine.facade, None
    # Only a daemon with a port for them needs the library.
    from ..telemetry.metrics import ExecutionMetrics, Gauges, MeteredFacade, Metrics  # noqa: PLC0415
    from .metrics_port import listen_for_metrics  # noqa: PLC0415

    gauges = Gauges(
        turns=lambda: engine.turns,
        commits=lambda: engine.commits,
        active_actors=sidecar.active_actors,
        connected_workers=sidecar.control.connected_workers,
    )
    metrics = Metrics(app_id=sidecar.app_id, gauges=gauges)
    listener = ports.enter_context(closing(listen_for_metrics(config.host, config.metrics_port)))
    tasks.start_soon(partial(serve, metrics.app(), listener=listener, stop=stopping.told, grace_s=RPC_GRACE_S))
    executions = ExecutionMetrics(metrics)
    engine.observe(executions)
    return MeteredFacade(engine.facade, metrics), executions


def ready_line(config: Config, host: str, http_port: int, grpc_port: int) -> str:
    """Say where the daemon can be reached."""
    return f"Perdure ready: http=http://{address_of(host, http_port)} grpc={address_of(host, grpc_port)}"


class Stopping:
    """Whether the daemon was told to stop, and how."""

    def __init__(self, work: anyio.CancelScope) -> None:
        self.told = anyio.Event()
        self.forced = False  # running activities are not waited for
        self.started = False  # there is something to stop in order
        self._work = work

    def tell(self, *, force: bool = False) -> None:
        self.forced |= force
        self.told.set()
        if not self.started:
            # The store is being opened, and nobody was promised anything yet.
            self._work.cancel()


async def watch_signals(stopping: Stopping, *, task_status: TaskStatus[None]) -> None:
    """Stop in order at the first signal, and at once at the second."""
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        task_status.started()
        async for received in signals:
            name = signal.Signals(received).name
            if stopping.told.is_set():
                logger.warning("stopped at once by a second signal, %s; what was acknowledged is in the store", name)
                # Not sys.exit, which would wait for threads of activities.
                os._exit(1)
            logger.info("stopping because of %s; a second signal stops at once", name)
            stopping.tell()


async def watch_supervisor(member: Member, stopping: Stopping) -> None:
    """Stop in order when the supervisor says so, or when it is no more."""
    while (stop := await member.hear()) is not None:
        stopping.tell(force=stop.force)
    if not stopping.told.is_set():
        logger.error("stopping because the supervisor is gone")
        stopping.tell()


def ask_supervisor(member: Member, *, force: bool) -> None:
    """Ask for the end of the whole daemon, of which this process is a part."""
    member.say(ShutdownAsked(force))


class ShutDown(Protocol):
    """Begins the end of the daemon."""

    def __call__(self, *, force: bool) -> None: ...


class Control:
    """The daemon, as HTTP and gRPC see it (`api/control.py`)."""

    def __init__(self, engine: Engine, app: App | None, stopping: Stopping, shut_down: ShutDown) -> None:
        self._engine = engine
        self._app = app
        self._stopping = stopping
        self._shut_down = shut_down
        self._peers = engine.peers

    def ready(self) -> bool:
        return (
            self._engine.ready and not self._stopping.told.is_set() and (self._peers is None or self._peers.connected)
        )

    def shutdown(self, force: bool) -> None:
        logger.info("stopping because of a request to /v1.0/shutdown%s", ", forced" if force else "")
        self._shut_down(force=force)

    def connected_workers(self) -> int:
        return self._engine.dispatcher.connected + (0 if self._app is None else 1)

    def active_actors(self) -> Mapping[str, int]:
        return self._engine.active_actors()

    @property
    def runtime_version(self) -> str:
        try:
            return importlib.metadata.version("perdure")
        except importlib.metadata.PackageNotFoundError:  # run from a source tree that was never installed
            return "unknown"


def sole(group: BaseExceptionGroup) -> BaseException:
    """The exception that a task group wrapped up, if there is only one in it."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error
