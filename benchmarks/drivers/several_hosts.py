"""Several hosts in process: what a program gets that embeds the engine in as many processes.

Each process is a host of one daemon with a part of the store, or one of the hosts on a database, and starts its
share of the instances itself, with ids of its own (`host_process.py`). They begin when every one of
them can reach all others, and what is shown is of all together, by one clock.

The one law: nobody sums up, and nobody leaves, before all loads are over. A
host whose own load is over may still be at work for the others'.
"""

import sys
from asyncio.subprocess import PIPE, Process, create_subprocess_exec
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TypeVar

import anyio
import msgspec

from ...daemon.hosts.processes import private_directory
from ..run_process import ProgressMessage
from ..workloads.workload import Workload
from .database_server import pid_of_server
from .host_process import Connected, Over, Share, Summed
from .load import Extent, Progress
from .measure import LoadTally, RunOutcome, Usage, cpu_between, outcome_of
from .postgres_driver import fresh_schema, usage_of_server
from .process_driver import EngineSetup

COMMAND = (sys.executable, "-m", f"{__package__}.host_process")
GO_ON = b"!"
PATIENCE_S = 60.0  # for a start or a stop
LINE_BYTES_MAX = 2**30  # a tally holds when each instance began and ended

Message = TypeVar("Message", Connected, Over, Summed)


class HostEnded(Exception):
    """A host did not come to its end in order; it has said why on standard error."""

    def __init__(self, share: Share) -> None:
        super().__init__(share)
        self.share = share

    def __str__(self) -> str:
        return f"host {self.share.index + 1} of {self.share.of} did not end in order; why stands above"


async def run_several_hosts(setup: EngineSetup, workload: Workload, extent: Extent, progress: Progress) -> RunOutcome:
    """Load as many hosts at once as the setup has processes.

    Raises:
        HostEnded: One of them failed, or an instance did not return what it should have.
    """
    with private_directory(setup.processes) as sockets:
        tallies = await _tallies(shares(setup, workload, extent, sockets), progress)
    return outcome_of(tallies, workload.units)


async def run_hosts_on_database(
    setup: EngineSetup, workload: Workload, extent: Extent, progress: Progress, database: str
) -> RunOutcome:
    """Load as many hosts at once as the setup has processes, all on a fresh schema of a database.

    Each has as many instances as one alone would have, and as many in flight: hosts are added for more work, not for
    the same.

    Raises:
        HostEnded: As above.
    """
    server = await pid_of_server(database)
    async with fresh_schema(database) as url:
        dealt = [
            msgspec.structs.replace(share, database=url, in_flight=workload.in_flight, instances=extent.instances)
            for share in shares(setup, workload, extent, sockets="")
        ]
        tallies = await _tallies(dealt, progress, lambda: usage_of_server(server))
    return outcome_of(tallies, workload.units)


async def _tallies(
    shares: Sequence[Share], progress: Progress, server_usage: Callable[[], Usage | None] = lambda: None
) -> Sequence[LoadTally]:
    """Run a host for each share; what a server has used that all share stands in the first tally."""
    async with running(shares, Watcher(progress, len(shares))) as hosts:
        with anyio.fail_after(PATIENCE_S):
            await hear_all(hosts, Connected)
        before = server_usage()
        go_on(hosts)
        await hear_all(hosts, Over)
        after = server_usage()
        go_on(hosts)
        summed = await hear_all(hosts, Summed)
    # Their times can be compared: on systems that have such hosts, the driver's clock is that of the machine.
    first, *others = (each.tally for each in summed)
    return [replace(first, server_cpu_s=cpu_between(before, after)), *others]


def shares(setup: EngineSetup, workload: Workload, extent: Extent, sockets: str) -> list[Share]:
    """What each host is to do."""
    of = setup.processes
    return [
        Share(
            index=index,
            of=of,
            folder=str(setup.folder),
            sockets=sockets,
            durability=setup.durability,
            always_replay=setup.always_replay,
            workload=workload.name,
            in_flight=part_of(workload.in_flight, index, of),
            seconds=extent.seconds,
            instances=None if extent.instances is None else part_of(extent.instances, index, of),
        )
        for index in range(of)
    ]


def part_of(number: int, index: int, of: int) -> int:
    """Deal a number out evenly; the first ones get what remains."""
    return number // of + (index < number % of)


class Watcher:
    """Tells how far all are together."""

    def __init__(self, progress: Progress, of: int) -> None:
        self._progress = progress
        self._of = of
        self._parts: dict[int, ProgressMessage] = {}

    def note(self, index: int, part: ProgressMessage) -> None:
        self._parts[index] = part
        parts = self._parts.values()
        self._progress.part(sum(each.share for each in parts) / self._of, sum(each.units for each in parts))


class HostProcess:
    """A host's process, seen from here."""

    def __init__(self, process: Process, share: Share, watcher: Watcher) -> None:
        self._process = process
        self._share = share
        self._watcher = watcher

    async def hear(self, kind: type[Message]) -> Message:
        """Wait until it says this, and take in meanwhile how far it is.

        Raises:
            HostEnded: It never will.
        """
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            message = msgspec.json.decode(line, type=ProgressMessage | Connected | Over | Summed)
            if isinstance(message, kind):
                return message
            assert isinstance(message, ProgressMessage), message
            self._watcher.note(self._share.index, message)
        raise HostEnded(self._share)

    def go_on(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(GO_ON)

    def leave(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()

    async def left(self) -> None:
        """Wait until it is gone.

        Raises:
            HostEnded: It did not go in order.
        """
        if await self._process.wait() != 0:
            raise HostEnded(self._share)

    async def kill(self) -> None:
        """End it at once. Harmless if it is gone."""
        if self._process.returncode is None:
            self._process.kill()
            await self._process.wait()


@asynccontextmanager
async def running(shares: Sequence[Share], watcher: Watcher) -> AsyncIterator[list[HostProcess]]:
    """Run a process for each share, and have all leave together."""
    hosts: list[HostProcess] = []
    try:
        for share in shares:
            process = await create_subprocess_exec(
                *(*COMMAND, msgspec.json.encode(share).decode()),
                cwd=share.folder,
                stdin=PIPE,
                stdout=PIPE,
                limit=LINE_BYTES_MAX,
                # What ends us from a terminal ends our end of the pipes, and with that the hosts, in order.
                start_new_session=True,
            )
            hosts.append(HostProcess(process, share, watcher))
        yield hosts
        for host in hosts:
            host.leave()
        with anyio.fail_after(PATIENCE_S):
            for host in hosts:
                await host.left()
    finally:
        with anyio.CancelScope(shield=True):
            for host in hosts:
                await host.kill()


def go_on(hosts: Sequence[HostProcess]) -> None:
    for host in hosts:
        host.go_on()


async def hear_all(hosts: Sequence[HostProcess], kind: type[Message]) -> list[Message]:
    """Wait until all have said this.

    Raises:
        HostEnded: In a group; one of them never will.
    """
    said: dict[HostProcess, Message] = {}

    async def hear(host: HostProcess) -> None:
        said[host] = await host.hear(kind)

    async with anyio.create_task_group() as tasks:
        for host in hosts:
            tasks.start_soon(hear, host)
    return [said[host] for host in hosts]
