"""The worker's side of the task hub: Hello, the stream of work, and the answers.

Each method decodes, calls the source of work once and encodes. The dispatcher
decides which worker gets an item, whose answer counts, and where the work of a
broken stream goes.

Source: contract 3.3, 3.5, 3.6, 3.8.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import anyio

from ...actors.errors import HostStopping, PerdureError
from ...journal.journal import Journal
from ...journal.vocabulary import WORKER_STUCK
from ...runtime.history.event import ExecutionCompleted
from ...runtime.instance.message import WorkflowAnswer
from ...runtime.observer import ActivityWatch
from ...runtime.workers.items import ActivityAnswer, ActivityItem, Worker, WorkflowItem, WorkItem
from ..messages import CompleteTaskResponse, Empty, HistoryEvent, Message, PropagatedHistory, WorkflowRequest
from ..messages import WorkItem as WorkItemMessage
from ..serving.method import Context
from ..wire.actions import activity_answer, check_workflow_answer, workflow_answer
from ..wire.fields import text, trace
from ..wire.history import HistoryWriter
from ..wire.past_events import PastEvents, serialize
from .running_activities import RunningActivities

STATEFUL_HISTORY = 2  # a WorkerCapability

ALONE_LOOK_S = 1.0  # how often a stream looks whether other hosts have come
SEND_TIMEOUT_S = 10.0  # Dapr's; after it a worker that takes nothing is given up


class WorkerStuck(PerdureError):
    """A worker does not take the work that is sent to it."""

    def __init__(self, peer: str, *, timeout_s: float) -> None:
        super().__init__(peer, timeout_s)
        self.peer = peer
        self.timeout_s = timeout_s

    def __str__(self) -> str:
        return f"the worker at {self.peer} has taken nothing for {self.timeout_s:g} s; its work goes to others"


class WorkersNotServed(PerdureError):
    """A worker has connected to a daemon of several processes, or to one of several hosts on one database.

    Args:
        processes: Of the daemon; 1: it shares its database with other hosts.
    """

    def __init__(self, processes: int) -> None:
        super().__init__(processes)
        self.processes = processes

    def __str__(self) -> str:
        if self.processes == 1:
            return (
                "other hosts share the database of this daemon, and workers are served by a host that is alone. Stop "
                "the others (`perdure hosts` lists them), or run workflows and activities in the daemons themselves."
            )
        return (
            f"this daemon has {self.processes} processes, and workers are served by a daemon of one only. "
            "Start it with --processes 1."
        )


class WorkSource(Protocol):
    """Gives work to streams and takes the answers; `runtime/workers/dispatcher.py` says what each raises."""

    def connect(self, worker: Worker) -> AbstractAsyncContextManager[AsyncIterator[WorkItem]]: ...

    async def complete_workflow(self, answer: WorkflowAnswer) -> None: ...

    async def complete_activity(self, answer: ActivityAnswer) -> None: ...


class WorkItems:
    """The methods for workers.

    Args:
        processes: Of the daemon.
        alone: Says whether no other host shares the daemon's database; None: none can.
    """

    def __init__(
        self,
        source: WorkSource,
        *,
        app_id: str,
        send_timeout_s: float = SEND_TIMEOUT_S,
        watch: ActivityWatch | None = None,
        processes: int = 1,
        alone: Callable[[], bool] | None = None,
    ) -> None:
        self._source = source
        self._processes = processes
        self._alone = alone
        self._journal = Journal(__name__)
        self._running = RunningActivities(watch) if watch is not None else None
        self._app_id = app_id
        self._send_timeout_s = send_timeout_s
        self.past_events = PastEvents()

    async def hello(self, request: Message, context: Context) -> Message:
        return Empty()

    async def get_work_items(self, request: Message, context: Context) -> None:
        """Send work for as long as the worker stays.

        The stream always ends with an error, as it does in Dapr, so that no
        worker takes it for the end of all work. The error is UNAVAILABLE, after
        which clients connect again; Dapr's is CANCELLED, which a client also
        sees when it hangs up itself.

        Raises:
            WorkersNotServed: The work is in several processes or hosts, and a stream reaches one of them. A stream
                ends so, too, when other hosts come.
        """
        if self._processes > 1 or not (self._alone is None or self._alone()):
            raise WorkersNotServed(self._processes)
        worker = worker_of(request, context)
        if self._alone is None:
            await self._serve(worker, context)
            return
        ended: Exception = WorkersNotServed(self._processes)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(end_with_company, self._alone, tasks.cancel_scope)
            try:
                await self._serve(worker, context)
            except Exception as error:  # raised below, and not in a group
                ended = error
            tasks.cancel_scope.cancel()
        raise ended

    async def _serve(self, worker: Worker, context: Context) -> None:
        # A worker that keeps histories is sent only their ends, which are written once anyway.
        past_events = None if worker.stateful else self.past_events
        async with self._source.connect(worker) as items:
            async for item in items:
                with anyio.move_on_after(self._send_timeout_s) as sending:
                    await self._send(item, context, past_events)
                if sending.cancelled_caught:
                    # Out of the context first: its work must not wait for a status that this worker may never take.
                    stuck = WorkerStuck(worker.peer, timeout_s=self._send_timeout_s)
                    self._journal.write(
                        WORKER_STUCK, worker=worker.peer, agent=worker.agent, reason=str(stuck), limit="send_timeout"
                    )
                    raise stuck
        raise HostStopping

    async def _send(self, item: WorkItem, context: Context, past_events: PastEvents | None) -> None:
        serialized = work_item(item, self._app_id, past_events)
        if self._running is None or isinstance(item, WorkflowItem):
            await context.write(serialized)
            return
        with self._running.sending(item):
            await context.write(serialized)

    async def complete_workflow(self, request: Message, context: Context) -> Message:
        answer = workflow_answer(request)
        check_workflow_answer(answer)
        await self._source.complete_workflow(answer)
        if ends_generation(answer):
            self.past_events.forget(answer.instance_id)
        return CompleteTaskResponse()

    async def complete_activity(self, request: Message, context: Context) -> Message:
        answer = activity_answer(request)
        wanted = False
        try:
            await self._source.complete_activity(answer)
            wanted = True
        finally:
            if self._running is not None:
                self._running.answered(answer, wanted=wanted)
        return CompleteTaskResponse()


async def end_with_company(alone: Callable[[], bool], stream: anyio.CancelScope) -> None:
    """End a stream once other hosts share the database."""
    while alone():  # noqa: ASYNC110  a look in memory, where nobody tells
        await anyio.sleep(ALONE_LOOK_S)
    stream.cancel()


def worker_of(request: Message, context: Context) -> Worker:
    """Describe a worker from its call."""
    agents = [value for key, value in context.invocation_metadata() if key == "user-agent"]
    capabilities = {*request.capabilities, *request.capabilitiesOld}
    return Worker(
        peer=context.peer(), agent=str(agents[0]) if agents else "", stateful=STATEFUL_HISTORY in capabilities
    )


def ends_generation(answer: WorkflowAnswer) -> bool:
    """Whether an answer ends the history that the worker was sent."""
    return answer.continued is not None or any(isinstance(each, ExecutionCompleted) for each in answer.commands)


def work_item(item: WorkItem, app_id: str, past_events: PastEvents | None = None) -> bytes:
    """Write and serialize an item.

    Args:
        past_events: Keeps serialized histories, for a worker that is sent them whole; None for one that keeps them.
    """
    if isinstance(item, ActivityItem):
        return WorkItemMessage(activityRequest=_activity_request(item), completionToken=item.token).SerializeToString()
    # Put together by hand, because a message would copy the past twice and write it anew.
    parts = _workflow_request(item, app_id, past_events)
    length = varint(sum(len(part) for part in parts))
    rest = WorkItemMessage(completionToken=item.token).SerializeToString()
    return b"".join((WORKFLOW_REQUEST_TAG, length, *parts, rest))


def _workflow_request(item: WorkflowItem, app_id: str, past_events: PastEvents | None) -> list[bytes | bytearray]:
    """Serialize a WorkflowRequest in two parts. The order of fields is free, so the past may come last."""
    writer = HistoryWriter(app_id=app_id, instance_id=item.instance_id)
    request = WorkflowRequest(
        instanceId=item.instance_id,
        executionId=text(item.execution_id),
        newEvents=writer.write_all(item.new),
        propagatedHistory=_propagated(item.propagated),
        cachedHistory={"eventCount": item.cached_count} if item.cached_count is not None else None,
    )
    past = serialize(item.past, writer) if past_events is None else past_events.serialized(item, writer)
    return [request.SerializeToString(), past]


def varint(number: int) -> bytes:
    """Write a number as protobuf does: seven bits a byte, the low ones first."""
    written = bytearray()
    while number > 0x7F:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    written.append(number)
    return bytes(written)


LENGTH_DELIMITED = 2  # the wire type of a message within a message
WORKFLOW_REQUEST_TAG = varint(
    WorkItemMessage.DESCRIPTOR.fields_by_name["workflowRequest"].number << 3 | LENGTH_DELIMITED
)


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
