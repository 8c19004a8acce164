"""The inspector: reads the outside of actors from the store, many at a time.

The rule: one read is under way at a time, and requests that come meanwhile share the
next. The way to the store's thread and back costs more than the read itself.

`Host.inspect` uses it for actors whose outside is not in memory.
"""

from collections.abc import Callable
from contextlib import suppress

from msgspec.structs import replace

from ...address import Address
from ...errors import HostStopping, PerdureError
from ...store.contract import Inspection, Store
from ...store.errors import StoreError, as_store_error
from ...waiting.reply import Reply
from ...waiting.signal import Signal


class Inspector:
    """Gathers requests while the last read is under way.

    The number of actors for a read follows from the sizes of the last reads: the size of an actor is not known before.
    """

    BATCH = 256
    BATCH_FIRST = 16
    BATCH_BYTES = 8 * 1024 * 1024  # a read of several actors with more bytes is too large

    def __init__(self, store: Store, *, refusal: Callable[[], PerdureError] = HostStopping) -> None:
        self._store = store
        self._refusal = refusal  # makes the error for callers once it is closed
        self._queue: list[tuple[Address, Reply]] = []
        self._reading: list[tuple[Address, Reply]] = []
        self._work = Signal()
        self._closed = False
        self._batch = self.BATCH_FIRST

    async def inspect(self, address: Address) -> Inspection | None:
        """Read the outside of an actor as last committed; None if it does not exist.

        Raises:
            StoreError: It could not be read.
            HostStopping: The inspector is closed.
        """
        if self._closed:
            raise self._refusal()
        reply = Reply()
        self._queue.append((address, reply))
        self._work.set()
        found: Inspection | None = await reply.wait()
        return found

    async def inspect_stalled(self, address: Address, reason: str) -> Inspection:
        """Read the readable part of the outside of an actor that cannot be loaded.

        Raises:
            HostStopping: The inspector is closed.
        """
        found: Inspection | None = None
        with suppress(StoreError):
            found = await self.inspect(address)
        return replace(found or Inspection(b"", None, None, 0), stalled=reason)

    def close(self) -> None:
        """Answer all callers with the refusal, and refuse later requests."""
        self._closed = True
        for _, reply in (*self._reading, *self._queue):
            if not reply.done():
                reply.fail(self._refusal())
        self._queue.clear()

    async def run(self) -> None:
        """Read for all callers, until cancelled."""
        while True:
            await self._work.wait()
            while self._queue:
                self._reading, self._queue = self._queue[: self._batch], self._queue[self._batch :]
                await self._read(self._reading)
                self._reading = []

    async def _read(self, batch: list[tuple[Address, Reply]]) -> None:
        # Each address once: a thousand callers that inspect the same large instance share one copy of it.
        asked = list(dict.fromkeys([address for address, _ in batch]))
        try:
            found = dict(zip(asked, await self._store.inspect(asked), strict=True))
        except Exception as error:
            failure = as_store_error(error, "inspecting")
            for _, reply in batch:
                reply.fail(failure)
            return
        if sum(map(size_of, found.values())) > self.BATCH_BYTES:
            self._batch = max(1, self._batch // 4)
        elif len(batch) == self._batch:
            self._batch = min(self.BATCH, 2 * self._batch)
        for address, reply in batch:
            inspection = found[address]
            if isinstance(inspection, StoreError):
                reply.fail(inspection)
            else:
                reply.succeed(inspection)


def size_of(inspection: Inspection | StoreError | None) -> int:
    """The bytes of a read actor."""
    if inspection is None or isinstance(inspection, StoreError):
        return 0
    return len(inspection.record) + len(inspection.first or b"") + len(inspection.last or b"")
