"""Workers like those of the SDKs, without a wire: they connect to any engine, perform, and answer to any engine."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import anyio

from perdure.actors.errors import PerdureError
from perdure.runtime.engine import Engine
from perdure.runtime.history.event import ExecutionCompleted, ExecutionStarted, TaskCompleted, TaskScheduled
from perdure.runtime.history.status import Status
from perdure.runtime.instance.message import WorkflowAnswer
from perdure.runtime.workers.items import (
    ActivityAnswer,
    ActivityItem,
    PassedItem,
    Worker,
    WorkflowItem,
    WorkItem,
    WorkUnknown,
)


class KeepingWriter:
    """Writes an item as its token, and keeps it for the workers in the same process."""

    def __init__(self) -> None:
        self.items: dict[str, WorkItem] = {}
        self.forgotten: list[str] = []

    def write(self, item: WorkItem, *, stateful: bool) -> bytes:
        self.items[item.token] = item
        return item.token.encode()

    def forget(self, instance_id: str) -> None:
        self.forgotten.append(instance_id)

    def read(self, item: WorkItem | PassedItem) -> WorkItem:
        return self.items[item.data.decode()] if isinstance(item, PassedItem) else item


class SdkWorker:
    """A worker that has one workflow: the number of activities in its input, at once, and then their sum.

    Args:
        gate: Returns the engine to which it connects now; called for each stream.
        answers_at: The engine that it answers to; the gate by default.
        stateful: It keeps histories.
        takes_s: How long an activity takes.
        turn_s: How long a turn takes.
    """

    AGAIN_S = 0.5  # from the end of a stream to the next

    def __init__(
        self,
        writer: KeepingWriter,
        gate: Callable[[], Engine],
        *,
        answers_at: Callable[[], Engine] | None = None,
        stateful: bool = False,
        agent: str = "sdk",
        takes_s: float = 0.01,
        turn_s: float = 0.0,
    ) -> None:
        self._writer = writer
        self._gate = gate
        self._answers_at = answers_at or gate
        self._takes_s = takes_s
        self._turn_s = turn_s
        self._worker = Worker("peer", agent, stateful)
        self._histories: dict[tuple[str, str], list[Any]] = {}
        self._says_tokens = agent != "dapr-js-sdk"
        self.performed: Counter[tuple[str, int]] = Counter()  # activities
        self.turns: Counter[str] = Counter()
        self.passed = 0  # items that have come from another host
        self.under_way = 0
        self.most_under_way = 0
        self.refused: list[str] = []  # the replies to its answers

    async def run(self) -> None:
        """Work, and connect again whenever the stream ends, until cancelled."""
        while True:
            try:
                async with anyio.create_task_group() as tasks, self._gate().workers.connect(self._worker) as items:
                    async for item in items:
                        self.passed += isinstance(item, PassedItem)
                        tasks.start_soon(self._work, self._writer.read(item))
            except* PerdureError:
                pass
            self._histories.clear()
            await anyio.sleep(self.AGAIN_S)

    async def _work(self, item: WorkItem) -> None:
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            if isinstance(item, WorkflowItem):
                self.turns[item.instance_id] += 1
                answer: WorkflowAnswer | ActivityAnswer = self._turn(item)
                await anyio.sleep(self._turn_s)
            else:
                answer = await self._activity(item)
        finally:
            self.under_way -= 1
        workers = self._answers_at().workers
        try:
            if isinstance(answer, WorkflowAnswer):
                await workers.complete_workflow(answer)
            else:
                await workers.complete_activity(answer)
        except WorkUnknown as error:
            self.refused.append(str(error))
        except PerdureError as error:
            self.refused.append(type(error).__name__)

    async def _activity(self, item: ActivityItem) -> ActivityAnswer:
        self.performed[item.instance_id, item.task_id] += 1
        await anyio.sleep(self._takes_s)
        return ActivityAnswer(item.instance_id, item.task_id, self._token(item), "1", None)

    def _turn(self, item: WorkflowItem) -> WorkflowAnswer:
        key = item.instance_id, item.execution_id
        if item.cached_count is not None:
            past = self._histories[key][: item.cached_count] + list(item.past)
            assert len(self._histories[key]) >= item.cached_count, "it was never sent that much"
        else:
            past = list(item.past)
        events = [timed.event for timed in (*past, *item.new)]
        self._histories[key] = past
        [started] = [event for event in events if isinstance(event, ExecutionStarted)]
        done = sum(isinstance(event, TaskCompleted) for event in events)
        asked = sum(isinstance(event, TaskScheduled) for event in events)
        count = int(started.input or 0)
        commands: list[Any] = []
        if asked == 0:
            commands = [TaskScheduled(n, "work", None, f"{item.execution_id}-{n}") for n in range(1, count + 1)]
        if done == count:
            commands = [ExecutionCompleted(count + 1, Status.COMPLETED.value, str(done))]
        return WorkflowAnswer(item.instance_id, self._token(item), commands)

    def _token(self, item: WorkItem) -> str:
        return item.token if self._says_tokens else ""
