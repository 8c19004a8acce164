"""One of several hosts in process: an engine with a part of the store, or on the database that all share, and its share
of the load beside it.

It reads what it is to do from its arguments, and writes lines of JSON to its
standard output. Each byte of its standard input says that all hosts have come
so far and that it may go on; the end of it says that it is to end, whether the
run is over or whoever began it is gone.
"""

import os
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import anyio
import msgspec

from ...actors.cluster.membership import FixedMembership
from ...actors.store.part import Part
from ..run_process import Teller, run_alone, write
from ..workloads.table import BY_NAME
from .load import Extent, tally_loop
from .measure import LoadTally
from .postgres_driver import one_host_driver
from .process_driver import EngineSetup, ProcessDriver, process_driver

STDIN = 0
LOOK_AGAIN_S = 0.01


class Share(msgspec.Struct):
    """What one host is to do."""

    index: int
    of: int  # so many hosts there are
    folder: str  # of the whole store
    sockets: str  # the folder of the hosts' sockets
    durability: str
    always_replay: bool
    workload: str
    in_flight: int
    seconds: float
    instances: int | None
    database: str | None = None  # the address and schema that the hosts share; None: each has a file

    def setup(self) -> EngineSetup:
        if self.database is not None:
            return EngineSetup(folder=Path(self.folder), always_replay=self.always_replay)
        return EngineSetup(
            folder=Path(self.folder),
            durability=self.durability,
            always_replay=self.always_replay,
            membership=FixedMembership(part=Part(self.index, self.of), directory=self.sockets),
        )


class Connected(msgspec.Struct, tag=True):
    """The host can reach all others."""


class Over(msgspec.Struct, tag=True):
    """The host's own load is over. It may still be at work for the others'."""


class Summed(msgspec.Struct, tag=True):
    """What the load came to; each result was checked."""

    tally: LoadTally


class Word:
    """What is heard from whoever began the run, one word at a time."""

    def __init__(self) -> None:
        self._heard = 0
        self._news = anyio.Event()

    async def next(self) -> None:
        """Wait until this host may go on."""
        while not self._heard:
            await self._news.wait()
        self._heard -= 1

    async def listen(self) -> None:
        """Hear words until there are no more."""
        while True:
            await anyio.wait_readable(STDIN)
            words = os.read(STDIN, 16)
            if not words:
                return
            self._heard += len(words)
            self._news.set()
            self._news = anyio.Event()


@asynccontextmanager
async def hearing() -> AsyncIterator[Word]:
    """Hear words; the block is cancelled when there are no more."""
    word = Word()

    async def listen() -> None:
        await word.listen()
        tasks.cancel_scope.cancel()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(listen)
        yield word
        tasks.cancel_scope.cancel()


async def be_host(share: Share) -> None:
    """Be a host, and load it.

    Raises:
        WrongResult: An instance did not return what it should have.
    """
    # The engine leaves in order even if the load was cancelled.
    async with driver_of(share) as driver, hearing() as word:
        await load(driver, share, word)
        await anyio.sleep_forever()


def driver_of(share: Share) -> AbstractAsyncContextManager[ProcessDriver]:
    """The engine of a host."""
    if share.database is not None:
        return one_host_driver(share.setup(), share.database, hosts=share.of)
    return process_driver(share.setup())


async def load(driver: ProcessDriver, share: Share, word: Word) -> None:
    peers = driver.engine.peers
    assert peers is not None
    while not peers.connected:  # noqa: ASYNC110  nobody else tells, and it is once
        await anyio.sleep(LOOK_AGAIN_S)
    write(Connected())
    await word.next()

    async def over() -> None:
        write(Over())
        await word.next()

    workload = BY_NAME[share.workload].with_in_flight(share.in_flight)
    extent = Extent(seconds=share.seconds, instances=share.instances)
    write(Summed(await tally_loop(driver, workload, extent, Teller(), over)))


def main(share_json: str) -> None:
    run_alone(be_host, msgspec.json.decode(share_json, type=Share))


if __name__ == "__main__":
    main(*sys.argv[1:])
