"""A mark in the store: a remote worker has been connected.

The rule: once a worker has been connected to any host of a store, workflows
and activities that the app does not have are left to workers, also while none
is connected. A crash must not turn a step that a worker has under way into
"not registered".

It is an actor with a record and no log, because the store keeps actors. A host
whose part of the store is a file of its own has a mark of its own in it.

`runtime/engine.py` sets it and reads it.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import count
from types import MappingProxyType
from typing import Any

from ...actors.address import Address
from ...actors.store.audit import AuditRow
from ...actors.store.contract import Inspection, Stored
from ...actors.store.listing import Facets
from ...actors.turn import Envelope, Turn
from ..directory import WORKER_MARK

CONNECTED = "connected"  # reaches the disk and must not change
ADDRESS = Address(WORKER_MARK, CONNECTED)  # of the first app of a store


def own_mark(owns: Callable[[Address], bool], actor_type: str = WORKER_MARK) -> Address:
    """The address of the mark of a host that has a part of the store for itself.

    Args:
        owns: Whether that host has an address.
        actor_type: The type of the marks of the app.
    """
    first = Address(actor_type, CONNECTED)
    more = (Address(actor_type, f"{CONNECTED}-{n}") for n in count(1))  # reach the disk and must not change
    return first if owns(first) else next(filter(owns, more))


class Remember:
    """The message that sets the mark."""


class WorkerMarkType:
    """Makes the actor of the mark; there is one for each app of a store."""

    def purges(self, body: Any) -> bool:
        return False

    def purge_audit(self, address: Address, body: Any, now_us: int) -> Sequence[AuditRow]:
        return ()

    def facets(self, outside: Inspection) -> Facets | None:
        return None

    def activate(self, address: Address, stored: Stored | None) -> "WorkerMark":
        return WorkerMark(is_set=stored is not None)


class WorkerMark:
    """The mark: set, or not yet."""

    was_stalled = False
    log_fields: Mapping[str, Any] = MappingProxyType({})

    def __init__(self, *, is_set: bool) -> None:
        self._is_set = is_set

    def turn(self, envelopes: Sequence[Envelope], now_us: int) -> Turn:
        remembers = any(isinstance(envelope.body, Remember) for envelope in envelopes)
        if self._is_set or not remembers:
            return Turn()
        self._is_set = True
        return Turn(record=b"1")

    def close(self) -> None:
        """Nothing to release."""
