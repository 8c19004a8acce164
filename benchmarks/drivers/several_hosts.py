"""Several hosts in process: what a program gets that embeds the engine in as many processes.

Each process is a host with a part of the store, or one of the hosts on a database, and starts its share of the
instances itself, with ids of its own. The hosts begin when every one of them can reach all others, and what is shown
is of all together, by one clock.

The rule: no host sums up, and none leaves, before all loads are over. A host whose own load is over may still be at
work for the others'.
"""

import multiprocessing
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any

import anyio

from ...actors.cluster.membership import FixedMembership
from ...actors.store.part import Part
from ...daemon.hosts.processes import private_directory
from ..run_process import PipeProgress, run_alone
from ..workloads.workload import Extent, Workload
from .database_server import pid_of_server
from .in_process import EngineSetup, ProcessDriver, fresh_schema, one_host_driver, process_driver, usage_of_server
from .load import Progress, tally_loop
from .measure import LoadTally, RunOutcome, Usage, cpu_between, outcome_of

CONNECTED, OVER, GO_ON = "connected", "over", "go on"
PATIENCE_S = 60.0  # for a start or a stop
LOOK_AGAIN_S = 0.01


class HostEnded(Exception):
    """A host did not come to its end in order; it has said why on standard error."""

    def __init__(self, index: int, of: int) -> None:
        super().__init__(index, of)
        self.index = index
        self.of = of

    def __str__(self) -> str:
        return f"host {self.index + 1} of {self.of} did not end in order; why stands above"


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What one host is to do."""

    index: int
    of: int  # so many hosts there are
    setup: EngineSetup
    workload: Workload  # with this host's part of what is in flight
    extent: Extent
    database: str | None = None  # the address and schema that the hosts share; None: each has a file


async def run_several_hosts(setup: EngineSetup, workload: Workload, extent: Extent, progress: Progress) -> RunOutcome:
    """Load as many hosts at once as the setup has processes.

    Raises:
        HostEnded: One of them failed, or an instance did not return what it should have.
    """
    with private_directory(setup.processes) as sockets:
        tallies = await tallies_of(shares(setup, workload, extent, sockets), progress)
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
    server, of = await pid_of_server(database), setup.processes
    async with fresh_schema(database) as url:
        each = [
            Share(index=index, of=of, setup=setup, workload=workload, extent=extent, database=url)
            for index in range(of)
        ]
        tallies = await tallies_of(each, progress, lambda: usage_of_server(server))
    return outcome_of(tallies, workload.units)


def shares(setup: EngineSetup, workload: Workload, extent: Extent, sockets: str) -> list[Share]:
    """Deal the load out to hosts that each have a part of the store, and reach each other in a folder of sockets."""
    of, instances = setup.processes, extent.instances
    return [
        Share(
            index=index,
            of=of,
            setup=replace(setup, membership=FixedMembership(part=Part(index, of), directory=sockets)),
            workload=replace(workload, in_flight=part_of(workload.in_flight, index, of)),
            extent=replace(extent, instances=None if instances is None else part_of(instances, index, of)),
        )
        for index in range(of)
    ]


def part_of(number: int, index: int, of: int) -> int:
    """Deal a number out evenly; the first ones get what remains."""
    return number // of + (index < number % of)


async def tallies_of(
    shares: Sequence[Share], progress: Progress, server_usage: Callable[[], Usage | None] = lambda: None
) -> list[LoadTally]:
    """Run a host for each share; what a server has used that all share stands in the first tally."""
    async with running(shares, Watcher(progress, len(shares))) as hosts:
        with anyio.fail_after(PATIENCE_S):
            await all_say(hosts)
        before = server_usage()
        for host in hosts:
            host.go_on()
        await all_say(hosts)
        after = server_usage()
        for host in hosts:
            host.go_on()
        # Their times can be compared: on systems that have such hosts, the driver's clock is that of the machine.
        first, *others = await all_say(hosts)
    return [replace(first, server_cpu_s=cpu_between(before, after)), *others]


class Watcher:
    """Tells how far all are together."""

    def __init__(self, progress: Progress, of: int) -> None:
        self._progress = progress
        self._parts = [(0.0, 0)] * of

    def note(self, index: int, share: float, units: int) -> None:
        self._parts[index] = (share, units)
        all_shares, all_units = zip(*self._parts, strict=True)
        self._progress.part(sum(all_shares) / len(self._parts), sum(all_units))


@dataclass(slots=True)
class HostProcess:
    """A host's process, seen from here."""

    share: Share
    process: SpawnProcess
    pipe: Connection
    watcher: Watcher

    def hear(self) -> Any:
        """Wait until it has come so far, take in meanwhile how far it is, and return what it says.

        Raises:
            HostEnded: It never will.
        """
        try:
            while isinstance(said := self.pipe.recv(), tuple):
                self.watcher.note(self.share.index, *said)
        except EOFError:
            raise HostEnded(self.share.index, self.share.of) from None
        return said

    def go_on(self) -> None:
        self.pipe.send(GO_ON)

    def leave(self) -> None:
        """Wait until it is gone, which it is when nobody is there to tell it anything.

        Raises:
            HostEnded: It did not go in order.
        """
        self.pipe.close()
        self.process.join(PATIENCE_S)
        if self.process.exitcode != 0:
            raise HostEnded(self.share.index, self.share.of)


