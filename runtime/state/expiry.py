"""Forgets values that have expired.

The rule: a reminder of the state store's actor starts a round, and the last message of the round clears it. So a round
that a crash has interrupted starts again after the restart. A store in which nothing expires is never looked at.

The engine routes the messages that actors of state stores send (`actor.py`) here.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import anyio

from ...actors.address import Address
from ...actors.clock import Clock
from ...actors.errors import HostLost, HostSilent, HostUnreachable, MailboxFull, PerdureError
from ...actors.store.contract import Store
from ...actors.store.errors import StoreError
from ...actors.text import text_of, type_name
from ...actors.waiting.attendance import Attendance
from ...journal.journal import Journal
from ...journal.vocabulary import EXPIRY_STANDS
from ..directory import AppAddresses
from .actor import unpack_state
from .message import BeginExpiry, ExpireItems, ItemsChanged, state_address

AT_ONCE = 500  # items that are forgotten by one message
RETRY_S = 1.0  # the pause after a store, a mailbox or a host has refused


class Expiry(Attendance):
    """Forgets expired items, with a task for each state store that has some.

    Args:
        store: Of this host.
        own: The addresses of the app whose values they are.
        clock: Its wall clock decides which items have expired.
        ask: Sends a message to an actor and gives its answer (`Host.ask`).
        journal: Gets a line about a store whose items cannot be forgotten.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        own: AppAddresses,
        *,
        ask: Callable[[Address, Any], Awaitable[Any]],
        journal: Journal,
    ) -> None:
        super().__init__()
        self._store = store
        self._own = own
        self._clock = clock
        self._ask = ask
        self._journal = journal.at(__name__)
        self._running: set[str] = set()

    def receive(self, address: Address, message: BeginExpiry) -> None:
        """Forget the expired items of the state store of this name; do nothing if that is under way."""
        if address.id not in self._running:
            self._running.add(address.id)
            self._attend(address.id, self._forget_all, address.id)

    async def _forget_all(self, store: str) -> None:
        try:
            while await self._forget_some(store):
                await anyio.lowlevel.checkpoint()
        except PerdureError as error:
            # The host stops, or the shard is another host's. The reminder comes again, here or there.
            self._journal.write(EXPIRY_STANDS, store=store, reason=text_of(error), error_type=type_name(error))
        finally:
            self._running.discard(store)

    async def _forget_some(self, store: str) -> bool:
        """Forget the values that have expired first; return whether there may be more."""
        address = state_address(store, self._own.state)
        while True:
            try:
                found = await self._store.items(address, expiring=AT_ONCE)
                if found is None:
                    return False
                now_us = self._clock.now_us()
                over = [(item.name, item.version) for item in found.expiring if item.expires_us <= now_us]
                more = len(over) == AT_ONCE
                later = [item.expires_us for item in found.expiring if item.expires_us > now_us]
                message = ExpireItems(over, -1 if more else min(later, default=0), unpack_state(found.record).version)
                changed: ItemsChanged = await self._ask(address, message)
            except (StoreError, MailboxFull, HostUnreachable, HostLost, HostSilent):
                await anyio.sleep(RETRY_S)
            else:
                return more or changed.stale
