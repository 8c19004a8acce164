"""The client with the methods of `Client` and of the management API.

The rule: each method calls one route. `/api/v1/openapi.json` describes the body and the answer of a route; the structs
are those of `api/management/`.

`client/remote_client.py` is the client of a daemon; an embedded engine has its own (`embedding/engine.py`). The
blocking twin is generated from this file (`client/blocking_management.py`).
"""

import json
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping
from contextlib import aclosing, asynccontextmanager
from datetime import timedelta
from typing import Any, Literal, NamedTuple, Unpack, overload

import msgspec
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
from ..runtime.authoring.app import App
from ..runtime.errors import InstanceNotFound
from ..runtime.operations.client import Client, Operations, id_of
from ..runtime.operations.handle import Handle
from .api_server import ApiServer, path_of
from .errors import Told, error_of
from .filters import Filter, Moment, body_of, query_of, text_of_value
from .remote import RemoteOperations

Json = dict[str, Any]
Order = Literal["-created", "created", "-updated", "updated", "id"]
BulkWord = Literal["suspend", "resume", "terminate", "purge", "rerun"]
Payloads = Literal["none", "head", "full"]

Report = Literal["workflows", "activities", "workers", "hosts", "attention", "system"]
REPORTS: dict[Report, type[Any]] = {
    "workflows": WorkflowList,
    "activities": ActivityList,
    "workers": WorkerList,
    "hosts": HostList,
    "attention": AttentionView,
    "system": SystemView,
}

NDJSON = "application/x-ndjson"
PAGE = 500  # for a list that is read completely
WITH_EXTRAS = 50  # the largest page whose items have extra fields
WAIT_MAX_S = 300.0  # of one request; a longer wait needs several
HEARTBEAT_S = 60.0  # a stream without any line for this time is broken; the server sends heartbeats


class StatusChange(NamedTuple):
    """An event of a stream."""

    id: str | None  # the position from which to continue after a lost connection
    # `ready` comes first; `change`; `leave`: the filter does not match any more; `gone`: the instance was purged;
    # `reset`: changes were missed, so read the list again.
    kind: str
    data: Json  # for `change`: the list item of the instance


