"""Every error that the state API raises on purpose, as a tree.

RequestRefused
└── StateRefused              the request cannot be met, and has changed nothing unless it says so
    ├── StateStoreNotFound    no state store has that name
    ├── StateKeyInvalid       a key that no value can have
    ├── StateOptionInvalid    an invalid option or time to live
    └── EtagMismatch          a value has changed since the caller read it

StateUnavailable              nothing was done; the same request may succeed later
"""

from collections.abc import Sequence

from ...actors.errors import PerdureError
from ..errors import RequestRefused


class StateRefused(RequestRefused):
    """A request to the state API cannot be met."""


class StateStoreNotFound(StateRefused):
    """No state store has that name."""

    def __init__(self, store: str, known: Sequence[str]) -> None:
        super().__init__(store, known)
        self.store = store
        self.known = known

    def __str__(self) -> str:
        return f"state store {self.store} is not found; there is {', '.join(self.known) or 'none'}"


class StateKeyInvalid(StateRefused):
    """A key that no value can have. For keys that Dapr refuses too, the sentence is Dapr's."""

    def __init__(self, store: str, key: str, reason: str) -> None:
        super().__init__(store, key, reason)
        self.store = store
        self.key = key
        self.reason = reason

    def __str__(self) -> str:
        return self.reason


class StateOptionInvalid(StateRefused):
    """An invalid option or time to live."""


class EtagMismatch(StateRefused):
    """Values have changed since the caller read them. Nothing of a transaction, or of a single change, was done.

    Of several changes that are not a transaction, the ones not named here were made.

    Args:
        positions: Those of the changes that were refused, in the request.
        reasons: A sentence for each.
        several: Whether the request had several changes, each independent of the others.
    """

    def __init__(self, positions: Sequence[int], reasons: Sequence[str], several: bool) -> None:
        super().__init__(positions, reasons, several)
        self.positions = positions
        self.reasons = reasons
        self.several = several

    def __str__(self) -> str:
        told = "\n".join(f"{MISMATCH}: {reason}" for reason in self.reasons)
        return f"{MISMATCH}: {told}" if self.several else told


# The words that Dapr puts before those of a state store.
MISMATCH = "possible etag mismatch. error from state store"


class StateUnavailable(PerdureError):
    """Nothing was done; the same request may succeed later."""
