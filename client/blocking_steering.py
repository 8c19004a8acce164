"""The part of the blocking client that runs again, repairs, acts on many, and reads the audit.

The rule: as in `blocking.py`, whose client has it: each method is the one of `RemoteClient`, and waits.
"""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal, TypeVar, Unpack

from ..api.management.actions import ActionDone, RerunPreview
from ..api.management.bulk import BulkPlan, OperationInfo, OperationList
from ..api.management.overview import AuditList
from .filters import Filter, Moment
from .remote_client import BulkWord, RemoteClient

T = TypeVar("T")


class BlockingSteering(ABC):
    """The methods; how they wait is the client's."""

    @abstractmethod
    def _call(self, function: Callable[[RemoteClient], Awaitable[T]]) -> T:
        """Do something with the other client, and wait for it."""

    def plan_rerun(self, instance_id: str, *, from_event: int | None = None) -> RerunPreview:
        """Say which steps a rerun would keep, and which it would repeat; as `RemoteClient.plan_rerun`."""
        return self._call(lambda client: client.plan_rerun(instance_id, from_event=from_event))

    def repair(
        self,
        instance_id: str,
        action: Literal["retry", "complete", "fail", "fire", "release"],
        *,
        event_id: int | None = None,
        result: Any = None,
        failure: Mapping[str, Any] | str | None = None,
        reason: str | None = None,
        expected_run: str | None = None,
    ) -> ActionDone:
        """Answer what an instance waits for; as `RemoteClient.repair`."""
        return self._call(
            lambda client: client.repair(
                instance_id,
                action,
                event_id=event_id,
                result=result,
                failure=failure,
                reason=reason,
                expected_run=expected_run,
            )
        )

    def plan_bulk(
        self,
        action: BulkWord,
        *,
        recurse: bool | None = None,
        force: bool = False,
        rate: float | None = None,
        reason: str | None = None,
        **filter: Unpack[Filter],  # noqa: A002
    ) -> BulkPlan:
        """Say how many instances a bulk operation would reach; as `RemoteClient.plan_bulk`."""
        return self._call(
            lambda client: client.plan_bulk(action, recurse=recurse, force=force, rate=rate, reason=reason, **filter)
        )

    def bulk(self, action: BulkWord, plan: str) -> OperationInfo:
        """Begin the bulk operation that was planned; as `RemoteClient.bulk`."""
        return self._call(lambda client: client.bulk(action, plan))

    def operations(self, *, cursor: str | None = None, limit: int = 50) -> OperationList:
        """List the bulk operations, the newest first; as `RemoteClient.operations`."""
        return self._call(lambda client: client.operations(cursor=cursor, limit=limit))

    def operation(self, operation_id: str) -> OperationInfo:
        """Say how far a bulk operation is; as `RemoteClient.operation`."""
        return self._call(lambda client: client.operation(operation_id))

    def cancel_operation(self, operation_id: str, *, reason: str | None = None) -> OperationInfo:
        """Let a bulk operation go no further; as `RemoteClient.cancel_operation`."""
        return self._call(lambda client: client.cancel_operation(operation_id, reason=reason))

    def audit(
        self,
        *,
        instance_id: str | None = None,
        actor: str | None = None,
        action: str | None = None,
        after: Moment | None = None,
        before: Moment | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> AuditList:
        """Read who changed what, why and when; as `RemoteClient.audit`."""
        return self._call(
            lambda client: client.audit(
                instance_id=instance_id,
                actor=actor,
                action=action,
                after=after,
                before=before,
                cursor=cursor,
                limit=limit,
            )
        )