class ManagementClient(Client):
    """Starts, shows and controls instances, with all operations of the management API.

    Args:
        operations: Serves the methods that the client of an engine has too.
        server: Serves all other methods.
        app: Has the types of inputs and results of workflows that are given by name; None: only types of workflows that
            are given as functions are known.
    """

    def __init__(self, operations: Operations, server: ApiServer, app: App | None = None) -> None:
        super().__init__(operations, app)
        self._remote = operations if isinstance(operations, RemoteOperations) else RemoteOperations(server)
        self._server = server

    # Seeing.

    async def list(
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
        query = [*query_of(filter), ("order", order), ("limit", str(limit))]
        if cursor is not None:
            query.append(("cursor", cursor))
        if more := ",".join(extras):
            query.append(("with", more))
        return await self._server.ask("GET", path_of("instances"), InstanceList, query=query)

    async def instances(
        self,
        *,
        order: Order = "-created",
        limit: int | None = None,
        extras: Iterable[str] = (),
        **filter: Unpack[Filter],  # noqa: A002
    ) -> AsyncGenerator[InstanceSummary, None]:
        """Read the list of instances, page by page, to its end.

        Args:
            limit: The highest number of instances; None: all.
            extras: As in `list`.
        """
        extras = tuple(extras)
        most = WITH_EXTRAS if extras else PAGE
        cursor: str | None = None
        read = 0
        while limit is None or read < limit:
            size = most if limit is None else min(most, limit - read)
            page = await self.list(order=order, limit=size, cursor=cursor, extras=extras, **filter)
            for item in page.items:
                yield item
            read += len(page.items)
            if (cursor := page.cursor) is None:
                return

    async def count(self, *, by: Iterable[str] = (), **filter: Unpack[Filter]) -> CountResult:  # noqa: A002
        """Count instances.

        Args:
            by: `status`, `name`, `root`: the fields to group by.
        """
        groups = ",".join([by] if isinstance(by, str) else by)
        query = [*query_of(filter), *([("by", groups)] if groups else [])]
        return await self._server.ask("GET", path_of("count"), CountResult, query=query)

    async def describe(self, instance_id: str) -> InstanceDetails | None:
        """Describe an instance without its payloads, with open entries and failure; None if it does not exist."""
        return await self._remote.describe(id_of(instance_id))

    async def payloads(self, instance_id: str) -> tuple[str | None, str | None]:
        """Read the input and the output of an instance as texts.

        Raises:
            InstanceNotFound: There is no such instance.
        """
        described = await self.describe(instance_id)
        if described is None:
            raise InstanceNotFound(id_of(instance_id))
        return await self._remote.payloads(described)

    async def wait_for(
        self,
        instance_id: str,
        *,
        until: Iterable[str] = (),
        timeout: timedelta | float | None = None,  # noqa: ASYNC109
    ) -> InstanceDetails | None:
        """Wait for the end of an instance, or for one of several statuses, and describe it.

        Args:
            until: Statuses of the API, such as `running`, `suspended`, `set_aside`; empty: the end.
            timeout: A number is seconds; None: no limit.

        Returns:
            The description; None if the time is over.
        """
        words = [until] if isinstance(until, str) else list(until)
        left_s = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
        while True:
            once_s = WAIT_MAX_S if left_s is None else min(left_s, WAIT_MAX_S)
            if (found := await self._remote.wait_once(id_of(instance_id), words, once_s)) is not None:
                return found
            if left_s is not None and (left_s := left_s - once_s) <= 0:
                return None

    async def history(
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
        order = "newest" if newest_first else "oldest"
        query = [("limit", str(limit)), ("order", order), ("payloads", payloads)]
        if after is not None:
            query.append(("after", after))
        path = path_of("instances", id_of(instance_id), "history")
        return await self._server.ask("GET", path, HistoryList, query=query, instance_id=instance_id)

    async def payload(self, instance_id: str, key: str, kind: Literal["input", "result", "failure"]) -> str | None:
        """Read one payload of a history as text; None if the event has none."""
        path = path_of("instances", id_of(instance_id), "history", key, kind)
        answer = await self._server.send("GET", path, good=(200, 204), instance_id=instance_id)
        return answer.text if answer.status == 200 else None

    async def tree(self, instance_id: str, *, depth: int = 3) -> InstanceTree:
        """Return an instance with its descendants."""
        path = path_of("instances", id_of(instance_id), "tree")
        return await self._server.ask("GET", path, InstanceTree, query=[("depth", str(depth))], instance_id=instance_id)

    @asynccontextmanager
    async def events(
        self,
        *,
        last_event_id: str | None = None,
        **filter: Unpack[Filter],  # noqa: A002
    ) -> AsyncGenerator[AsyncIterator[StatusChange], None]:
        """Follow the changes of status of all instances that a filter matches.

            async with client.events(status="failed") as events:
                async for event in events:
                    ...

        Args:
            last_event_id: The id of the last event that was seen.
        """
        headers = {"accept": "text/event-stream"}
        if last_event_id is not None:
            headers["last-event-id"] = last_event_id
        query = query_of(filter)
        stream = self._server.stream("GET", path_of("events"), query=query, headers=headers, read_s=HEARTBEAT_S)
        async with stream as lines, aclosing(events_of(lines)) as found:
            yield found

    # Steering.

    async def act(
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
        body: Json = {"reason": reason, "recurse": recurse}
        if force:
            body["force"] = True
        if (text := self._encoder.encode(output)) is not None:
            body["output"] = msgspec.Raw(text.encode())
        return await self._remote.act(action, id_of(instance_id), body, expected_run=expected_run)

    async def rerun(
        self,
        instance_id: str,
        *,
        from_event: int | None = None,
        new_id: str | None = None,
        input: Any = UNSET,  # noqa: A002
        reason: str | None = None,
    ) -> Handle[Any]:
        """Run an instance again as a new one, and return its handle. The source is not changed.

        Args:
            from_event: Keep the events before this event id; None: begin again, with the same name and tags.
            input: Another input; with `from_event` for that event.
        """
        path = path_of("instances", id_of(instance_id), "rerun")
        body = self._rerun_body(from_event, new_id, input, reason)
        begun = await self._server.ask("POST", path, InstanceSummary, body=body, instance_id=instance_id)
        return Handle(begun.id, self)

    async def plan_rerun(self, instance_id: str, *, from_event: int | None = None) -> RerunPreview:
        """Return the steps that a rerun would keep, and the steps that it would repeat."""
        path = path_of("instances", id_of(instance_id), "rerun")
        body = {**self._rerun_body(from_event, None, UNSET, None), "dry_run": True}
        return await self._server.ask("POST", path, RerunPreview, body=body, instance_id=instance_id)

    def _rerun_body(self, from_event: int | None, new_id: str | None, given: Any, reason: str | None) -> Json:
        told: Json = {"from_event": from_event, "id": new_id, "reason": reason}
        body = {name: value for name, value in told.items() if value is not None}
        if given is not UNSET:
            body["input"] = msgspec.Raw((self._encoder.encode(given) or "null").encode())
        return body

    async def repair(
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
        body: Json = {"action": action, "event_id": event_id, "reason": reason}
        if action == "complete":
            body["result"] = msgspec.Raw((self._encoder.encode(result) or "null").encode())
        if failure is not None:
            body["failure"] = {"message": failure} if isinstance(failure, str) else dict(failure)
        return await self._remote.act("repair", id_of(instance_id), body, expected_run=expected_run)

    # Many at once.

    async def plan_bulk(
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
        told: Json = {"filter": body_of(filter), "dry_run": True, "recurse": recurse, "rate": rate, "reason": reason}
        body = {name: value for name, value in told.items() if value is not None}
        if force:
            body["force"] = True
        return await self._server.ask("POST", path_of("bulk", action), BulkPlan, body=body)

    async def bulk(self, action: BulkWord, plan: str) -> OperationInfo:
        """Begin a planned bulk operation. The same plan begins only one operation."""
        return await self._server.ask("POST", path_of("bulk", action), OperationInfo, body={"plan": plan})

    async def operations(self, *, cursor: str | None = None, limit: int = 50) -> OperationList:
        """List the bulk operations, the newest first."""
        query = [("limit", str(limit)), *([("cursor", cursor)] if cursor is not None else [])]
        return await self._server.ask("GET", path_of("operations"), OperationList, query=query)

    async def operation(self, operation_id: str) -> OperationInfo:
        """Return the progress of a bulk operation."""
        return await self._server.ask("GET", path_of("operations", operation_id), OperationInfo)

    async def cancel_operation(self, operation_id: str, *, reason: str | None = None) -> OperationInfo:
        """Cancel a bulk operation. Its effects so far remain."""
        path = path_of("operations", operation_id, "cancel")
        return await self._server.ask("POST", path, OperationInfo, body={"reason": reason})

    # Others.

    @asynccontextmanager
    async def export(self, instance_id: str) -> AsyncGenerator[AsyncIterator[str], None]:
        """Read a whole history: a line of JSON as a header, and a line for each event."""
        path = path_of("instances", id_of(instance_id), "export")
        stream = self._server.stream("GET", path, headers={"accept": NDJSON}, instance_id=instance_id)
        async with stream as lines, aclosing(checked(lines, instance_id)) as whole:
            yield whole

    async def import_history(self, exported: bytes, *, new_id: str | None = None) -> Handle[Any]:
        """Import the lines of `export` as an instance that has ended. No activity, message or timer follows from it.

        Args:
            new_id: Another id; None: the same id, which must be free.
        """
        query = [("id", id_of(new_id))] if new_id is not None else []
        taken = await self._server.ask("POST", path_of("import"), InstanceSummary, query=query, body=exported)
        return Handle(taken.id, self)

    async def audit(
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
        told = {"id": instance_id, "actor": actor, "action": action, "after": after, "before": before, "cursor": cursor}
        query = [(name, text_of_value(value)) for name, value in told.items() if value is not None]
        return await self._server.ask("GET", path_of("audit"), AuditList, query=[*query, ("limit", str(limit))])

    @overload
    async def report(self, what: Literal["workflows"]) -> WorkflowList: ...
    @overload
    async def report(self, what: Literal["activities"]) -> ActivityList: ...
    @overload
    async def report(self, what: Literal["workers"]) -> WorkerList: ...
    @overload
    async def report(self, what: Literal["hosts"]) -> HostList: ...
    @overload
    async def report(self, what: Literal["attention"]) -> AttentionView: ...
    @overload
    async def report(self, what: Literal["system"]) -> SystemView: ...
    async def report(self, what: Report) -> Any:
        """Read a report on the daemon."""
        return await self._server.ask("GET", path_of(what), REPORTS[what])


async def checked(lines: AsyncIterator[str], instance_id: str) -> AsyncGenerator[str, None]:
    """Yield lines, until one that has the error that ended the stream.

    Raises:
        PerdureError: See `client/errors.py`.
    """
    async for line in lines:
        if line.startswith('{"errorCode"'):
            raise error_of(200, Told.of(json.loads(line)), instance_id=instance_id)
        yield line


async def events_of(lines: AsyncIterator[str]) -> AsyncGenerator[StatusChange, None]:
    """Parse the lines of an event stream. Source: HTML Living Standard, 9.2.6."""
    data: list[str] = []
    event_id: str | None = None
    kind = ""
    async for line in lines:
        if not line:
            if data:
                yield StatusChange(event_id, kind or "message", json.loads("\n".join(data)))
            data, kind = [], ""
            continue
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match field:
            case "data":
                data.append(value)
            case "id":
                event_id = value
            case "event":
                kind = value
            case _:
                pass  # a comment: the heartbeat