@asynccontextmanager
async def running(shares: Sequence[Share], watcher: Watcher) -> AsyncIterator[list[HostProcess]]:
    """Run a process for each share, and have all leave together."""
    context = multiprocessing.get_context("spawn")
    hosts: list[HostProcess] = []
    try:
        for share in shares:
            ours, theirs = context.Pipe()
            process = context.Process(target=host_main, args=(share, theirs))
            process.start()
            theirs.close()
            hosts.append(HostProcess(share, process, ours, watcher))
        yield hosts
        for host in hosts:
            host.pipe.close()
        for host in hosts:
            await anyio.to_thread.run_sync(host.leave)
    finally:
        for host in hosts:
            host.process.kill()
            host.process.join()
            host.pipe.close()


async def all_say(hosts: Sequence[HostProcess]) -> list[Any]:
    """Wait until all have come so far.

    Raises:
        HostEnded: In a group; one of them never will.
    """
    said: dict[int, Any] = {}

    async def hear(host: HostProcess) -> None:
        said[host.share.index] = await anyio.to_thread.run_sync(host.hear, abandon_on_cancel=True)

    async with anyio.create_task_group() as tasks:
        for host in hosts:
            tasks.start_soon(hear, host)
    return [said[host.share.index] for host in hosts]


# In the process of a host.


def host_main(share: Share, pipe: Connection) -> None:
    # Ctrl-C reaches the process that began the run, whose end of the pipe then closes.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    run_alone(be_host, share, pipe)


async def be_host(share: Share, pipe: Connection) -> None:
    """Be a host, and load it: say when all others can be reached, when the load is over, and what it came to.

    Raises:
        EOFError: The process that began the run is gone.
        WrongResult: An instance did not return what it should have.
    """

    async def come_to(point: str) -> None:
        pipe.send(point)
        assert await anyio.to_thread.run_sync(pipe.recv, abandon_on_cancel=True) == GO_ON

    if share.database is None:
        opened = process_driver(share.setup)
    else:
        opened = one_host_driver(share.setup, share.database, hosts=share.of)
    async with opened as driver:
        await connected(driver)
        await come_to(CONNECTED)
        over = lambda: come_to(OVER)  # noqa: E731
        pipe.send(await tally_loop(driver, share.workload, share.extent, PipeProgress(pipe), over))
        try:
            await anyio.to_thread.run_sync(pipe.recv, abandon_on_cancel=True)
        except EOFError:  # all have summed up
            return


async def connected(driver: ProcessDriver) -> None:
    peers = driver.engine.peers
    assert peers is not None
    while not peers.connected:  # noqa: ASYNC110  nobody else tells, and it is once
        await anyio.sleep(LOOK_AGAIN_S)
