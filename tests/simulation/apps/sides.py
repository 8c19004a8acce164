"""The two sides of a world of two apps: the callers of the instances of each, and the readers of their commits.

To callers of an app a host is that app, whether it has it or passes requests on. So their world is `WorldOfApp`, in
which a request gets the app in the place of an engine.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from perdure.actors.address import FIRST_RING, type_in
from perdure.actors.errors import HostUnreachable, RingUnknown
from perdure.actors.store.presence.apps import ring_named
from perdure.runtime.directory import CALL, WORKFLOW
from perdure.runtime.engine import Engine
from perdure.runtime.operations.client import Client
from perdure.runtime.operations.steering.embedded import EmbeddedOperations
from perdure.testing.simulation.base import BaseWorld

from ..doors import EMBEDDED, Doors

T = TypeVar("T")


class WorldOfApp:
    """A world, as callers of one of its apps see it. Only its requests differ from the world's."""

    def __init__(self, world: BaseWorld, app_id: str) -> None:
        self._world = world
        self._app_id = app_id

    def __getattr__(self, name: str) -> Any:
        return getattr(self._world, name)

    async def call(self, request: Callable[[Any], Awaitable[T]]) -> T:
        """As of the world."""
        return await self._world.call(lambda engine: self._asked(engine, request))

    async def ask(self, request: Callable[[Any], Awaitable[T]]) -> T:
        """As of the world."""
        return await self._world.ask(lambda engine: self._asked(engine, request))

    async def _asked(self, engine: Engine, request: Callable[[Any], Awaitable[T]]) -> T:
        hosted = engine.app_of(self._app_id)
        if hosted is None:
            raise HostUnreachable(f"app {self._app_id}")
        try:
            return await request(hosted)
        except RingUnknown:
            raise HostUnreachable(f"app {self._app_id}") from None


class DoorsOfApp(Doors):
    """The door of the apps of an engine: their own operations."""

    def __init__(self, world: BaseWorld) -> None:
        super().__init__(world, (EMBEDDED,))

    def by(self, engine: Any, door: str) -> Client:
        return Client(EmbeddedOperations(engine.facade, engine.steering, engine.states), engine.app)


class Rings:
    """Which types of actors are those of which app, once a host has opened the store.

    Args:
        apps: Gives the apps of the store, with their numbers; none before.
    """

    def __init__(self, apps: Callable[[], Mapping[str, int]]) -> None:
        self._apps = apps

    def workflow(self, app_id: str) -> str:
        """The type of the instances of an app."""
        return type_in(WORKFLOW, self._ring(app_id))

    def call(self, app_id: str) -> str:
        """The type of the calls of an app."""
        return type_in(CALL, self._ring(app_id))

    def _ring(self, app_id: str) -> str:
        apps = self._apps()
        return ring_named(app_id, apps) if apps else FIRST_RING
