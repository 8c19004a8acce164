"""The loader: fills activations from the store, many at a time.

The rule: one batch is filled in while the next is read, and no further batch is
in memory. An activation that cannot be loaded does not affect the others of its batch.
A batch stays open while each round of the event loop brings more to it, for GATHER_ROUNDS at most.

`actors/hosting/mailroom.py` and `actors/hosting/failures.py` add activations.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import anyio
import anyio.lowlevel
from anyio.streams.memory import MemoryObjectReceiveStream

from ...journal.journal import Journal
from ...journal.vocabulary import LOADING_FAILED
from ..errors import ActorFailed, PerdureError
from ..store.contract import Store, Stored
from ..store.errors import StoreError, as_store_error
from ..turn import ActorType
from ..waiting.signal import Signal
from .activation import Activation

# Activations that were read together, and the rows of each, or the error of the read.
Batch: TypeAlias = tuple[Sequence[Activation], Sequence[Stored | StoreError | None] | StoreError]


class Loader:
    """Fills activations from the store.

    Args:
        loaded: Called with each activation that has its actor now.
        failed: Called with each activation that could not be loaded, and the error.
        journal: Logs reads that fail as a whole.
    """

    # A read costs the way to the store's thread and back, however small it is; a read
    # of more activations than this at once would delay the next reads.
    BATCH = 256
    # How many rounds of the event loop a batch stays open. Requests that arrive together become messages one after
    # the other, within these rounds. If the batch were read in the first round, every few requests would need a read
    # and a commit of their own. A batch to which a round has added nothing is read at once: a single request waits one
    # round.
    GATHER_ROUNDS = 3

    def __init__(
        self,
        store: Store,
        types: Mapping[str, ActorType],
        *,
        loaded: Callable[[Activation], None],
        failed: Callable[[Activation, PerdureError], None],
        journal: Journal | None = None,
    ) -> None:
        self._store = store
        self._types = types
        self._loaded = loaded
        self._failed = failed
        self._journal = (journal or Journal()).at(__name__)
        self._queue: deque[Activation] = deque()
        self._loading = 0
        self._work = Signal()
        self._room = Signal()

    def __len__(self) -> int:
        """How many activations are being loaded, or wait to be loaded."""
        return len(self._queue) + self._loading

    def add(self, activation: Activation) -> None:
        """Put an activation in line."""
        assert activation.actor is None
        self._queue.append(activation)
        self._work.set()

    async def room(self) -> None:
        """Wait until no more than one batch is in line. The reminder loop calls it; only one task may wait."""
        while len(self._queue) > self.BATCH:
            await self._room.wait()

    async def run(self) -> None:
        """Load the activations that are added, until cancelled."""
        # A stream without a buffer: one batch is filled in while the next is read.
        read, filled = anyio.create_memory_object_stream[Batch](0)
        # The stream is closed when its reader has ended: a reader that wakes as the stream is closed raises an error.
        async with read, filled, anyio.create_task_group() as tasks:
            tasks.start_soon(self._fill_in, filled)
            while True:
                await self._work.wait()
                while self._queue:
                    await self._gather()
                    activations = [self._queue.popleft() for _ in range(min(len(self._queue), self.BATCH))]
                    self._loading += len(activations)
                    self._room.set()
                    await read.send((activations, await self._read(activations)))

    async def _gather(self) -> None:
        """Keep the batch open for activations that are added together with the ones in line."""
        for _ in range(self.GATHER_ROUNDS):
            in_line = len(self._queue)
            if in_line >= self.BATCH:
                return
            await anyio.lowlevel.checkpoint()
            if len(self._queue) == in_line:
                return

    async def _read(self, activations: Sequence[Activation]) -> Sequence[Stored | StoreError | None] | StoreError:
        try:
            return await self._store.load([activation.address for activation in activations])
        except Exception as error:
            return as_store_error(error, "loading")

    async def _fill_in(self, batches: MemoryObjectReceiveStream[Batch]) -> None:
        async for activations, found in batches:
            if isinstance(found, StoreError):
                self._journal.write(
                    LOADING_FAILED, found=len(activations), reason=str(found), error_type=type(found).__name__
                )
                for activation in activations:
                    if not activation.dropped:
                        self._failed(activation, found)
            else:
                for position, (activation, stored) in enumerate(zip(activations, found, strict=True)):
                    if not activation.dropped:  # else its shard has left
                        self._fill(activation, stored)
                    # Many actors take a while, and so does a long history: let other tasks run.
                    if position % 32 == 31 or (isinstance(stored, Stored) and len(stored.entries) > 1_000):
                        await anyio.lowlevel.checkpoint()
            self._loading -= len(activations)

    def _fill(self, activation: Activation, stored: Stored | StoreError | None) -> None:
        if isinstance(stored, StoreError):
            self._failed(activation, stored)
            return
        try:
            actor = self._types[activation.address.type].activate(activation.address, stored)
        except Exception as error:
            if stored is not None:
                activation.key, activation.active, activation.facets = stored.key, stored.active, stored.facets
            self._failed(activation, ActorFailed(activation.address, error))
            return
        activation.actor = actor
        if stored is not None:
            activation.key = stored.key
            activation.active = stored.active
            activation.facets = stored.facets
            activation.busy = stored.active  # until its first turn sets it
        self._loaded(activation)
