"""Several hosts in process, as for a program that embeds the engine in several processes.

Each process is a host with a part of the store, or a host on a database, and starts its share of the instances, with
ids of its own. The load begins when every host can reach all others. The figures are of all hosts together, with one
clock.

The rule: no host sums up or leaves before all loads are over, because it may still work for the loads of others.
"""

import signal
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from typing import Any, cast

import anyio

from ...actors.cluster.membership import FixedMembership
from ...actors.store.part import Part
from ...daemon.hosts.processes import private_directory
from ..run_process import Child, PipeProgress, child, run_alone
from ..workloads.workload import Extent, Workload
from .database_server import pid_of_server
from .in_process import EngineSetup, ProcessDriver, fresh_schema, one_host_driver, process_driver, usage_of_server
from .load import Progress, tally_loop
from .measure import LoadTally, RunOutcome, Usage, cpu_between, outcome_of
from .processes import ProcessEnded

CONNECTED, OVER, GO_ON = "connected", "over", "go on"
PATIENCE_S = 60.0  # for a start or a stop
LOOK_AGAIN_S = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    setup: EngineSetup  # for `processes` hosts
    workload: Workload  # with this host's share of the instances in flight
    extent: Extent
    database: str | None = None  # the address and schema that the hosts share; None: each has a file


async def run_several_hosts(setup: EngineSetup, workload: Workload, extent: Extent, progress: Progress) -> RunOutcome:
    """Load `setup.processes` hosts at the same time.

    Raises:
        ProcessEnded: A host has failed, or an instance returned a wrong value.
    """
    with private_directory(setup.processes) as sockets:
        tallies = await tallies_of(shares(setup, workload, extent, sockets), progress)
    return outcome_of(tallies, workload.units)


async def run_hosts_on_database(
    setup: EngineSetup, workload: Workload, extent: Extent, progress: Progress, database: str
) -> RunOutcome:
    """Load `setup.processes` hosts at the same time on a new schema of a database.

    Each has as many instances, and as many in flight, as a single host.
    """
    server = await pid_of_server(database)
    async with fresh_schema(database) as url:
        each = Share(setup=setup, workload=workload, extent=extent, database=url)
        tallies = await tallies_of([each] * setup.processes, progress, lambda: usage_of_server(server))
    return outcome_of(tallies, workload.units)


def shares(setup: EngineSetup, workload: Workload, extent: Extent, sockets: str) -> list[Share]:
    """Divide the load among hosts that each have a part of the store, and sockets in one folder."""
    of, instances = setup.processes, extent.instances
    return [
        Share(
            setup=replace(setup, membership=FixedMembership(part=Part(index, of), directory=sockets)),
            workload=replace(workload, in_flight=part_of(workload.in_flight, index, of)),
            extent=replace(extent, instances=None if instances is None else part_of(instances, index, of)),
        )
        for index in range(of)
    ]


def part_of(number: int, index: int, of: int) -> int:
    return number // of + (index < number % of)


async def tallies_of(
    shares: Sequence[Share], progress: Progress, server_usage: Callable[[], Usage | None] = lambda: None
) -> list[LoadTally]:
    """Run a host for each share; the usage of a shared server is in the first tally."""
    parts = [(0.0, 0)] * len(shares)  # the progress of each
    with ExitStack() as stack:
        hosts = [stack.enter_context(child(host_main, share)) for share in shares]

        async def all_say() -> list[Any]:
            return await anyio.to_thread.run_sync(hear, hosts, parts, progress, abandon_on_cancel=True)

        with anyio.fail_after(PATIENCE_S):
            await all_say()
        before = server_usage()
        go_on(hosts)
        await all_say()
        after = server_usage()
        go_on(hosts)
        # Their times are comparable: on such systems the driver's clock is the machine's.
        first, *others = await all_say()
        leave(hosts)
    return [replace(first, server_cpu_s=cpu_between(before, after)), *others]


def hear(hosts: Sequence[Child], parts: list[tuple[float, int]], progress: Progress) -> list[Any]:
    """Wait for a message of each host, report their progress meanwhile, and return the messages."""
    silent = {host.pipe: index for index, host in enumerate(hosts)}
    said: dict[int, Any] = {}
    while silent:
        for pipe in cast(list[Connection], wait(list(silent))):
            index = silent[pipe]
            try:
                told = pipe.recv()
            except EOFError:
                raise ended(index, hosts) from None
            if isinstance(told, tuple):
                parts[index] = told
                progress.part(sum(share for share, _ in parts) / len(parts), sum(units for _, units in parts))
            else:
                said[silent.pop(pipe)] = told
    return [said[index] for index in range(len(hosts))]


def go_on(hosts: Sequence[Child]) -> None:
    for host in hosts:
        host.pipe.send(GO_ON)


def leave(hosts: Sequence[Child]) -> None:
    for host in hosts:
        host.pipe.close()
    for index, host in enumerate(hosts):
        host.process.join(PATIENCE_S)
        if host.process.exitcode != 0:
            raise ended(index, hosts)


def ended(index: int, hosts: Sequence[Child]) -> ProcessEnded:
    return ProcessEnded(f"host {index + 1} of {len(hosts)} did not end in order; why stands above")


def host_main(share: Share, pipe: Connection) -> None:
    # Ctrl-C ends the parent, which closes its end of the pipe.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    run_alone(be_host, share, pipe)


async def be_host(share: Share, pipe: Connection) -> None:
    """Run a host and its load. It reports that all others can be reached, the end of its load, and its tally."""

    async def told() -> None:
        assert await anyio.to_thread.run_sync(pipe.recv, abandon_on_cancel=True) == GO_ON

    async def over() -> None:
        pipe.send(OVER)
        await told()

    if share.database is None:
        opened = process_driver(share.setup)
    else:
        opened = one_host_driver(share.setup, share.database, hosts=share.setup.processes)
    async with opened as driver:
        await connected(driver)
        pipe.send(CONNECTED)
        await told()
        pipe.send(await tally_loop(driver, share.workload, share.extent, PipeProgress(pipe), over))
        with suppress(EOFError):  # the parent closes the pipe when all have summed up
            await told()


async def connected(driver: ProcessDriver) -> None:
    peers = driver.engine.peers
    assert peers is not None
    while not peers.connected:  # noqa: ASYNC110  there is no event for it, and it is once
        await anyio.sleep(LOOK_AGAIN_S)
