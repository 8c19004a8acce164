"""The state API: values by key, for both doors and for embedded callers.

The rule: a change returns after the commit that holds it, and an expired value is never returned. Values are bytes,
kept unchanged.

Reads go to the store of the host that owns the state store's shard; changes go to its actor (`actor.py`), wherever it
is.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import anyio

from ...actors.address import Address
from ...actors.clock import Clock
from ...actors.hosting.host import Host
from ...actors.store.contract import FoundItems, Item
from ..directory import AppAddresses
from .actor import is_over, unpack_state
from .errors import EtagMismatch, StateOptionInvalid, StateUnavailable
from .message import ChangeItems, ItemChange, ItemsChanged, SeenItem, state_address
from .stores import StateStore, StateStores

READS_MAX = 100  # for one change, while others write the values that it depends on
TTL_S_MAX = 10**10  # three hundred years; more would not fit the integers of a store

TTL = "ttlInSeconds"  # Dapr's name in the metadata of a change

FIRST_WRITE, LAST_WRITE = "first-write", "last-write"
STRONG, EVENTUAL = "strong", "eventual"


class StateValue(NamedTuple):
    """A value."""

    value: bytes
    etag: str
    expires_us: int = 0  # Unix time, microseconds; 0: never


class StateRead(NamedTuple):
    """The outcome of reading one key of several."""

    key: str
    value: StateValue | None  # None: there is none
    error: str = ""  # why it cannot be read


class StateChange(NamedTuple):
    """A value is saved or deleted."""

    key: str
    value: bytes | None  # None: deleted
    etag: str = ""  # the value must have it; "": no matter
    first_write: bool = False  # without an etag: there must be no value
    ttl_s: int = 0  # seconds for which it counts; 0: for ever


class States:
    """The state stores of an engine.

    Args:
        stores: All of the daemon.
        own: The addresses of the app whose keys these are.
        namespace: For stores that prefix keys with it.
        writable: Whether all hosts on the store know of state stores.
    """

    WRITABLE_S = 5.0  # for which a change waits until hosts of an older release have left

    def __init__(
        self,
        host: Host,
        stores: StateStores,
        own: AppAddresses,
        *,
        clock: Clock,
        namespace: str = "",
        writable: Callable[[], bool] = lambda: True,
    ) -> None:
        self.stores = stores
        self._host = host
        self._own = own
        self._app_id = own.app_id
        self._namespace = namespace
        self._clock = clock
        self._writable = writable

    def of_app(self, app_id: str) -> "States":
        """The same stores for another app of the same engine."""
        return States(
            self._host,
            self.stores,
            self._own.of(app_id),
            clock=self._clock,
            namespace=self._namespace,
            writable=self._writable,
        )

    def require(self, store: str) -> None:
        """Look whether there is a store of a name.

        Raises:
            StateStoreNotFound: There is no such store.
        """
        self.stores.find(store)

    async def get(self, store: str, key: str) -> StateValue | None:
        """Read the value of a key; None if there is none.

        Raises:
            StateStoreNotFound, StateKeyInvalid: The request cannot be met.
            StoreError, HostStopping and other errors of `Host.ask`: It could not be read.
        """
        (read,) = await self.get_many(store, [key])
        if read.error:
            raise StateUnavailable(read.error)
        return read.value

    async def get_many(self, store: str, keys: Sequence[str]) -> Sequence[StateRead]:
        """Read the values of keys, in their order. For a key that cannot be read, `error` says why.

        Raises:
            As `get`.
        """
        found_store = self.stores.find(store)
        names = [self._item_name(found_store, key) for key in keys]
        if not names:
            return []
        found = await self._host.items(self._address(found_store), names)
        if found is None:
            return [StateRead(key, None) for key in keys]
        now_us = self._clock.now_us()
        return [
            StateRead(key, value_of(found.items.get(name), now_us), found.damaged.get(name, ""))
            for key, name in zip(keys, names, strict=True)
        ]

    async def change(self, store: str, changes: Sequence[StateChange], *, whole: bool = False) -> None:
        """Make changes, in their order.

        Args:
            whole: All of them, or none; the etags are those before the first of them. Otherwise each is independent of
                the others.

        Raises:
            StateStoreNotFound, StateKeyInvalid: Nothing was changed.
            EtagMismatch: A value has changed since the caller read it; it says which changes were not made.
            StateUnavailable, StoreError, HostStopping and other errors of `Host.ask`: Nothing was changed.
            HostLost, StoreUncertain: The outcome is unknown.
        """
        found_store = self.stores.find(store)
        asked = [
            ItemChange(
                self._item_name(found_store, change.key),
                change.value,
                change.etag,
                change.first_write,
                min(change.ttl_s, TTL_S_MAX) * 1_000_000,
            )
            for change in changes
        ]
        if not asked:
            return
        await self._require_writable()
        changed = await self._ask(store, asked, whole=whole)
        if changed.refused:
            positions, reasons = zip(*changed.refused, strict=True)
            raise EtagMismatch(list(positions), list(reasons), several=len(asked) > 1 and not whole)

    async def _ask(self, store: str, changes: list[ItemChange], *, whole: bool) -> ItemsChanged:
        """Have the store's actor make changes; read again the values that they depend on, if others have changed them
        meanwhile.
        """
        address = self._address(self.stores.find(store))
        names = list(dict.fromkeys(change.name for change in changes if change.conditional))
        for _ in range(READS_MAX):
            found = await self._host.items(address, names) if names else None
            seen = seen_in(found, names)
            seen_at = unpack_state(found.record).version if found is not None else 0
            changed: ItemsChanged = await self._host.ask(address, ChangeItems(changes, whole, seen, seen_at))
            if not changed.stale:
                return changed
        raise StateUnavailable(f"others have changed state store {store} {READS_MAX} times in the meantime")

    async def _require_writable(self) -> None:
        if self._writable():
            return
        with anyio.move_on_after(self.WRITABLE_S):
            while not self._writable():  # noqa: ASYNC110  another process has to leave
                await anyio.sleep(0.1)
        if not self._writable():
            raise StateUnavailable(
                "a host of an older release, which knows no state stores, shares this store; values can be saved once "
                "it has left"
            )

    def _address(self, store: StateStore) -> Address:
        # The first app of Perdure's store keeps the values that apps share, and each app its own.
        return state_address(store.name) if store.shared else state_address(store.name, self._own.state)

    def _item_name(self, store: StateStore, key: str) -> str:
        return store.item_name(key, app_id=self._app_id, namespace=self._namespace)


def value_of(item: Item | None, now_us: int) -> StateValue | None:
    """An item as callers see it; None if there is none, or it has expired."""
    if item is None or is_over(item.expires_us, now_us):
        return None
    return StateValue(item.value, str(item.version), item.expires_us)


def seen_in(found: FoundItems | None, names: Sequence[str]) -> dict[str, SeenItem]:
    """The outcome of reading items. A damaged item counts as missing: it can be overwritten without an etag."""
    there = found.items if found is not None else {}
    return {
        name: SeenItem(item.version, item.expires_us) if (item := there.get(name)) is not None else SeenItem(0, 0)
        for name in names
    }


# What Dapr's requests say beside a key and a value.


def is_first_write(concurrency: str, consistency: str) -> bool:
    """Read the options of a change: whether the first write wins.

    Raises:
        StateOptionInvalid: An option is invalid.

    Source: components-contrib `state/request_options.go`.
    """
    if consistency not in ("", STRONG, EVENTUAL):
        raise StateOptionInvalid(f"unrecognized consistency model '{consistency}'")
    if concurrency not in ("", FIRST_WRITE, LAST_WRITE):
        raise StateOptionInvalid(f"unrecognized concurrency model '{concurrency}'")
    return concurrency == FIRST_WRITE


def ttl_s_in(metadata: Mapping[str, str]) -> int:
    """Read a value's time to live, in seconds; 0: for ever, which numbers below 0 mean too.

    Raises:
        StateOptionInvalid: It is no whole number.
    """
    text = metadata.get(TTL, "")
    if not text:
        return 0
    digits = text[1:] if text[0] in "+-" else text
    if not (digits.isascii() and digits.isdecimal()):
        raise StateOptionInvalid(f'strconv.Atoi: parsing "{text[:80]}": invalid syntax')
    if len(digits) > 19:
        raise StateOptionInvalid(f'strconv.Atoi: parsing "{text[:80]}": value out of range')
    return max(0, int(text))
