"""Another engine under the same load and the same arithmetic as Perdure.

The CPU of all its processes and their children is the engine's. A peer has the operations of `Asking`
(`peer_process.py`), from which this module makes the rest.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias
from uuid import uuid4

from ..drivers.load import Driver, End, closed_loop
from ..drivers.measure import Usage, usage_of_trees
from ..workloads.workload import Extent, Shape, Workload
from .peer_dbos import dbos_on_database, dbos_on_postgres, dbos_on_sqlite
from .peer_process import Asking
from .peer_restate import restate
from .peers import DBOS_POSTGRES, DBOS_SQLITE, PEERS, RESTATE, home_of

WARM_UP = Extent(seconds=1.0)  # Restate's first second is a third slower
SIGNAL = "signal"  # the workflow that waits for an event, so it must exist before the event

# Called with its environment and an empty folder; yields the ids of its processes too, without their children.
OpenPeer: TypeAlias = Callable[[Path, Path], AbstractAsyncContextManager[tuple[Asking, Sequence[int]]]]

OPENERS: dict[str, OpenPeer] = {DBOS_SQLITE: dbos_on_sqlite, DBOS_POSTGRES: dbos_on_postgres, RESTATE: restate}


class PeerDriver(Driver):
    """Drives a peer. An instance is one request that waits for its end, unless it must exist before an event."""

    def __init__(self, ask: Asking, pids: Sequence[int]) -> None:
        super().__init__()
        self._ask = ask
        self._pids = pids
        self._outputs: dict[str, asyncio.Task[Any]] = {}

    async def start(self, workflow: str, value: Any) -> str:
        instance_id = uuid4().hex
        if workflow == SIGNAL:
            await self._ask("start", workflow, instance_id, value)
        else:
            self._outputs[instance_id] = asyncio.ensure_future(self._ask("call", workflow, instance_id, value))
        return instance_id

    async def raise_event(self, instance_id: str, name: str, value: Any) -> None:
        await self._ask("send", SIGNAL, instance_id, value)

    async def finish(self, instance_id: str) -> None:
        task = self._outputs.pop(instance_id, None)
        output = await (self._ask("wait", SIGNAL, instance_id, None) if task is None else task)
        self._ends[instance_id] = End(self.now_us(), output)

    def engine_usage(self) -> Usage:
        return usage_of_trees(self._pids)  # the server of its database is one of them


async def warm_up(driver: PeerDriver, workload: Workload) -> None:
    """Load a peer briefly, so that connections are made and code is loaded."""

    async def item(_: int) -> None:
        instance_id = await driver.start(workload.workflow, workload.input)
        if workload.shape is Shape.EVENTS:
            await driver.raise_event(instance_id, "", workload.output)
        await driver.finish(instance_id)

    await closed_loop(driver, item, lambda _: None, in_flight=workload.in_flight, extent=WARM_UP)


@asynccontextmanager
async def peer_driver(
    name: str, peers: Path, folder: Path, workload: Workload, database: str | None = None
) -> AsyncIterator[PeerDriver]:
    """Run a peer from the folder `peers`, with its store in an empty folder or on a database's server."""
    opener = OPENERS[name]
    if database is not None and name == DBOS_POSTGRES:
        opener = partial(dbos_on_database, database=database)
    async with opener(home_of(peers, PEERS[name]), folder) as (ask, pids):
        driver = PeerDriver(ask, pids)
        await warm_up(driver, workload)
        yield driver
