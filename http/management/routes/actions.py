"""The handlers that steer one instance.

The rule: each change is recorded with the caller's token, and is made only if the instance is still the run that the
caller names in `If-Match`.
"""

from collections.abc import Sequence

from msgspec import UNSET
from starlette.responses import Response

from ....api.management.actions import (
    Action,
    ActionDone,
    RepairRequest,
    RerunBody,
    RerunPreview,
    RerunStepInfo,
    json_text,
)
from ....api.management.instances import InstanceSummary
from ....api.management.moments import encode
from ....api.management.paths import path_piece
from ....api.management.shapes import summary
from ....api.management.words import (
    BODY_INVALID,
    EVENT_MISSING,
    EXISTS,
    HISTORY_UNREADABLE,
    LIMIT_EXCEEDED,
    NOT_SET_ASIDE,
    REPAIR_REFUSED,
    REQUEST_INVALID,
    RERUN_REFUSED,
    RUN_CHANGED,
    STALLED,
    UNFINISHED,
    WORKFLOW_UNKNOWN,
)
from ....api.words import NOT_FOUND, ErrorAnswer, Refusal
from ....runtime.errors import InstanceNotFound
from ....runtime.history.attribution import By
from ....runtime.history.failure import FailureDetails
from ....runtime.history.status import Status
from ....runtime.instance.condition import Condition
from ....runtime.instance.message import Repair, RepairAction
from ....runtime.operations.management import InstanceOperations
from ....runtime.operations.reading.description import Descriptions
from ....runtime.operations.steering.rerunning import RerunStep
from ..call import ManagementCall
from ..endpoint import JSON, PREFIX, Endpoint, Success


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
REPAIR = Endpoint(
    "repair_instance",
    "POST",
    "/instances/{id}/repair",
    "actions",
    "Answer an open entry of an instance",
    (Success(200, "It is done", ActionDone),),
    errors=(NOT_FOUND, REPAIR_REFUSED, NOT_SET_ASIDE, RUN_CHANGED, LIMIT_EXCEEDED, REQUEST_INVALID),
    headers=("If-Match",),
    body=RepairRequest,
    description=(
        "The history is not rewritten: the answer is added as an event. A step that has failed already "
        "is not in `waiting_for`; use rerun from its event."
    ),
)

RERUN = Endpoint(
    "rerun_instance",
    "POST",
    "/instances/{id}/rerun",
    "actions",
    "Run an instance that has ended again, as a new one",
    (
        Success(201, "The new instance is stored and will run", InstanceSummary, etag=True),
        Success(200, "For a dry run: the steps that would be kept and repeated", RerunPreview),
    ),
    errors=(
        NOT_FOUND,
        EVENT_MISSING,
        RERUN_REFUSED,
        EXISTS,
        RUN_CHANGED,
        WORKFLOW_UNKNOWN,
        LIMIT_EXCEEDED,
        REQUEST_INVALID,
        HISTORY_UNREADABLE,
    ),
    headers=("If-Match",),
    body=RerunBody,
    description=(
        "The source is not changed. Without `from_event` the new instance has the same name and tags, and the input of "
        "the last generation unless `input` is given. A child can only be run again from its beginning."
    ),
)

ACTIONS = (
    _action("suspend", "Suspend an instance until it is resumed", DONE, STALLED),
    _action("resume", "Resume a suspended instance", DONE, STALLED),
    _action(
        "terminate",
        "End an instance without running its code",
        Success(202, "The instance has ended, and its descendants were told to end", ActionDone),
        HISTORY_UNREADABLE,
        description="An instance that is stalled or set aside ends too. An instance that has ended is not changed.",
    ),
    _action(
        "purge",
        "Forget an instance",
        DONE,
        UNFINISHED,
        description="Without `force` it must have ended, be stalled or set aside. Its descendants are deleted first.",
    ),
    REPAIR,
    RERUN,
)


