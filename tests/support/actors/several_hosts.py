"""Several hosts of counters in one event loop, with real sockets between them."""

import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import anyio

from perdure.actors.address import Address
from perdure.actors.clock import SystemClock
from perdure.actors.cluster.membership import FixedMembership, name_of
from perdure.actors.cluster.peers import Peers
from perdure.actors.hosting.host import Host
from perdure.actors.store.memory import MemoryStore
from perdure.actors.store.part import Part
from perdure.testing.faulty_store import FaultyStore

from .counter_actor import CounterType, counter, counter_vocabulary


@contextmanager
def socket_directory() -> Iterator[str]:
    """A folder with a short name: the path of a socket has about a hundred bytes."""
    directory = tempfile.mkdtemp(prefix="perdure-")
    try:
        yield directory
    finally:
        shutil.rmtree(directory)


class Member:
    """One host. It may be stopped and started again; its store stays."""

    def __init__(self, index: int, of: int, directory: str) -> None:
        self.membership = FixedMembership(part=Part(index, of), directory=directory)
        self.store = FaultyStore(MemoryStore(part=self.membership.part))
        self.counters = CounterType()
        self._new_host()
        self._stop = anyio.Event()
        self._stopped = anyio.Event()

    def owns(self, address: Address) -> bool:
        return self.host.placement.elsewhere(address) is None

    async def run(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Run until it is stopped."""
        await self.host.open()
        async with self.host.running():
            await self.peers.wait_for_all()
            task_status.started()
            await self._stop.wait()
        self._stopped.set()

    def tell_to_stop(self) -> None:
        self._stop.set()

    async def stop(self) -> None:
        self._stop.set()
        await self._stopped.wait()

    async def start_again(self, tasks: anyio.abc.TaskGroup) -> None:
        """Run once more, as a new process on the same store would."""
        self._new_host()
        self._stop, self._stopped = anyio.Event(), anyio.Event()
        await tasks.start(self.run)

    def _new_host(self) -> None:
        self.peers = Peers(self.membership, counter_vocabulary(), self.membership.transport())
        self.host = Host(
            self.store,
            SystemClock(),
            types={"counter": self.counters},
            routes={},
            name=name_of(self.membership.index),
            peers=self.peers,
        )


class Daemon:
    """All hosts, running."""

    def __init__(self, members: list[Member], tasks: anyio.abc.TaskGroup) -> None:
        self.members = members
        self.tasks = tasks

    def counter_of(self, index: int, name: str = "c") -> Address:
        """A counter that the host owns."""
        return next(
            address for number in range(10_000) if self.members[index].owns(address := counter(f"{name}-{number}"))
        )


@asynccontextmanager
async def several_hosts(of: int = 2, *, within_s: float = 20) -> AsyncIterator[Daemon]:
    with socket_directory() as directory, anyio.fail_after(within_s):
        members = [Member(index, of, directory) for index in range(of)]
        async with anyio.create_task_group() as tasks:
            async with anyio.create_task_group() as starts:
                for member in members:
                    starts.start_soon(tasks.start, member.run)
            yield Daemon(members, tasks)
            for member in members:
                member.tell_to_stop()
