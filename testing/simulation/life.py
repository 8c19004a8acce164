"""A life of a host, from its start to its end, and what outlives it.

The rule: state crosses the end of a life only through a machine: a disk, a clock, a network, a system outside.

`testing/simulation/world.py` begins and ends lives; `testing/simulation/calls.py` sends requests to them.
"""

import asyncio
from typing import Any, Protocol

from ...actors.store.contract import Store
from ...runtime.authoring.app import App
from ...runtime.engine import Engine


class Life:
    """One life of a host.

    Args:
        number: Its number in the world; 1 is the first.
        app: The app that it hosts.
        told: Done once it is to stop.

    Attributes:
        engine: None as long as it takes no requests.
        calls: The requests that it has not answered.
        over: Whether it has ended.
        stands_until_s: The end of its last pause, in virtual seconds.
    """

    def __init__(self, number: int, app: App, told: "asyncio.Future[None]") -> None:
        self.number = number
        self.app = app
        self.engine: Engine | None = None
        self.told = told
        self.calls: dict[asyncio.Future[Any], None] = {}
        self.over = False
        self.stands_until_s = 0.0

    @property
    def up(self) -> bool:
        """Whether it takes requests."""
        return self.engine is not None and not self.over


class WorldMachine(Protocol):
    """A machine of the world, which outlives lives and learns of the end of each."""

    def life_ended(self, number: int) -> None:
        """Note that a life was killed or has stopped, and that no step of it is taken any more."""
        ...


class LifeStore(Store, Protocol):
    """The store that one life has open."""

    def abandon(self) -> None:
        """Free the locks of the life: it has ended without closing the store."""
        ...
