"""A mark in the store: remote workers have been here.

The one law: once a worker has been connected to any host of a store, what the
app does not have is left to workers, also before the first of them is back. A
crash must not turn a step that a worker has under way into "not registered".

An actor, because that is how things become durable here; it has no log.
"""

from collections.abc import Sequence

from ...actors.address import Address
from ...actors.store.contract import Stored
from ...actors.turn import Envelope, Turn

WORKER_MARK = "worker-mark"  # reaches the disk and must not change
ADDRESS = Address(WORKER_MARK, "connected")


class Remember:
    """The message that sets the mark."""


class WorkerMarkType:
    """Makes the one actor of this type."""

    def activate(self, address: Address, stored: Stored | None) -> "WorkerMark":
        return WorkerMark(is_set=stored is not None)


class WorkerMark:
    """Set, or not yet."""

    def __init__(self, *, is_set: bool) -> None:
        self._is_set = is_set

    def turn(self, envelopes: Sequence[Envelope], now_us: int) -> Turn:
        remembers = any(isinstance(envelope.body, Remember) for envelope in envelopes)
        if self._is_set or not remembers:
            return Turn()
        self._is_set = True
        return Turn(record=b"1")

    def close(self) -> None:
        """Nothing to let go of."""
