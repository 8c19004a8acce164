"""The blocking twin of `ManagementClient`.

The rule: each method is the one of `ManagementClient`, and waits.

Made by tests/support/blocking_twin.py of client/management_client.py. Changes are made there.
"""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, Literal, Unpack, overload

from msgspec import UNSET

from ..api.management.actions import ActionDone, RerunPreview
from ..api.management.bulk import BulkPlan, OperationInfo, OperationList
from ..api.management.history import HistoryList
from ..api.management.instances import CountResult, InstanceDetails, InstanceList, InstanceSummary, InstanceTree
from ..api.management.overview import (
    ActivityList,
    AttentionView,
    AuditList,
    HostList,
    SystemView,
    WorkerList,
    WorkflowList,
)
from .blocking_calls import BlockingStream
from .blocking_instances import BlockingHandle, BlockingInstances
from .filters import Filter, Moment
from .management_client import BulkWord, Order, Payloads, Report, StatusChange


class BlockingManagement(BlockingInstances):
    """The methods of `ManagementClient`, each of which waits."""

    def list(
        self,
        *,
        order: Order = "-created",
        limit: int = 100,
        cursor: str | None = None,
        extras: Iterable[str] = (),
        **filter: Unpack[Filter],  # noqa: A002
    ) -> InstanceList:
        """Read a page of the list of instances.

        Args:
            limit: At most 500.
            cursor: The cursor of the previous page.
            extras: `waiting_for`, `children`: additional fields of each item; for at most 50 items.

        Raises:
            ServerRefused: A filter is unknown, or has an impossible value.
        """
        return self._call(lambda client: client.list(order=order, limit=limit, cursor=cursor, extras=extras, **filter))

    def instances(
        self,
        *,
        order: Order = "-created",
        limit: int | None = None,
        extras: Iterable[str] = (),
        **filter: Unpack[Filter],  # noqa: A002
    ) -> BlockingStream[InstanceSummary]:
        """Read the list of instances, page by page, to its end.

        Args:
            limit: The highest number of instances; None: all.
            extras: As in `list`.
        """
        return self._each(lambda client: client.instances(order=order, limit=limit, extras=extras, **filter))

    def count(self, *, by: Iterable[str] = (), **filter: Unpack[Filter]) -> CountResult:  # noqa: A002
        """Count instances.

        Args:
            by: `status`, `name`, `root`: the fields to group by.
        """
        return self._call(lambda client: client.count(by=by, **filter))

    def describe(self, instance_id: str) -> InstanceDetails | None:
        """Describe an instance without its payloads, with open entries and failure; None if it does not exist."""
        return self._call(lambda client: client.describe(instance_id))

    def payloads(self, instance_id: str) -> tuple[str | None, str | None]:
        """Read the input and the output of an instance as texts.

        Raises:
            InstanceNotFound: There is no such instance.
        """
        return self._call(lambda client: client.payloads(instance_id))

    def wait_for(
        self,
        instance_id: str,
        *,
        until: Iterable[str] = (),
        timeout: timedelta | float | None = None,
    ) -> InstanceDetails | None:
        """Wait for the end of an instance, or for one of several statuses, and describe it.

        Args:
            until: Statuses of the API, such as `running`, `suspended`, `set_aside`; empty: the end.
            timeout: A number is seconds; None: no limit.

        Returns:
            The description; None if the time is over.
        """
        return self._call(lambda client: client.wait_for(instance_id, until=until, timeout=timeout))

    def history(
        self,
        instance_id: str,
        *,
        after: str | None = None,
        limit: int = 100,
        newest_first: bool = False,
        payloads: Payloads = "head",
    ) -> HistoryList:
        """Read a page of the history of an instance's current generation.

        Args:
            after: The cursor of the previous page, or the key of an event.
            payloads: `none`, the first characters of each (`head`), or whole payloads up to a limit (`full`).
        """
        return self._call(
            lambda client: client.history(
                instance_id, after=after, limit=limit, newest_first=newest_first, payloads=payloads
            )
        )

    def payload(self, instance_id: str, key: str, kind: Literal["input", "result", "failure"]) -> str | None:
        """Read one payload of a history as text; None if the event has none."""
        return self._call(lambda client: client.payload(instance_id, key, kind))

    def tree(self, instance_id: str, *, depth: int = 3) -> InstanceTree:
        """Return an instance with its descendants."""
        return self._call(lambda client: client.tree(instance_id, depth=depth))

    def events(
        self,
        *,
        last_event_id: str | None = None,
        **filter: Unpack[Filter],  # noqa: A002
    ) -> BlockingStream[StatusChange]:
        """Follow the changes of status of all instances that a filter matches.

            with client.events(status="failed") as events:
                for event in events:
                    ...

        Args:
            last_event_id: The id of the last event that was seen.
        """
        return self._each_within(lambda client: client.events(last_event_id=last_event_id, **filter))

    def act(
        self,
        action: Literal["suspend", "resume", "terminate", "purge"],
        instance_id: str,
        *,
        reason: str | None = None,
        recurse: bool | None = None,
        force: bool = False,
        output: Any = None,
        expected_run: str | None = None,
    ) -> ActionDone:
        """Suspend, resume, terminate or purge an instance, with all options of the management API.

        Args:
            recurse: Include all descendants; None: the default of the action.
            output: For terminate: the result of the instance.
            expected_run: The `first_execution_id` that the instance must have.

        Raises:
            ServerRefused: The instance is another run, or the action is not possible now.
        """
        return self._call(
            lambda client: client.act(
                action,
                instance_id,
                reason=reason,
                recurse=recurse,
                force=force,
                output=output,
                expected_run=expected_run,
            )
        )

    def rerun(
        self,
        instance_id: str,
        *,
        from_event: int | None = None,
        new_id: str | None = None,
        input: Any = UNSET,  # noqa: A002
        reason: str | None = None,
    ) -> BlockingHandle[Any]:
        """Run an instance again as a new one, and return its handle. The source is not changed.

        Args:
            from_event: Keep the events before this event id; None: begin again, with the same name and tags.
            input: Another input; with `from_event` for that event.
        """
        handle = self._call(
            lambda client: client.rerun(instance_id, from_event=from_event, new_id=new_id, input=input, reason=reason)
        )
        return BlockingHandle(handle, self, handle.workflow)

    def plan_rerun(self, instance_id: str, *, from_event: int | None = None) -> RerunPreview:
        """Return the steps that a rerun would keep, and the steps that it would repeat."""
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
        """Answer an open entry of an instance, in place of an activity, a child or a timer. No history is rewritten.

        Args:
            expected_run: The `first_execution_id` that the instance must have.
            event_id: The event id of an entry of `waiting_for`; `release` takes none.
            result: The result for `complete`.
            failure: The failure for `fail`: `{"type", "message"}`, or a message.
        """
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
        """Return how many instances a bulk operation would affect, without a change.

        Args:
            recurse: Include the descendants of each; None: the default of the action.
            rate: Instances a second.

        Returns:
            The number, a sample, and the plan that `bulk` takes within 15 minutes.
        """
        return self._call(
            lambda client: client.plan_bulk(action, recurse=recurse, force=force, rate=rate, reason=reason, **filter)
        )

    def bulk(self, action: BulkWord, plan: str) -> OperationInfo:
        """Begin a planned bulk operation. The same plan begins only one operation."""
        return self._call(lambda client: client.bulk(action, plan))

    def operations(self, *, cursor: str | None = None, limit: int = 50) -> OperationList:
        """List the bulk operations, the newest first."""
        return self._call(lambda client: client.operations(cursor=cursor, limit=limit))

    def operation(self, operation_id: str) -> OperationInfo:
        """Return the progress of a bulk operation."""
        return self._call(lambda client: client.operation(operation_id))

    def cancel_operation(self, operation_id: str, *, reason: str | None = None) -> OperationInfo:
        """Cancel a bulk operation. Its effects so far remain."""
        return self._call(lambda client: client.cancel_operation(operation_id, reason=reason))

    def export(self, instance_id: str) -> BlockingStream[str]:
        """Read a whole history: a line of JSON as a header, and a line for each event."""
        return self._each_within(lambda client: client.export(instance_id))

    def import_history(self, exported: bytes, *, new_id: str | None = None) -> BlockingHandle[Any]:
        """Import the lines of `export` as an instance that has ended. No activity, message or timer follows from it.

        Args:
            new_id: Another id; None: the same id, which must be free.
        """
        handle = self._call(lambda client: client.import_history(exported, new_id=new_id))
        return BlockingHandle(handle, self, handle.workflow)

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
        """Read the audit: each change with its author, reason and time, the newest first.

        Args:
            actor: The name of a token.
            after: Inclusive; `before` is exclusive.
        """
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

    @overload
    def report(self, what: Literal["workflows"]) -> WorkflowList: ...

    @overload
    def report(self, what: Literal["activities"]) -> ActivityList: ...

    @overload
    def report(self, what: Literal["workers"]) -> WorkerList: ...

    @overload
    def report(self, what: Literal["hosts"]) -> HostList: ...

    @overload
    def report(self, what: Literal["attention"]) -> AttentionView: ...

    @overload
    def report(self, what: Literal["system"]) -> SystemView: ...

    def report(self, what: Report) -> Any:
        """Read a report on the daemon."""
        return self._call(lambda client: client.report(what))
