"""Loading: from a row in the store to an activation, many at a time."""

import logging
from collections.abc import Callable, Mapping

import anyio

from .activation import Activation
from .errors import ActorFailed, PerdureError, as_store_error
from .signal import Signal
from .store.contract import Store, Stored
from .turn import ActorType

logger = logging.getLogger(__name__)


class Loader:
    """Fills activations from the store.

    Args:
        loaded: Called with each activation that has its actor now.
        failed: Called with each that could not be loaded, and why.
    """

    # One read crosses to the store's thread and back whatever it brings; more
    # than this at once would keep others waiting behind it.
    BATCH = 256

    def __init__(
        self,
        store: Store,
        types: Mapping[str, ActorType],
        *,
        loaded: Callable[[Activation], None],
        failed: Callable[[Activation, PerdureError], None],
    ) -> None:
        self._store = store
        self._types = types
        self._loaded = loaded
        self._failed = failed
        self._queue: list[Activation] = []
        self._loading = 0
        self._work = Signal()

    def __len__(self) -> int:
        """How many are being loaded, or wait for it."""
        return len(self._queue) + self._loading

    def add(self, activation: Activation) -> None:
        assert activation.actor is None
        self._queue.append(activation)
        self._work.set()

    async def run(self) -> None:
        while True:
            await self._work.wait()
            while self._queue:
                batch, self._queue = self._queue[: self.BATCH], self._queue[self.BATCH :]
                self._loading = len(batch)
                await self._load(batch)
                self._loading = 0

    async def _load(self, batch: list[Activation]) -> None:
        try:
            found = await self._store.load([activation.address for activation in batch])
        except Exception as error:
            failure = as_store_error(error, "loading")
            for activation in batch:
                self._failed(activation, failure)
            return
        for position, (activation, stored) in enumerate(zip(batch, found, strict=True)):
            self._fill(activation, stored)
            # A long history takes a while to decode; let others have a turn.
            if stored is not None and (len(stored.entries) > 1_000 or position % 32 == 31):
                await anyio.lowlevel.checkpoint()

    def _fill(self, activation: Activation, stored: Stored | None) -> None:
        try:
            actor = self._types[activation.address.type].activate(activation.address, stored)
        except Exception as error:
            logger.exception("%s cannot be activated", activation.address)
            self._failed(activation, ActorFailed(activation.address, error))
            return
        activation.actor = actor
        if stored is not None:
            activation.key = stored.key
            activation.active = stored.active
            activation.busy = stored.active  # until its first turn says otherwise
        self._loaded(activation)
