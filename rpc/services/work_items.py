"""The methods of the task hub for workers: Hello, the stream of work, and the answers.

The rule: this module makes no decisions.

Each method decodes, calls the source of work once and encodes. The dispatcher decides which worker gets an item, which
answer counts, and which worker gets the work of a broken stream.

`daemon/` serves it together with the methods of `task_hub.py`.

Source: contract 3.3, 3.5, 3.6, 3.8.
"""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import anyio

from ...actors.errors import HostStopping, PerdureError
from ...journal.journal import Journal
from ...journal.vocabulary import WORKER_STUCK
from ...runtime.instance.message import WorkflowAnswer
from ...runtime.observing.observer import ActivityWatch
from ...runtime.workers.items import (
    ActivityAnswer,
    ItemWriter,
    PassedItem,
    Worker,
    WorkflowItem,
    WorkItem,
    ends_generation,
)
from ..messages import CompleteTaskResponse, Empty, Message
from ..serving.method import Context
from ..wire.actions import activity_answer, check_workflow_answer, workflow_answer
from .running_activities import RunningActivities

STATEFUL_HISTORY = 2  # a WorkerCapability

SEND_TIMEOUT_S = 10.0  # Dapr's limit; a worker that reads nothing for this time is disconnected


class WorkerStuck(PerdureError):
    """A worker does not read the work that is sent to it."""

    def __init__(self, peer: str, *, timeout_s: float) -> None:
        super().__init__(peer, timeout_s)
        self.peer = peer
        self.timeout_s = timeout_s

    def __str__(self) -> str:
        return f"the worker at {self.peer} has taken nothing for {self.timeout_s:g} s; its work goes to others"


class WorkSource(Protocol):
    """Gives work to streams and takes the answers; `runtime/workers/dispatcher.py` describes the errors of each."""

    def connect(self, worker: Worker) -> AbstractAsyncContextManager[AsyncIterator[WorkItem | PassedItem]]:
        """Connect a worker; the stream yields its work until the context is left."""
        ...

    async def complete_workflow(self, answer: WorkflowAnswer) -> None:
        """Take the answer of a worker to a turn."""
        ...

    async def complete_activity(self, answer: ActivityAnswer) -> None:
        """Take the answer of a worker to an activity."""
        ...


class WorkItems:
    """The methods of the task hub for workers.

    Args:
        writer: Serializes the items of this host.
        send_timeout_s: The time in seconds after which a worker that reads nothing is disconnected.
    """

    def __init__(
        self,
        source: WorkSource,
        *,
        writer: ItemWriter,
        send_timeout_s: float = SEND_TIMEOUT_S,
        watch: ActivityWatch | None = None,
    ) -> None:
        self._source = source
        self._writer = writer
        self._journal = Journal(__name__)
        self._running = RunningActivities(watch) if watch is not None else None
        self._send_timeout_s = send_timeout_s

    async def hello(self, request: Message, context: Context) -> Message:
        """Answer a worker's first call, with which it checks that the daemon answers (`Hello`)."""
        return Empty()

    async def get_work_items(self, request: Message, context: Context) -> None:
        """Send work as long as the worker is connected.

        As in Dapr, the stream always ends with an error, so that no worker takes its end for the end of all work. The
        error is UNAVAILABLE, after which clients connect again; Dapr's is CANCELLED, which a client also sees when it
        ends the stream itself.

        Raises:
            HostStopping: The host stops.
        """
        worker = worker_of(request, context)
        async with self._source.connect(worker) as items:
            async for item in items:
                with anyio.move_on_after(self._send_timeout_s) as sending:
                    await self._send(item, context, stateful=worker.stateful)
                if sending.cancelled_caught:
                    # The context is left first: the worker's items must not wait for a status that the worker may never
                    # read.
                    stuck = WorkerStuck(worker.peer, timeout_s=self._send_timeout_s)
                    self._journal.write(
                        WORKER_STUCK, worker=worker.peer, agent=worker.agent, reason=str(stuck), limit="send_timeout"
                    )
                    raise stuck
        raise HostStopping

    async def _send(self, item: WorkItem | PassedItem, context: Context, *, stateful: bool) -> None:
        serialized = item.data if isinstance(item, PassedItem) else self._writer.write(item, stateful=stateful)
        if self._running is None or isinstance(item, WorkflowItem) or item.task_id is None:
            await context.write(serialized)
            return
        with self._running.sending(item.instance_id, item.task_id, item.name, item.token):
            await context.write(serialized)

    async def complete_workflow(self, request: Message, context: Context) -> Message:
        """Take the answer to a turn (`CompleteOrchestratorTask`)."""
        answer = workflow_answer(request)
        check_workflow_answer(answer)
        await self._source.complete_workflow(answer)
        if ends_generation(answer):
            self._writer.forget(answer.instance_id)
        return CompleteTaskResponse()

    async def complete_activity(self, request: Message, context: Context) -> Message:
        """Take the answer to an activity (`CompleteActivityTask`)."""
        answer = activity_answer(request)
        wanted = False
        try:
            await self._source.complete_activity(answer)
            wanted = True
        finally:
            if self._running is not None:
                self._running.answered(answer, wanted=wanted)
        return CompleteTaskResponse()


def worker_of(request: Message, context: Context) -> Worker:
    """Return the description of a worker from its call."""
    agents = [value for key, value in context.invocation_metadata() if key == "user-agent"]
    capabilities = {*request.capabilities, *request.capabilitiesOld}
    return Worker(
        peer=context.peer(), agent=str(agents[0]) if agents else "", stateful=STATEFUL_HISTORY in capabilities
    )
