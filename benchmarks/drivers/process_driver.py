"""The engine in the load's own process: what a program that embeds it gets."""

import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...actors.address import shard_of
from ...actors.cluster.membership import FixedMembership
from ...actors.instruments import SYSTEM
from ...actors.store.durability import Durability
from ...actors.store.part import WHOLE
from ...actors.store.sqlite.files import reading
from ...runtime.engine import Engine
from ...runtime.execution.ids import make_id
from ...runtime.instance.message import workflow_address
from ...runtime.settings import Settings
from ..workloads.app import app, client
from .load import End
from .measure import Counts, Usage, usage_of_self


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSetup:
    """The options of an engine, or a daemon, under test."""

    folder: Path  # an empty one, for the store and other files of the run
    durability: str = "full"
    always_replay: bool = False
    activations_max: int | None = None  # None: the engine's default
    processes: int = 1  # of the daemon
    membership: FixedMembership | None = None  # of an engine that is one of several hosts

    @property
    def store(self) -> Path:
        return self.folder / "perdure.db"

    @property
    def file(self) -> Path:
        """The file of this engine's part of the store."""
        part = self.membership.part if self.membership is not None else WHOLE
        return Path(part.path(str(self.store)))

    def settings(self) -> Settings:
        if self.activations_max is None:
            return Settings(always_replay=self.always_replay)
        return Settings(always_replay=self.always_replay, activations_max=self.activations_max)


class ProcessDriver:
    """Calls the engine's client. Latencies end when the client has the result, after the commit that holds it.

    Args:
        owns: Whether a shard is this host's, of several; None: all are.
    """

    def __init__(self, engine: Engine, setup: EngineSetup, *, owns: Callable[[int], bool] | None = None) -> None:
        self.engine = engine
        self._setup = setup
        self._owns = owns
        self._ends: dict[str, End] = {}

    def now_us(self) -> int:
        return time.perf_counter_ns() // 1000

    async def start(self, workflow: str, value: Any) -> str:
        return await self.engine.client.start(workflow, input=value, instance_id=self.own_id())

    def own_id(self) -> str | None:
        """An id of an instance that will be this host's own; None if all are.

        Without an id the engine spreads instances over all hosts, for callers who know only one of them. Here each
        host has callers of its own, so nothing is gained by that, and a start and a wait would often be a hop away.
        """
        if self._owns is None:
            return None
        while True:
            instance_id = make_id(SYSTEM)
            if self._owns(shard_of(workflow_address(instance_id).id, self.engine.store.shards)):
                return instance_id

    async def raise_event(self, instance_id: str, name: str, value: Any) -> None:
        await self.engine.client.raise_event(instance_id, name, value)

    async def finish(self, instance_id: str) -> None:
        state = await self.engine.client.wait(instance_id)
        self._ends[instance_id] = End(self.now_us(), state.output)

    async def ends(self, instance_ids: Sequence[str]) -> list[End]:
        for instance_id in instance_ids:
            if instance_id not in self._ends:
                await self.finish(instance_id)
        return [self._ends[instance_id] for instance_id in instance_ids]

    def engine_usage(self) -> Usage:
        return usage_of_self()

    def load_usage(self) -> Usage | None:
        return None

    def server_usage(self) -> Usage | None:
        return None

    def counts(self) -> Counts | None:
        with reading(self._setup.file) as connection:
            # Positions rise one by one, and counting the rows would read them all.
            (rows,) = connection.execute("SELECT ifnull(max(position), 0) FROM log").fetchone()
        return Counts(self.engine.commits, self.engine.turns, rows)


@asynccontextmanager
async def process_driver(setup: EngineSetup) -> AsyncIterator[ProcessDriver]:
    """Run an engine on a fresh SQLite file. Others may have other parts of the store."""
    engine = Engine(
        app,
        data=setup.store,
        durability=Durability(setup.durability),
        settings=setup.settings(),
        membership=setup.membership,
    )
    # Before the engine begins, so that its activities have it.
    client.set(engine.client)
    async with engine:
        yield ProcessDriver(engine, setup, owns=setup.membership.part.holds if setup.membership is not None else None)
