"""The inspector: reads the outside of actors from the store, many at a time.

The rule: one read is under way, and requests that come meanwhile go together in the
next. The way to the store's thread and back costs more than the read itself.

`Host.inspect` asks it for actors whose outside is not in memory.
"""

from ..address import Address
from ..errors import HostStopping
from ..store.contract import Inspection, Store
from ..store.errors import StoreError, as_store_error
from ..waiting.reply import Reply
from ..waiting.signal import Signal


class Inspector:
    """Gathers requests while the last read is under way."""

    BATCH = 256

    def __init__(self, store: Store) -> None:
        self._store = store
        self._queue: list[tuple[Address, Reply]] = []
        self._reading: list[tuple[Address, Reply]] = []
        self._work = Signal()
        self._closed = False

    async def inspect(self, address: Address) -> Inspection | None:
        """Read the outside of an actor as last committed; None if it does not exist.

        Raises:
            StoreError: It could not be read.
            HostStopping: The inspector is closed.
        """
        if self._closed:
            raise HostStopping
        reply = Reply()
        self._queue.append((address, reply))
        self._work.set()
        found: Inspection | None = await reply.wait()
        return found

    def close(self) -> None:
        """Answer all callers with `HostStopping`, and take no more requests."""
        self._closed = True
        for _, reply in (*self._reading, *self._queue):
            if not reply.done():
                reply.fail(HostStopping())
        self._queue.clear()

    async def run(self) -> None:
        """Read for all callers, until cancelled."""
        while True:
            await self._work.wait()
            while self._queue:
                self._reading, self._queue = self._queue[: self.BATCH], self._queue[self.BATCH :]
                await self._read(self._reading)
                self._reading = []

    async def _read(self, batch: list[tuple[Address, Reply]]) -> None:
        try:
            found = await self._store.inspect([address for address, _ in batch])
        except Exception as error:
            failure = as_store_error(error, "inspecting")
            for _, reply in batch:
                reply.fail(failure)
            return
        for (_, reply), inspection in zip(batch, found, strict=True):
            if isinstance(inspection, StoreError):
                reply.fail(inspection)
            else:
                reply.succeed(inspection)
