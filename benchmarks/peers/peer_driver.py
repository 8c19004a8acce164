"""Another engine, driven by the same load as Perdure and judged by the same arithmetic.

All of its processes are others than the load's, and their CPU, with that of
their children, is the engine's. A peer offers what nearly every engine has,
`Calls`; what else the load wants is made of that here.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeAlias
from uuid import uuid4

from ..drivers.load import End
from ..drivers.measure import Counts, Usage, usage_of_self, usage_of_trees
from ..workloads.workload import Shape, Workload
from .peer_dbos import dbos_on_database, dbos_on_postgres, dbos_on_sqlite
from .peer_restate import restate
from .peers import DBOS_POSTGRES, DBOS_SQLITE, PEERS, RESTATE, home_of

WARM_UP_US = 1_000_000  # Restate's first second is a third slower
SIGNAL = "signal"  # the workflow that waits for an event, and so must be there before the event is


class Calls(Protocol):
    """What a peer can be asked for. Each may raise an error that says why the peer failed."""

    async def call(self, workflow: str, instance_id: str, value: Any) -> Any:
        """Start an instance, and return its output when it has ended."""
        ...

    async def start(self, workflow: str, instance_id: str, value: Any) -> None:
        """Start an instance; durable when this returns."""
        ...

    async def send(self, workflow: str, instance_id: str, value: Any) -> None:
        """Send the event that an instance waits for; durable when this returns."""
        ...

    async def wait(self, workflow: str, instance_id: str) -> Any:
        """Return the output of an instance that was started, when it has ended."""
        ...


# Opened with its environment and an empty folder; gives the ids of its processes too, without those of their children.
OpenPeer: TypeAlias = Callable[[Path, Path], AbstractAsyncContextManager[tuple[Calls, Sequence[int]]]]

OPENERS: dict[str, OpenPeer] = {DBOS_SQLITE: dbos_on_sqlite, DBOS_POSTGRES: dbos_on_postgres, RESTATE: restate}


class PeerDriver:
    """Asks a peer. An instance is one request that waits for its end, unless it must be there before an event."""

    def __init__(self, calls: Calls, pids: Sequence[int]) -> None:
        self._calls = calls
        self._pids = pids
        self._outputs: dict[str, asyncio.Task[Any]] = {}
        self._ends: dict[str, End] = {}

    def now_us(self) -> int:
        return time.perf_counter_ns() // 1000

    async def start(self, workflow: str, value: Any) -> str:
        instance_id = uuid4().hex
        if workflow == SIGNAL:
            await self._calls.start(workflow, instance_id, value)
        else:
            self._outputs[instance_id] = asyncio.create_task(self._calls.call(workflow, instance_id, value))
        return instance_id

    async def raise_event(self, instance_id: str, name: str, value: Any) -> None:
        await self._calls.send(SIGNAL, instance_id, value)

    async def finish(self, instance_id: str) -> None:
        task = self._outputs.pop(instance_id, None)
        output = await (self._calls.wait(SIGNAL, instance_id) if task is None else task)
        self._ends[instance_id] = End(self.now_us(), output)

    async def ends(self, instance_ids: Sequence[str]) -> list[End]:
        for instance_id in instance_ids:
            if instance_id not in self._ends:
                await self.finish(instance_id)
        return [self._ends[instance_id] for instance_id in instance_ids]

    def engine_usage(self) -> Usage:
        return usage_of_trees(self._pids)

    def load_usage(self) -> Usage | None:
        return usage_of_self()

    def server_usage(self) -> Usage | None:
        return None  # it is one of the peer's processes

    def counts(self) -> Counts | None:
        return None  # nobody tells


async def warm_up(driver: PeerDriver, workload: Workload) -> None:
    """Load a peer for a moment as it will be: connections are made then, and code that is loaded late."""
    until_us = driver.now_us() + WARM_UP_US

    async def lane() -> None:
        while True:
            instance_id = await driver.start(workload.workflow, workload.input)
            if workload.shape is Shape.EVENTS:
                await driver.raise_event(instance_id, "", workload.output)
            await driver.finish(instance_id)
            if driver.now_us() >= until_us:
                return

    await asyncio.gather(*(lane() for _ in range(workload.in_flight)))


@asynccontextmanager
async def peer_driver(
    name: str, peers: Path, folder: Path, workload: Workload, database: str | None = None
) -> AsyncIterator[PeerDriver]:
    """Run a peer.

    Args:
        database: On whose server a peer that uses PostgreSQL stores; None: on one of its own.
        peers: Where the peers are installed.
        folder: An empty one, for what it stores.
        workload: What it will be asked for.
    """
    opener = OPENERS[name]
    if database is not None and name == DBOS_POSTGRES:
        opener = partial(dbos_on_database, database=database)
    async with opener(home_of(peers, PEERS[name]), folder) as (calls, pids):
        driver = PeerDriver(calls, pids)
        await warm_up(driver, workload)
        yield driver
