"""A host of counters, and the destinations of its messages to other addresses."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio.lowlevel

from perdure.actors.address import Address
from perdure.actors.clock import Clock, SystemClock
from perdure.actors.hosting.host import Host, HostLimits
from perdure.actors.store.contract import Store
from perdure.actors.store.memory import MemoryStore

from .counter_actor import CounterType


class World:
    """A host of counters, and its messages to other addresses."""

    def __init__(self, store: Store | None = None, *, clock: Clock | None = None, limits: HostLimits | None = None):
        self.store = store or MemoryStore()
        self.counters = CounterType()
        self.outside: list[tuple[Address, Any]] = []
        self.host = Host(
            self.store,
            clock or SystemClock(),
            types={"counter": self.counters},
            routes={"outside": lambda address, body: self.outside.append((address, body))},
            limits=limits,
        )

    @asynccontextmanager
    async def running(self, *, within_s: float = 10) -> AsyncIterator["World"]:
        with anyio.fail_after(within_s):
            await self.host.open()
            async with self.host.running():
                yield self
