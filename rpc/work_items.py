"""The worker's side of the task hub: Hello, the stream of work, and the answers.

Decode, one call, encode. Whose answer counts, who gets what and what happens to
the work of a stream that breaks is the dispatcher's.

Source: contract 3.5, 3.6, 3.8.
"""

import logging
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import anyio

from ..actors.errors import HostStopping, PerdureError
from ..runtime.work import ActivityAnswer, ActivityItem, Worker, WorkflowAnswer, WorkflowItem, WorkItem
from .action_wire import activity_answer, workflow_answer
from .history_wire import HistoryWriter, text, trace
from .messages import CompleteTaskResponse, Empty, HistoryEvent, Message, PropagatedHistory
from .messages import WorkItem as WorkItemMessage
from .method import Context

log = logging.getLogger(__name__)

STATEFUL_HISTORY = 2  # a WorkerCapability

SEND_TIMEOUT_S = 10.0  # Dapr's; a worker that takes nothing for so long is as good as gone


class WorkerStuck(PerdureError):
    """A worker does not take what is sent to it."""

    def __init__(self, peer: str, *, timeout_s: float) -> None:
        super().__init__(peer, timeout_s)
        self.peer = peer
        self.timeout_s = timeout_s

    def __str__(self) -> str:
        return f"the worker at {self.peer} has taken nothing for {self.timeout_s:g} s; its work goes to others"


class Dispatcher(Protocol):
    """What is needed of the dispatcher; `runtime/dispatcher.py` says what each does and raises."""

    def connect(self, worker: Worker) -> AbstractAsyncContextManager[AsyncIterator[WorkItem]]: ...

    async def complete_workflow(self, answer: WorkflowAnswer) -> None: ...

    async def complete_activity(self, answer: ActivityAnswer) -> None: ...


class WorkItems:
    """The methods, and what all of them know."""

    def __init__(self, dispatcher: Dispatcher, *, app_id: str, send_timeout_s: float = SEND_TIMEOUT_S) -> None:
        self._dispatcher = dispatcher
        self._app_id = app_id
        self._send_timeout_s = send_timeout_s

    async def hello(self, request: Message, context: Context) -> Message:
        return Empty()

    async def get_work_items(self, request: Message, context: Context) -> None:
        """Send work for as long as the worker stays.

        The stream always ends with an error, as it does in Dapr, so that no
        worker takes it for the end of all work. UNAVAILABLE, by which clients
        know that they are to come back; Dapr's is CANCELLED, which is also what
        they see of their own hanging up.
        """
        worker = worker_of(request, context)
        async with self._dispatcher.connect(worker) as items:
            log.info("a worker has connected from %s: %s", worker.peer, worker.agent)
            async for item in items:
                with anyio.move_on_after(self._send_timeout_s) as sending:
                    await context.write(work_item(item, self._app_id))
                if sending.cancelled_caught:
                    # Out of the context first: its work must not wait for a status that this worker may never take.
                    stuck = WorkerStuck(worker.peer, timeout_s=self._send_timeout_s)
                    log.warning("%s", stuck)
                    raise stuck
        raise HostStopping

    async def complete_workflow(self, request: Message, context: Context) -> Message:
        await self._dispatcher.complete_workflow(workflow_answer(request))
        return CompleteTaskResponse()

    async def complete_activity(self, request: Message, context: Context) -> Message:
        await self._dispatcher.complete_activity(activity_answer(request))
        return CompleteTaskResponse()


def worker_of(request: Message, context: Context) -> Worker:
    """Read what a worker says of itself."""
    agents = [value for key, value in context.invocation_metadata() if key == "user-agent"]
    capabilities = {*request.capabilities, *request.capabilitiesOld}
    return Worker(
        peer=context.peer(), agent=str(agents[0]) if agents else "", stateful=STATEFUL_HISTORY in capabilities
    )


def work_item(item: WorkItem, app_id: str) -> Message:
    """Write an item."""
    if isinstance(item, WorkflowItem):
        return WorkItemMessage(workflowRequest=_workflow_request(item, app_id), completionToken=item.token)
    return WorkItemMessage(activityRequest=_activity_request(item), completionToken=item.token)


def _workflow_request(item: WorkflowItem, app_id: str) -> dict[str, object]:
    writer = HistoryWriter(app_id=app_id, instance_id=item.instance_id)
    return {
        "instanceId": item.instance_id,
        "executionId": text(item.execution_id),
        "pastEvents": [writer.write(timed) for timed in item.past],
        "newEvents": [writer.write(timed) for timed in item.new],
        "propagatedHistory": _propagated(item.propagated),
        "cachedHistory": {"eventCount": item.cached_count} if item.cached_count is not None else None,
    }


def _activity_request(item: ActivityItem) -> dict[str, object]:
    scheduled = HistoryEvent.FromString(item.wire).taskScheduled if item.wire is not None else None
    own_trace = scheduled is not None and scheduled.HasField("parentTraceContext")
    return {
        "name": item.name,
        "version": scheduled.version if scheduled is not None and scheduled.HasField("version") else None,
        "input": text(item.input),
        "workflowInstance": {"instanceId": item.instance_id},
        "taskId": item.task_id,
        "parentTraceContext": scheduled.parentTraceContext if scheduled and own_trace else trace(item.trace),
        "taskExecutionId": item.task_execution_id,
        "propagatedHistory": _propagated(item.propagated),
    }


def _propagated(serialized: bytes | None) -> Message | None:
    return PropagatedHistory.FromString(serialized) if serialized is not None else None
