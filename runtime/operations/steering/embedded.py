"""The operations of a client in the same process: the facade's, and where a client may do more than Dapr's doors,
those of `steering.py`.

The rule: each is one call. Changes are made on behalf of the program around the engine (`EMBEDDED`). `Engine.client`
uses one.
"""

from ...history.attribution import EMBEDDED
from ...state.state import States
from ..facade import Facade
from .starting import StartRequest
from .steering import Steering


class EmbeddedOperations:
    """The `Operations` of an engine in this process."""

    def __init__(self, facade: Facade, steering: Steering, states: States) -> None:
        self.states = states
        self._facade = facade
        self._steering = steering
        # Bound directly: one more frame would cost every caller.
        self.start = facade.start
        self.inspect = facade.inspect
        self.wait = facade.wait

    async def begin(self, request: StartRequest) -> str:
        return (await self._steering.start(request, by=EMBEDDED)).instance_id

    async def raise_event(self, instance_id: str, name: str, data: str | None, *, key: str | None) -> None:
        if key is None:
            await self._facade.raise_event(instance_id, name, data)
        else:
            await self._steering.raise_event(instance_id, name, data, key=key)

    async def suspend(self, instance_id: str, *, reason: str | None, recurse: bool) -> bool:
        by = EMBEDDED._replace(reason=reason)
        return await self._steering.suspend(instance_id, by=by, recurse=recurse) is None

    async def resume(self, instance_id: str, *, reason: str | None, recurse: bool) -> bool:
        by = EMBEDDED._replace(reason=reason)
        return await self._steering.resume(instance_id, by=by, recurse=recurse) is None

    async def terminate(self, instance_id: str, *, output: str | None, recurse: bool, reason: str | None) -> bool:
        by = EMBEDDED._replace(reason=reason)
        return await self._steering.terminate(instance_id, by=by, output=output, recurse=recurse) is None

    async def purge(self, instance_id: str, *, recurse: bool, force: bool, reason: str | None) -> int:
        by = EMBEDDED._replace(reason=reason)
        return await self._steering.purge(instance_id, by=by, recurse=recurse, force=force)
