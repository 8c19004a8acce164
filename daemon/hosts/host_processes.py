"""The processes of a daemon's hosts, and the pipe to each.

The rule: no process of a host outlives the block that made it. `daemon/hosts/processes.py` opens the block, and
`daemon/hosts/supervisor.py` decides which hosts are started, stopped and killed.
"""

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from multiprocessing import get_context, resource_tracker
from multiprocessing.context import SpawnProcess
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeAlias

from ...actors.cluster.membership import FixedMembership
from ...actors.store.part import Part
from ..config import Config
from ..supervision import FromHost, Member, ToHost
from .signals import signals_held_back

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

Target: TypeAlias = Callable[[Config, Member], None]  # the main function of a host's process
Pipe: TypeAlias = "Connection[ToHost, FromHost]"


class HostProcesses:
    """The processes of the hosts by host number, each with a pipe.

    A context manager. At its end, also after an error, it closes the pipes, so that the hosts stop in order, and kills
    each host that has not ended in time.

    Args:
        config: The configuration of the daemon, with the ports that were taken.
        directory: The folder of the hosts' sockets.
        target: The function that the process of a host calls.
        patience_s: How long the hosts may take to end at the end of the block.
    """

    def __init__(self, config: Config, directory: str, target: Target, *, patience_s: float) -> None:
        self._patience_s = patience_s
        self._config = config
        self._directory = directory
        self._target = target
        self._context = get_context("spawn")
        self._running: dict[int, tuple[SpawnProcess, Pipe]] = {}
        self._silent: set[int] = set()  # hosts whose pipe has ended
        self._started: set[int] = set()  # hosts that have had a process
        # Otherwise the first `start` would start the tracker, which would unblock the signals that `signals_held_back`
        # blocks (python/cpython, resource_tracker.py).
        resource_tracker.ensure_running()

    def start(self, index: int) -> None:
        """Start the process of a host.

        Raises:
            OSError: The system cannot make a process.
        """
        ours, theirs = self._context.Pipe()
        with theirs:
            part = Part(index, self._config.processes)
            membership = FixedMembership(part=part, directory=self._directory)
            member = Member(membership=membership, pipe=theirs, first=index not in self._started)
            process = self._context.Process(
                target=self._target, args=(config_of(self._config, index), member), name=member.name
            )
            try:
                with signals_held_back():
                    process.start()
            except OSError:
                ours.close()
                raise
        self._started.add(index)
        self._running[index] = (process, ours)

    def send(self, index: int, message: ToHost) -> None:
        """Send a message to a host. The host may have ended already."""
        with contextlib.suppress(OSError):
            self._running[index][1].send(message)

    def kill(self, index: int) -> None:
        """End a host and the processes that it started, at once."""
        process, _ = self._running[index]
        assert process.pid is not None
        signal_group(process.pid, signal.SIGKILL)
        process.kill()  # in case it has no group of its own yet

    def go_on(self, index: int) -> bool:
        """Continue a host that a signal has stopped, and the processes that the host started.

        Returns:
            Whether the host was stopped. A host that a debugger has stopped does not count.
        """
        process, _ = self._running[index]
        assert process.pid is not None
        try:
            # WNOWAIT leaves the exit code of a process that has ended to `ended`.
            stopped = os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOHANG | os.WNOWAIT)
        except (ChildProcessError, AttributeError):  # it has ended; macOS has no waitid before Python 3.13
            return False
        if stopped is None:
            return False
        signal_group(process.pid, signal.SIGCONT)
        os.kill(process.pid, signal.SIGCONT)  # in case it has no group of its own yet
        return True

    def pipes(self) -> list[Pipe]:
        """Return the pipes that may still bring a message, to wait on."""
        return [pipe for index, (_, pipe) in self._running.items() if index not in self._silent]

    def messages(self) -> Iterator[tuple[int, FromHost]]:
        """Yield the messages that have arrived, each with the number of its host."""
        for index, (_, pipe) in list(self._running.items()):
            try:
                while index not in self._silent and pipe.poll():
                    yield index, pipe.recv()
            except (EOFError, OSError):
                self._silent.add(index)

    def ended(self) -> list[tuple[int, int]]:
        """Return the hosts whose process has ended, with their exit codes; -9 if signal 9 killed the host."""
        codes = [(index, process.exitcode) for index, (process, _) in self._running.items()]
        return [(index, code) for index, code in codes if code is not None]

    def forget(self, index: int) -> None:
        """Release the process of a host that has ended, and its pipe."""
        process, pipe = self._running.pop(index)
        assert process.pid is not None
        if process.exitcode != 0:
            # The processes of the host's activities, which would go on without it.
            signal_group(process.pid, signal.SIGKILL)
        pipe.close()
        process.close()
        self._silent.discard(index)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # Hosts are left here only after an error of this process, such as a closed standard output.
        for _, pipe in self._running.values():
            pipe.close()
        end_s = time.monotonic() + self._patience_s
        for index, (process, _) in self._running.items():
            process.join(max(0.0, end_s - time.monotonic()))
            if process.exitcode is None:
                self.kill(index)


def signal_group(leader: int, number: signal.Signals) -> None:
    """Send a signal to all processes that are left in a group.

    Args:
        leader: The number of the group: the process id of the host that leads it.
    """
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, number)


def config_of(config: Config, index: int) -> Config:
    """Return the configuration of one host. Each host has its own port for metrics, because each counts by itself."""
    return replace(config, metrics_port=config.metrics_port + index) if config.metrics_port else config
