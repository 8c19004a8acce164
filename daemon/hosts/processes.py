"""A daemon of several processes, from its first port to the end of its last process.

The one law: the parent holds what outlives a host (the ports, the folder of
their sockets) and takes no part in their work, so that nothing in there can
take it down. It imports neither the engine's servers nor the app.
"""

import contextlib
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from multiprocessing import get_context, resource_tracker
from multiprocessing.connection import wait
from multiprocessing.context import SpawnProcess
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import TYPE_CHECKING, NoReturn, Self, TypeAlias

from ...actors.cluster.membership import Membership
from ...actors.errors import PerdureError
from ...actors.store.part import Part
from ...actors.store.sqlite.layout import make_ready
from ...api.ports import CannotListen, ListenFlags
from ...http.serving.listener import address, listen, reserve
from ..config import Config
from ..loader import ImportFailed
from ..supervision import Failed, FromHost, Member, Stop
from .member import main
from .signals import STOP_SIGNALS, signals_held_back
from .supervisor import Supervisor

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

logger = logging.getLogger(__name__)

# Beyond the graces of its servers and of its activities, which it may take one after the other.
STOP_MARGIN_S = 10.0


class HostFailed(PerdureError):
    """A host could not start, and so the daemon does not."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why

    def __str__(self) -> str:
        return self.why


Target: TypeAlias = Callable[[Config, Member], None]
Pipe: TypeAlias = "Connection[Stop, FromHost]"


def supervise(config: Config, announce: Callable[[str], None], target: Target = main) -> None:
    """Run a daemon of several hosts until a signal or a request says to stop.

    Args:
        announce: Told the ready line, once, when all hosts are ready.
        target: What a host's process calls.

    Raises:
        CannotListen: A port cannot be had.
        StoreError: The store cannot be had, or not by so many hosts.
        ImportFailed, HostFailed: A host could not start; the message says why.
        SystemExit: The stop was not an ordered one.
    """
    with Signals() as signals, ExitStack() as held:
        config = take_ports(config, held)
        # Before the first host: each would make a new file where its own is missing.
        make_ready(config.data, parts=config.processes)
        directory = held.enter_context(private_directory(config.processes))
        patience_s = 2 * config.limits.stop_grace_s + STOP_MARGIN_S
        processes = held.enter_context(HostProcesses(config, directory, target, patience_s=patience_s))
        supervisor = Supervisor(processes, config.processes, announce=announce, patience_s=patience_s)
        supervisor.start(time.monotonic())
        watch(supervisor, processes, signals)
    if supervisor.failed is not None:
        raise_failed(supervisor.failed)
    if not supervisor.in_order:
        sys.exit(1)
    logger.info("stopped")


def raise_failed(failed: Failed) -> NoReturn:
    raise ImportFailed(failed.why) if failed.is_traceback else HostFailed(failed.why)


def watch(supervisor: Supervisor, processes: "HostProcesses", signals: "Signals") -> None:
    """Tell a supervisor what happens, until it is done."""
    while not supervisor.done:
        wait([signals.reader, *processes.pipes()], supervisor.wait_s(time.monotonic()))
        # In this order: an end that is not seen here is another signal, which wakes the next round,
        received = signals.received()
        # and what a process said last is heard before its end.
        ended = processes.ended()
        now_s = time.monotonic()
        for index, message in processes.messages():
            supervisor.hear(index, message, now_s)
        for index, code in ended:
            processes.forget(index)
            supervisor.note_end(index, code, now_s)
        for number in received:
            if number in STOP_SIGNALS:
                supervisor.told(signal.Signals(number).name, now_s)
        supervisor.act(time.monotonic())


class HostProcesses:
    """The processes, each with a pipe.

    When the block ends, however it does, so do the pipes, and then the hosts: by themselves, or killed.

    Args:
        patience_s: How long they may take to end by themselves.
    """

    def __init__(self, config: Config, directory: str, target: Target, *, patience_s: float) -> None:
        self._patience_s = patience_s
        self._config = config
        self._directory = directory
        self._target = target
        self._context = get_context("spawn")
        self._running: dict[int, tuple[SpawnProcess, Pipe]] = {}
        self._silent: set[int] = set()  # will say nothing any more
        # The first start would do it, and lift what holds the signals back (python/cpython, resource_tracker.py).
        resource_tracker.ensure_running()

    def start(self, index: int) -> None:
        ours, theirs = self._context.Pipe()
        with theirs:
            part = Part(index, self._config.processes)
            member = Member(membership=Membership(part=part, directory=self._directory), pipe=theirs)
            process = self._context.Process(
                target=self._target, args=(config_of(self._config, index), member), name=member.name
            )
            try:
                with signals_held_back():
                    process.start()
            except OSError:
                ours.close()
                raise
        self._running[index] = (process, ours)

    def send(self, index: int, stop: Stop) -> None:
        with contextlib.suppress(OSError):
            self._running[index][1].send(stop)

    def kill(self, index: int) -> None:
        process, _ = self._running[index]
        assert process.pid is not None
        kill_group(process.pid)
        process.kill()  # in case it has no group of its own yet

    def pipes(self) -> list[Pipe]:
        return [pipe for index, (_, pipe) in self._running.items() if index not in self._silent]

    def messages(self) -> Iterator[tuple[int, FromHost]]:
        """What hosts have said meanwhile."""
        for index, (_, pipe) in list(self._running.items()):
            try:
                while index not in self._silent and pipe.poll():
                    yield index, pipe.recv()
            except (EOFError, OSError):
                self._silent.add(index)

    def ended(self) -> list[tuple[int, int]]:
        """The hosts whose process has ended, and their exit codes."""
        codes = [(index, process.exitcode) for index, (process, _) in self._running.items()]
        return [(index, code) for index, code in codes if code is not None]

    def forget(self, index: int) -> None:
        """Clear up after a process that has ended."""
        process, pipe = self._running.pop(index)
        assert process.pid is not None
        if process.exitcode != 0:
            # Processes of activities, which would not notice.
            kill_group(process.pid)
        pipe.close()
        process.close()
        self._silent.discard(index)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # There are some left only if this process broke, its standard output being gone, for example.
        for _, pipe in self._running.values():
            pipe.close()
        end_s = time.monotonic() + self._patience_s
        for index, (process, _) in self._running.items():
            process.join(max(0.0, end_s - time.monotonic()))
            if process.exitcode is None:
                self.kill(index)


def kill_group(leader: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


def config_of(config: Config, index: int) -> Config:
    """The configuration of a host: metrics have a port each, as each counts its own."""
    return replace(config, metrics_port=config.metrics_port + index) if config.metrics_port else config


def take_ports(config: Config, held: ExitStack) -> Config:
    """Reserve the ports of a daemon, and settle which they are.

    Args:
        held: Gets what holds them.

    Raises:
        CannotListen, MetricsPortTaken: Somebody has one, or nobody may.
    """

    def take(name: str, port: int) -> int:
        flags = ListenFlags(config.flags["host"], config.flags[name])
        reserved = held.enter_context(closing(reserve(config.host, port, flags)))
        return address(reserved)[1]

    http_port, grpc_port = take("http_port", config.http_port), take("grpc_port", config.grpc_port)
    if config.metrics_port:
        for index in range(config.processes):
            try_metrics_port(config.host, config.metrics_port + index)
    return replace(config, http_port=http_port, grpc_port=grpc_port)


def try_metrics_port(host: str, port: int) -> None:
    try:
        listen(host, port).close()
    except CannotListen as error:
        from ..metrics_port import MetricsPortTaken  # noqa: PLC0415  imports servers

        raise MetricsPortTaken(error) from error


SOCKET_PATH_BYTES_MAX = 100  # 103 on macOS, 107 on Linux


def private_directory(processes: int) -> "TemporaryDirectory[str]":
    """Make a folder for the hosts' sockets, which only this user may enter. Their paths must be short."""
    directory = TemporaryDirectory(prefix="perdure-")
    if len(os.fsencode(f"{directory.name}/{processes - 1}")) > SOCKET_PATH_BYTES_MAX:
        directory.cleanup()
        directory = TemporaryDirectory(prefix="perdure-", dir="/tmp")
    return directory


class Signals:
    """The signals that a supervisor heeds, as bytes that come out of a socket; and that children end, likewise."""

    def __enter__(self) -> Self:
        self.reader, self._writer = socket.socketpair()
        self.reader.setblocking(False)
        self._writer.setblocking(False)
        self._wakeup = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        numbers = (*STOP_SIGNALS, signal.SIGCHLD)
        self._handlers = {number: signal.signal(number, lambda *_: None) for number in numbers}
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup)
        self.reader.close()
        self._writer.close()

    def received(self) -> bytes:
        """The numbers of those that came meanwhile."""
        try:
            return self.reader.recv(4096)
        except BlockingIOError:
            return b""