class ActionRoutes:
    """The handlers of actions on one instance."""

    def __init__(self, management: InstanceOperations) -> None:
        self.steering = management.steering
        self.descriptions = management.views.descriptions

    async def suspend_instance(self, call: ManagementCall) -> Response:
        """Suspend an instance."""
        instance_id, run, action = call.id, condition_of(call), await call.body(Action)
        by = by_of(call, action.reason)
        already = await self.steering.suspend(instance_id, by=by, recurse=action.recurse or False, condition=run)
        return done(instance_id, already)

    async def resume_instance(self, call: ManagementCall) -> Response:
        """Resume a suspended instance."""
        instance_id, run, action = call.id, condition_of(call), await call.body(Action)
        by = by_of(call, action.reason)
        already = await self.steering.resume(instance_id, by=by, recurse=action.recurse or False, condition=run)
        return done(instance_id, already)

    async def terminate_instance(self, call: ManagementCall) -> Response:
        """End an instance without running its code."""
        instance_id, run, action = call.id, condition_of(call), await call.body(Action)
        already = await self.steering.terminate(
            instance_id,
            by=by_of(call, action.reason),
            output=json_text(action.output),
            recurse=action.recurse is not False,
            condition=run,
        )
        return done(instance_id, already, status=202)

    async def purge_instance(self, call: ManagementCall) -> Response:
        """Delete an instance."""
        instance_id, run, action = call.id, condition_of(call), await call.body(Action)
        affected = await self.steering.purge(
            instance_id,
            by=by_of(call, action.reason),
            recurse=action.recurse is not False,
            force=action.force,
            condition=run,
        )
        return Response(encode(ActionDone(id=instance_id, affected=affected)), media_type=JSON)

    async def repair_instance(self, call: ManagementCall) -> Response:
        """Give an instance the answer that it waits for, or release one that was set aside.

        Raises:
            Refusal: A field that the action needs is missing.
        """
        instance_id, run, asked = call.id, condition_of(call), await call.body(RepairRequest)
        by = by_of(call, asked.reason)
        if asked.action == "release":
            await self.steering.release(instance_id, by=by, condition=run)
            return done(instance_id)
        if asked.event_id is None:
            raise Refusal(BODY_INVALID, detail=f"{asked.action} needs the event_id of an entry of waiting_for")
        failure = None
        if asked.action == "fail":
            if asked.failure is None:
                raise Refusal(BODY_INVALID, detail="fail needs a failure: {type, message}")
            given = asked.failure
            failure = FailureDetails(
                error_type=given.type,
                message=given.message,
                stack_trace=given.traceback,
                non_retriable=given.non_retriable,
            )
        result = json_text(asked.result) if asked.action == "complete" else None
        repair = Repair(RepairAction(asked.action), asked.event_id, result, failure, by, run)
        await self.steering.repair(instance_id, repair)
        return done(instance_id)

    async def rerun_instance(self, call: ManagementCall) -> Response:
        """Start a copy of an instance from an event of its history; with `dry_run` only show the plan."""
        instance_id, run, asked = call.id, condition_of(call), await call.body(RerunBody)
        if asked.dry_run:
            plan = await self.steering.plan_rerun(instance_id, from_event=asked.from_event, condition=run)
            preview = RerunPreview(kept=steps(plan.kept), repeated=steps(plan.repeated))
            return Response(encode(preview), media_type=JSON)
        new_id = await self.steering.rerun(
            instance_id,
            by=by_of(call, asked.reason),
            from_event=asked.from_event,
            new_id=asked.id,
            input=json_text(asked.input),
            overwrite_input=asked.input is not UNSET,
            condition=run,
        )
        return await started(call, self.descriptions, new_id, status=201)


def steps(found: Sequence[RerunStep]) -> list[RerunStepInfo]:
    """Return the steps of an instance in the API's form."""
    return [RerunStepInfo(event_id=each.event_id, kind=each.kind, name=each.name) for each in found]


async def started(call: ManagementCall, descriptions: Descriptions, instance_id: str, *, status: int) -> Response:
    """Answer with the list item of an instance that was started, and its location.

    Raises:
        InstanceNotFound: It has been purged since.
    """
    found = await descriptions.outline(instance_id)
    if found is None:
        raise InstanceNotFound(instance_id)
    root = call.request.scope.get("root_path", "")
    headers = {
        "location": f"{root}{PREFIX}/instances/{path_piece(instance_id)}",
        "etag": f'"{found.run_id}"',
    }
    return Response(encode(summary(found.item)), status, headers, JSON)


def by_of(call: ManagementCall, reason: str | None = None) -> By:
    """Return the caller, the door and the reason of a change, for the audit."""
    return By(call.actor, call.door, reason)


def condition_of(call: ManagementCall) -> Condition:
    """Return the condition that the instance must still meet. Raises Refusal."""
    return Condition(runs=call.expected_runs())


def done(instance_id: str, already: Status | None = None, *, status: int = 200) -> Response:
    """Return the answer to an action that was made, now or earlier."""
    told = ActionDone(id=instance_id, already=already.name if already is not None else UNSET)
    return Response(encode(told), status, media_type=JSON)
