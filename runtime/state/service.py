"""The state stores of one engine: their actor types, and the operations on them.

The rule: it is made before the host, which takes its actor types and its route, and serves once the host exists.

`runtime/engine.py` makes it.
"""

from collections.abc import Mapping
from typing import Any, Protocol

from ...actors.address import Address
from ...actors.clock import Clock
from ...actors.hosting.host import Host
from ...actors.hosting.release import Route
from ...actors.store.cluster import FORMAT_OF_STATE
from ...actors.store.contract import Store
from ...actors.turn import ActorType
from ...journal.journal import Journal
from ..directory import AppAddresses
from .actor import StateActorType
from .expiry import Expiry
from .state import States
from .stores import StateStores


class StateSettings(Protocol):
    """The part of an engine's settings that is used here."""

    @property
    def state_stores(self) -> StateStores:
        """The state stores of the daemon."""
        ...

    @property
    def namespace(self) -> str:
        """Dapr's namespace of the daemon."""
        ...


class StateService:
    """The state stores of one app of an engine.

    Args:
        settings: Which stores there are.
        store: Where they are kept.
        own: The addresses of the app.
    """

    def __init__(
        self, settings: StateSettings, store: Store, clock: Clock, own: AppAddresses, journal: Journal
    ) -> None:
        self._own = own
        self._actors = StateActorType(own)
        self._settings = settings
        self._store = store
        self._clock = clock
        self._host: Host | None = None
        self.expiry = Expiry(store, clock, own, ask=self._ask, journal=journal)

    @property
    def types(self) -> Mapping[str, ActorType]:
        """The actor types for its host."""
        return {self._own.state: self._actors}

    @property
    def routes(self) -> Mapping[str, Route]:
        """The routes for the messages of its actors."""
        return {self._own.state_expiry: self.expiry.receive}

    @property
    def in_memory(self) -> int:
        """How many of its actors are in memory."""
        return self._actors.in_memory

    def serve(self, host: Host) -> States:
        """Make the operations on the stores."""
        self._host = host
        return States(
            host,
            self._settings.state_stores,
            self._own,
            clock=self._clock,
            namespace=self._settings.namespace,
            writable=self._all_hosts_know,
        )

    def _all_hosts_know(self) -> bool:
        """Whether all hosts on the store know these actors; true for a store of one host."""
        format_: int = getattr(self._store, "format", FORMAT_OF_STATE)
        return format_ >= FORMAT_OF_STATE

    async def _ask(self, address: Address, body: Any) -> Any:
        assert self._host is not None
        return await self._host.ask(address, body)
