"""The handlers that steer one instance.

The one law: each change is made on behalf of the caller's token, and only if the instance is still the run that the
caller names in `If-Match`.
"""

from starlette.responses import Response

from ...api.management.actions import Action, ActionDone, json_text
from ...api.management.moments import encode
from ...api.management.words import HISTORY_UNREADABLE, RUN_CHANGED, STALLED, UNFINISHED
from ...api.words import NOT_FOUND, ErrorAnswer
from ...runtime.history.attribution import By
from ...runtime.instance.condition import Condition
from ...runtime.operations.management import InstanceOperations
from .call import ManagementCall
from .endpoint import JSON, Endpoint, Success

DOOR = "api"


def _action(operation: str, summary: str, success: Success, *errors: ErrorAnswer, description: str = "") -> Endpoint:
    return Endpoint(
        f"{operation}_instance",
        "POST",
        f"/instances/{{id}}/{operation}",
        "actions",
        summary,
        (success,),
        errors=(NOT_FOUND, RUN_CHANGED, *errors),
        headers=("If-Match",),
        body=Action,
        description=description,
    )


DONE = Success(200, "It is done", ActionDone)
ACTIONS = (
    _action("suspend", "Let an instance take no further step until it is resumed", DONE, STALLED),
    _action("resume", "Let a suspended instance go on", DONE, STALLED),
    _action(
        "terminate",
        "End an instance without asking its code",
        Success(202, "It has ended, and its descendants are told to", ActionDone),
        HISTORY_UNREADABLE,
        description="An instance that is stalled or set aside ends too. One that has ended stays as it is.",
    ),
    _action(
        "purge",
        "Forget an instance",
        DONE,
        UNFINISHED,
        description="It must have ended, or be stalled or set aside, or `force` be given. Its descendants go first.",
    ),
)


class ActionRoutes:
    """The handlers."""

    def __init__(self, management: InstanceOperations) -> None:
        self.steering = management.steering

    async def suspend_instance(self, call: ManagementCall) -> Response:
        instance_id, run, action = call.id, condition_of(call), await call.body(Action)
        by = by_of(call, action.reason)
        await self.steering.suspend(instance_id, by=by, recurse=action.recurse or False, condition=run)
        return done(instance_id)

    async def resume_instance(self, call: ManagementCall) -> Response:
        instance_id, run, action = call.id, condition_of(call), await call.body(Action)
        by = by_of(call, action.reason)
        await self.steering.resume(instance_id, by=by, recurse=action.recurse or False, condition=run)
        return done(instance_id)

    async def terminate_instance(self, call: ManagementCall) -> Response:
        instance_id, run, action = call.id, condition_of(call), await call.body(Action)
        await self.steering.terminate(
            instance_id,
            by=by_of(call, action.reason),
            output=json_text(action.output),
            recurse=action.recurse is not False,
            condition=run,
        )
        return done(instance_id, status=202)

    async def purge_instance(self, call: ManagementCall) -> Response:
        instance_id, run, action = call.id, condition_of(call), await call.body(Action)
        affected = await self.steering.purge(
            instance_id,
            by=by_of(call, action.reason),
            recurse=action.recurse is not False,
            force=action.force,
            condition=run,
        )
        return Response(encode(ActionDone(id=instance_id, affected=affected)), media_type=JSON)


def by_of(call: ManagementCall, reason: str | None = None) -> By:
    """Say on whose behalf a change is made."""
    return By(call.actor, DOOR, reason)


def condition_of(call: ManagementCall) -> Condition:
    """Say what the instance must still be. Raises Refusal."""
    return Condition(run=call.expected_run())


def done(instance_id: str, *, status: int = 200) -> Response:
    return Response(encode(ActionDone(id=instance_id)), status, media_type=JSON)
