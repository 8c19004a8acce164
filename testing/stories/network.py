"""The client of a story: the methods of `Engine.client`, over a network that may lose requests and answers. Those of
the management API go over it as requests (`management.py`).

The rule: it repeats a request until it is answered, as HTTP clients and load balancers do. A caller that wants to
learn of a lost answer uses the client that asks once.

If a repeated start finds the instance under way, the request before it has begun it, and the answer says so.
"""

from collections.abc import Callable, Coroutine, Mapping
from itertools import count
from typing import Any, cast

import anyio

from ...actors.errors import HostNotRunning, HostStopping
from ...actors.store.contract import Inspection
from ...actors.store.errors import StoreError
from ...client.management_client import ManagementClient
from ...runtime.authoring.app import App
from ...runtime.engine import Engine
from ...runtime.errors import InstanceExists
from ...runtime.history.record import unpack_record
from ...runtime.instance.message import workflow_address
from ...runtime.operations.client import Operations
from ...runtime.operations.steering.embedded import EmbeddedOperations
from ..simulation.calls import ConnectionLost
from ..simulation.world import SimWorld
from .management import SimulatedServer

# How long until a request that had no answer is repeated.
REPEAT_S = 0.2
# The calls that stories tell; waits and reads are left out.
TOLD = {
    "start": "starts",
    "begin": "starts",
    "raise_event": "sends an event to",
    "suspend": "suspends",
    "resume": "resumes",
    "terminate": "terminates",
    "purge": "purges",
}


class SimulatedNetwork:
    """Carries the operations of a client to the host that is up.

    Args:
        once: Do not repeat a request.

    Attributes:
        started_again: The ids of instances that had ended when their start was repeated.
        unnamed_again: Whether a start without an id was repeated.
    """

    def __init__(self, world: SimWorld, *, once: bool = False) -> None:
        self._world = world
        self._once = once
        self.started_again: set[str] = set()
        self.unnamed_again = False

    def __getattr__(self, operation: str) -> Callable[..., Coroutine[Any, Any, Any]]:
        # Any operation that clients may have.
        if operation.startswith("_"):
            raise AttributeError(operation)

        async def call(*given: Any, **named: Any) -> Any:
            return await self._call(operation, given, named)

        return call

    def client(self, app: App) -> ManagementClient:
        """A client over this network.

        Args:
            app: Has the types of inputs and results.
        """
        server = SimulatedServer(self._world, once=self._once, tell=self._told)
        return ManagementClient(cast(Operations, self), server, app)

    async def _call(self, operation: str, given: tuple[Any, ...], named: Mapping[str, Any]) -> Any:
        named = dict(named)
        is_start = operation in ("start", "begin")
        first: Any = next(iter(given), None)
        who = named.get("instance_id", getattr(first, "instance_id", None)) if is_start else first
        what = who if who is not None else f"a {getattr(first, 'name', first)}"
        why = ""
        attempts = count()
        while True:
            attempt = next(attempts)
            self._tell(operation, what, why)
            if attempt and is_start:
                await self._look_at_start(who)
            try:
                return await self._world.call(lambda engine: _call(engine, operation, given, named))
            except InstanceExists:
                if not attempt or not is_start or who is None:
                    raise
                return who
            except ConnectionLost as lost:
                if self._once:
                    raise
                why = f" again: {lost.what}"
            except (HostStopping, HostNotRunning, StoreError) as error:
                if self._once:
                    raise
                why = f" again: it was refused, {type(error).__name__}"
            await anyio.sleep(REPEAT_S)

    async def _look_at_start(self, who: str | None) -> None:
        """Note what a repeated start may find, for the explanation of a failure."""
        if who is None:
            self.unnamed_again = True
            return
        # On the disk itself: the host may die, and it is no request of the story's.
        [found] = await self._world.contents.inspect([workflow_address(who)])
        if isinstance(found, Inspection) and unpack_record(found.record).status.terminal:
            self.started_again.add(who)

    def _tell(self, operation: str, who: object, why: str) -> None:
        if operation in TOLD:
            self._told(f"{TOLD[operation]} {who}{why}")

    def _told(self, what: str) -> None:
        self._world.trace.tell(self._world.loop.time(), "client", what)


async def _call(engine: Engine, operation: str, given: tuple[Any, ...], named: Mapping[str, Any]) -> Any:
    return await getattr(EmbeddedOperations(engine.facade, engine.steering, engine.states), operation)(*given, **named)
