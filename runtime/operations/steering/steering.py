"""Steering: the actions of the management API, the command line and the Python client on instances.

The rule: a stuck instance can always be removed, so terminate and purge act on stalled instances too. Each
change has an author (`By`), and is made only if the instance still meets the caller's condition (`Condition`).

Dapr's doors call the facade instead, which refuses the requests that Dapr refuses. `Engine.steering` is one.
"""

from collections.abc import Awaitable, Callable, Sequence

from ....actors.address import Address
from ....actors.errors import ActorStalled
from ....actors.hosting.host import Host
from ...authoring.app import App
from ...errors import InstanceNotFound, InstanceStalled, NoMatch, RepairRefused, RunChanged
from ...history.attribution import By
from ...history.event import ChildFailed, TaskFailed
from ...history.keys import event_key_of
from ...history.row import Row
from ...history.status import Status
from ...instance.condition import ANY, Condition, of_run
from ...instance.message import RaiseEvent, Repair
from ..descendants import Descendants, Relative
from ..facade import Facade
from .rerunning import Rerunning, RerunPlan, RerunRequest
from .starting import Begun, Starting, StartRequest, check_key

PASSES_MAX = 100  # over a family that grows while it is suspended


class Steering:
    """Steers the instances of a host."""

    def __init__(
        self,
        host: Host,
        facade: Facade,
        *,
        app: App | None = None,
        elsewhere: Callable[[str], bool] = lambda workflow: True,
    ) -> None:
        self._facade = facade
        self._descendants = Descendants(host, facade.own)
        self._starting = Starting(host, facade, self._descendants, app=app, elsewhere=elsewhere)
        self._rerunning = Rerunning(host, facade, self._starting.check_workflow)

    async def start(self, request: StartRequest, *, by: By) -> Begun:
        """Start an instance, or find the present one.

        Args:
            by: On whose behalf a holder of the id is terminated.

        Raises:
            InvalidRequest, WorkflowUnknown, IdTaken, KeyReused, ChildUnfinished: Nothing was started.
        """
        return await self._starting.start(request, by)

    async def raise_event(
        self,
        instance_id: str,
        name: str,
        data: str | None = None,
        *,
        key: str | None = None,
        condition: Condition = ANY,
    ) -> None:
        """Send an event to an instance. One that is stalled or set aside keeps it.

        Args:
            name: The event's.
            data: JSON text.
            key: An idempotency key. The first event of an instance with the key is taken; later ones are accepted and
                dropped, also after its end. At least the last 1000 keys are known.
            condition: What the instance must still meet.

        Raises:
            InvalidRequest, InstanceNotFound, EventRefused, RunChanged, NoMatch: The event was not taken.
        """
        if key is not None:
            check_key(key)
        event_key = event_key_of(key) if key is not None else None
        event = RaiseEvent(name, data, event_key, strict=True, condition=condition)
        await self._facade.deliver(instance_id, event)

    async def suspend(
        self, instance_id: str, *, by: By, recurse: bool = False, condition: Condition = ANY
    ) -> Status | None:
        """Let an instance take no further step until it is resumed. Arrivals are kept.

        Args:
            by: On whose behalf; its reason stands in the history too.
            recurse: Suspend its descendants too, also ones that begin meanwhile. Stalled ones are passed
                over.
            condition: What the instance itself must still meet.

        Returns:
            None; or its present status, if neither it nor a descendant was changed.

        Raises:
            InstanceNotFound, InstanceStalled, RunChanged, NoMatch: Nothing was done.
        """
        return await self._act(self._facade.suspend, instance_id, by=by, recurse=recurse, condition=condition)

    async def resume(
        self, instance_id: str, *, by: By, recurse: bool = False, condition: Condition = ANY
    ) -> Status | None:
        """Let a suspended instance go on.

        Args:
            by: On whose behalf; its reason stands in the history too.
            recurse: Resume its descendants too.
            condition: What the instance itself must still meet.

        Returns:
            As for `suspend`.

        Raises:
            InstanceNotFound, InstanceStalled, RunChanged, NoMatch: Nothing was done.
        """
        return await self._act(self._facade.resume, instance_id, by=by, recurse=recurse, condition=condition)

    async def _act(
        self,
        act: Callable[..., Awaitable[Status | None]],
        instance_id: str,
        *,
        by: By,
        recurse: bool,
        condition: Condition,
    ) -> Status | None:
        """Do something to an instance, then to its descendants, each of which must still be the run that was found."""
        already = await act(instance_id, reason=by.reason, by=by, condition=condition)
        if recurse:
            changed: list[str] = []

            async def act_on(relative: Relative) -> None:
                facade = self._facade.of_app(relative.app_id)
                again = facade.suspend if act == self._facade.suspend else facade.resume
                condition = of_run(relative.run)
                if await again(relative.instance_id, reason=by.reason, by=None, condition=condition) is None:
                    changed.append(relative.instance_id)

            await self._for_descendants(instance_id, act_on)
            return already if not changed else None
        return already

    async def terminate(
        self,
        instance_id: str,
        *,
        by: By,
        output: str | None = None,
        recurse: bool = True,
        condition: Condition = ANY,
    ) -> Status | None:
        """End an instance at once, without its code. A finished one stays as it is.

        Args:
            by: On whose behalf.
            output: The result that it then has; JSON text.
            recurse: End its descendants too. They end after it, also over a crash.
            condition: What the instance itself must still meet.

        Returns:
            None; or its final status, if it had ended already.

        Raises:
            InstanceNotFound, ActorStalled, RunChanged, NoMatch: Nothing was done. One that cannot be read
                (ActorStalled) can only be purged.
        """
        return await self._facade.terminate(
            instance_id, output=output, recurse=recurse, by=by, condition=condition, stalled_too=True
        )

    async def purge(
        self,
        instance_id: str,
        *,
        by: By,
        recurse: bool = True,
        force: bool = False,
        condition: Condition = ANY,
    ) -> int:
        """Forget an instance that has ended, is stalled, is set aside or cannot be read.

        Args:
            by: On whose behalf.
            recurse: Forget its descendants too; they go first.
            force: Forget them with any status.
            condition: What the instance itself must still meet.

        Returns:
            How many were forgotten.

        Raises:
            InstanceNotFound, InstanceUnfinished, RunChanged, NoMatch: The instance is unchanged.
        """
        return await self._facade.purge(
            instance_id, recurse=recurse, force=force, by=by, condition=condition, stalled_too=True
        )

    async def release(self, instance_id: str, *, by: By, condition: Condition = ANY) -> None:
        """Let an instance that is set aside go on: its open entries begin again.

        Raises:
            InstanceNotFound, InstanceNotSetAside, RunChanged, NoMatch: Nothing was done.
        """
        await self._facade.release(instance_id, by=by, condition=condition)

    async def repair(self, instance_id: str, repair: Repair) -> None:
        """Give an instance an arrival that it waits for: an answer, another try, or a timer that fires.

        Args:
            repair: Its `event_id` is that of an activity, a child or a timer that the instance waits for; its `by`
                says on whose behalf.

        Raises:
            InstanceNotFound, RepairRefused, LimitExceeded, RunChanged, NoMatch: Nothing was done.
        """
        try:
            await self._facade.repair(instance_id, repair)
        except RepairRefused as refused:
            failed_at = failed_event(await self._facade.history(instance_id) or ())
            if refused.status is not Status.FAILED or failed_at is None:
                raise
            why = f"the instance has failed at event {failed_at}: use rerun from that event"
            raise RepairRefused(instance_id, refused.event_id, why, Status.FAILED) from None

    async def rerun(
        self,
        instance_id: str,
        *,
        by: By,
        from_event: int | None = None,
        new_id: str | None = None,
        input: str | None = None,  # noqa: A002  Dapr's word, and the user's
        overwrite_input: bool = False,
        condition: Condition = ANY,
    ) -> str:
        """Run an ended instance again as a new one, and return the id of the new one.

        Args:
            by: On whose behalf.
            from_event: The event id from which on it is run again (contract 3.22); earlier answers are kept.
                None: from its beginning, with the input of its last generation.
            new_id: Of the new instance; None: a new UUID.
            input: Another input, JSON text: of the instance, or of the event.
            overwrite_input: Whether `input` counts; None is then no input.
            condition: What the instance must still meet.

        Raises:
            InstanceNotFound, RunChanged, NoMatch, IdTaken, WorkflowUnknown, LimitExceeded: Nothing was started.
            RerunRefused, EventNotFound, EventNotRerunnable: The same; the instance has not ended, or cannot be rerun
                like this.
        """
        request = RerunRequest(
            source_id=instance_id,
            from_event=from_event,
            new_id=new_id,
            input=input,
            overwrite_input=overwrite_input,
            condition=condition,
        )
        return await self._rerunning.rerun(request, by)

    async def plan_rerun(
        self, instance_id: str, *, from_event: int | None = None, condition: Condition = ANY
    ) -> RerunPlan:
        """Find the steps that a rerun would keep and those it would request again, and do nothing.

        Raises:
            InstanceNotFound, RunChanged, NoMatch, RerunRefused, EventNotFound, EventNotRerunnable
        """
        return await self._rerunning.plan(
            RerunRequest(source_id=instance_id, from_event=from_event, condition=condition)
        )

    async def _for_descendants(self, root_id: str, act: Callable[[Relative], Awaitable[None]]) -> None:
        """Do something to all descendants, and to the ones that begin meanwhile."""
        done: set[Address] = set()
        for _ in range(PASSES_MAX):
            family = await self._descendants.family(root_id)
            new = [each for each in family if each.path and not each.status.terminal and each.address not in done]
            if not new:
                return
            for relative in new:
                done.add(relative.address)
                try:
                    await act(relative)
                except (InstanceNotFound, InstanceStalled, ActorStalled, RunChanged, NoMatch):
                    continue  # it was purged, or is stuck and takes no step


def failed_event(rows: Sequence[Row]) -> int | None:
    """The event id of the activity or the child that has failed last; None if none has."""
    for row in reversed(rows):
        for event in reversed([*(row.turn or ()), *row.held]):
            if isinstance(event, TaskFailed | ChildFailed):
                return event.task_id
    return None
