"""The one door to the instances of a host: HTTP, gRPC and embedded callers all come through here.

The one law: every method that changes something returns after the commit that
holds the change. Payloads are JSON text, neither read nor checked.
"""

from collections.abc import Callable
from uuid import uuid4

from ..actors.errors import HostStopping
from ..actors.host import Host
from .dates import within_time
from .descendants import Descendants
from .errors import ChildUnfinished, DescendantsUnknown, InstanceNotFound, InstanceUnfinished, InvalidRequest
from .instance import InstanceState
from .message import Purge, RaiseEvent, Resume, Start, Suspend, Terminate, workflow_address
from .record import state_of, unpack_record
from .status import Status


def finished(status: Status) -> bool:
    """Whether nothing can happen to an instance any more."""
    return status.terminal


class Facade:
    """Starts, describes and steers instances."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._descendants = Descendants(host)

    async def start(
        self,
        name: str,
        *,
        instance_id: str | None = None,
        input: str | None = None,  # noqa: A002  Dapr's word, and the user's
        start_at_us: int | None = None,
        unique: bool = False,
    ) -> str:
        """Start an instance and return its id.

        Args:
            instance_id: Any text; a random UUID by default. That of a finished
                instance is used again, unless a descendant of it still runs.
            start_at_us: When its code is to begin; Unix time, microseconds.
            unique: Refuse the id of a finished instance too.

        Raises:
            InvalidRequest, InstanceExists, ChildUnfinished: Nothing was started.
        """
        if not name:
            raise InvalidRequest("workflow name is not configured")
        if instance_id is None:
            instance_id = str(uuid4())
        elif not instance_id:
            raise InvalidRequest("no instance ID was provided")
        if start_at_us is not None:
            start_at_us = within_time(start_at_us)
        start = Start(name, input, uuid4().hex, start_at_us=start_at_us, unique=unique)
        return await self.request_start(instance_id, start)

    async def request_start(self, instance_id: str, start: Start) -> str:
        """Send a start, and look at the descendants of whoever had the id before, if they matter."""
        address = workflow_address(instance_id)
        while True:
            try:
                started: str = await self._host.ask(address, start)
            except DescendantsUnknown as unknown:
                path = await self._descendants.unfinished(instance_id)
                if path is not None:
                    raise ChildUnfinished(instance_id, path) from None
                start = start._replace(descendants_finished=unknown.execution_id)
            else:
                return started

    async def inspect(self, instance_id: str) -> InstanceState | None:
        """Describe an instance as last committed; None if there is none."""
        inspection = await self._host.inspect(workflow_address(instance_id))
        return state_of(instance_id, inspection) if inspection is not None else None

    async def raise_event(self, instance_id: str, name: str, data: str | None = None) -> None:
        """Send an event to an instance. A finished one takes it and drops it.

        Raises:
            InvalidRequest, InstanceNotFound, InstanceStalled
        """
        if not name:
            raise InvalidRequest("missing workflow event name")
        await self._host.ask(workflow_address(instance_id), RaiseEvent(name, data))

    async def suspend(self, instance_id: str, *, reason: str | None = None) -> None:
        """Let an instance take no further step until it is resumed. What arrives is kept.

        Raises:
            InstanceNotFound, InstanceStalled
        """
        await self._host.ask(workflow_address(instance_id), Suspend(reason))

    async def resume(self, instance_id: str, *, reason: str | None = None) -> None:
        """Let a suspended instance go on.

        Raises:
            InstanceNotFound, InstanceStalled
        """
        await self._host.ask(workflow_address(instance_id), Resume(reason))

    async def terminate(self, instance_id: str, *, output: str | None = None, recurse: bool = True) -> None:
        """End an instance without asking its code; activities under way run on, and their results are dropped.

        Args:
            output: What the instance then has for a result; JSON text.
            recurse: End its children too.

        Raises:
            InstanceNotFound, InstanceStalled
        """
        await self._host.ask(workflow_address(instance_id), Terminate(output, recurse))

    async def purge(self, instance_id: str, *, recurse: bool = True, force: bool = False) -> int:
        """Forget a finished instance and return how many were forgotten.

        Children go first, so that one that is cut short can be repeated.

        Args:
            recurse: Forget its descendants too; all of them must be finished.
            force: Forget it whatever its status.

        Raises:
            InstanceNotFound, InstanceUnfinished, InstanceStalled
        """
        family = await self._descendants.family(instance_id) if recurse else []
        if not force:
            for member in family:
                if not member.status.terminal and member.instance_id != instance_id:
                    await self._check_purgeable(instance_id)
                    raise InstanceUnfinished(member.instance_id)
        purged = 0
        for member in reversed(family):
            if member.instance_id != instance_id:
                purged += await self._purge_one(member.instance_id, force=force)
        await self._host.ask(workflow_address(instance_id), Purge(force))
        return purged + 1

    async def wait(self, instance_id: str, until: Callable[[Status], bool] = finished) -> InstanceState:
        """Wait until the committed status satisfies `until`.

        Raises:
            InstanceNotFound: There is none, or it was purged meanwhile.
            HostStopping: It has not come to that, and cannot any more.
        """
        with self._host.watch(workflow_address(instance_id)) as watch:
            while True:
                watch.record = None  # what is committed from here on counts, whether the inspection sees it or not
                state = await self.inspect(instance_id)
                if state is None:
                    raise InstanceNotFound(instance_id)
                if until(state.status):
                    return state
                # A record tells the status for less than an inspection costs.
                while watch.record is None or not until(unpack_record(watch.record).status):
                    if watch.deleted:
                        raise InstanceNotFound(instance_id)
                    if self._host.stopping:
                        raise HostStopping
                    await watch.changed()

    async def _check_purgeable(self, instance_id: str) -> None:
        """Say of the instance itself first that it cannot be purged."""
        state = await self.inspect(instance_id)
        if state is not None and not state.status.terminal:
            await self._host.ask(workflow_address(instance_id), Purge(force=False))

    async def _purge_one(self, instance_id: str, *, force: bool) -> int:
        try:
            await self._host.ask(workflow_address(instance_id), Purge(force))
        except InstanceNotFound:
            return 0
        return 1
