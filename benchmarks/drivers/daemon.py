"""A daemon as a process of its own, to be measured, killed and started again."""

import os
import re
import signal
import sys
from asyncio.subprocess import PIPE, Process, create_subprocess_exec
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import anyio

from ..workloads import app as under_test
from .in_process import EngineSetup
from .measure import Usage, usage_of_trees

PATIENCE_S = 60.0  # for a start or a stop
READY = re.compile(r"Perdure ready: http=http://(?P<host>[^ ]+):(?P<port>\d+) grpc=\S+:(?P<grpc_port>\d+)\n")
APP = f"{under_test.__name__}:app"


def clean_environment() -> dict[str, str]:
    """Our environment without what would configure a daemon or an SDK."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PERDURE_", "DAPR_"))}


def run_command(setup: EngineSetup, *arguments: str) -> list[str]:
    """`perdure run` on the store of a setup, on free ports."""
    return [
        *(sys.executable, "-m", __name__.partition(".")[0], "run", *arguments),
        *("--http-port", "0", "--grpc-port", "0", "--log-level", "warning"),
        *("--data", str(setup.store), "--durability", setup.durability),
        *(["--always-replay"] if setup.always_replay else []),
        *(["--processes", str(setup.processes)] if setup.processes > 1 else []),
    ]


class DaemonFailed(Exception):
    """The daemon did not start, or not stop; its standard error is shown above."""


class Daemon:
    """`perdure run` with the app under test.

    Args:
        variables: Added to its environment.
        options: Added to its command line.
    """

    def __init__(self, setup: EngineSetup, variables: Mapping[str, str], options: Sequence[str] = ()) -> None:
        self._command = [*run_command(setup, APP), *options]
        self._folder: Path = setup.folder
        self._variables = variables
        self._process: Process | None = None
        self.host = ""
        self.port = 0

    async def start(self) -> None:
        """Start it and wait until it is ready.

        Raises:
            DaemonFailed: It is not ready, and never will be.
        """
        environment = {**clean_environment(), **self._variables}
        self._process = await create_subprocess_exec(*self._command, cwd=self._folder, env=environment, stdout=PIPE)
        assert self._process.stdout is not None
        line = b""
        with anyio.move_on_after(PATIENCE_S):
            line = await self._process.stdout.readline()
        match = READY.fullmatch(line.decode())
        if match is None:
            raise DaemonFailed(f"the daemon said {line.decode()!r} and not that it is ready")
        self.host, self.port = match["host"], int(match["port"])

    async def stop(self) -> None:
        """Stop it in order.

        Raises:
            DaemonFailed: It did not, or not in order.
        """
        process = self._running()
        process.send_signal(signal.SIGTERM)
        with anyio.move_on_after(PATIENCE_S):
            await process.wait()
        if process.returncode != 0:
            await self.kill()
            raise DaemonFailed(f"the daemon ended with {process.returncode}, not 0")

    def crash(self) -> None:
        """kill -9, at this moment."""
        self._running().kill()

    async def kill(self) -> None:
        """End it as a crash would, and wait until it is gone. Harmless if it is."""
        if self._process is not None and self._process.returncode is None:
            kill_tree(self._process.pid)
            await self._process.wait()

    @property
    def pid(self) -> int:
        return self._running().pid

    def usage(self) -> Usage:
        """Of all its processes together."""
        return usage_of_trees([self.pid])

    def _running(self) -> Process:
        assert self._process is not None
        return self._process


@asynccontextmanager
async def killed_in_the_end(daemon: Daemon) -> AsyncIterator[Daemon]:
    """Have a daemon for a block, which starts it; whatever happens, nothing of it is left."""
    try:
        yield daemon
    finally:
        with anyio.CancelScope(shield=True):
            await daemon.kill()


@asynccontextmanager
async def serving(daemon: Daemon) -> AsyncIterator[Daemon]:
    """Start a daemon, and stop it in order if the block ends in order."""
    async with killed_in_the_end(daemon):
        await daemon.start()
        yield daemon
        await daemon.stop()


def kill_tree(pid: int) -> None:
    """End a process and all that it started, which would otherwise stop in order, on files that are about to go."""
    import psutil  # noqa: PLC0415  the extra

    with suppress(psutil.NoSuchProcess):
        root = psutil.Process(pid)
        children = root.children(recursive=True)
        root.kill()
        for child in children:
            with suppress(psutil.NoSuchProcess):
                child.kill()
