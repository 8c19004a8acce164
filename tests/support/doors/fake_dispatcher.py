"""A dispatcher without an engine: it dispatches the test's work, and records the answers."""

from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio

from perdure.runtime.instance.message import WorkflowAnswer
from perdure.runtime.workers.items import ActivityAnswer, Worker, WorkItem


class FakeDispatcher:
    """Gives each item to the first stream that asks."""

    def __init__(self) -> None:
        self.workers: list[Worker] = []
        self.connected = 0
        self.given: list[WorkItem] = []
        self.workflow_answers: list[WorkflowAnswer] = []
        self.activity_answers: list[ActivityAnswer] = []
        self.failure: Exception | None = None  # the error that the Complete calls raise
        self.stopping = False
        self._items: deque[WorkItem] = deque()
        self._news = anyio.Event()

    def give(self, *items: WorkItem) -> None:
        self._items.extend(items)
        self._tell()

    def stop(self) -> None:
        self.stopping = True
        self._tell()

    def _tell(self) -> None:
        news, self._news = self._news, anyio.Event()
        news.set()

    async def until(self, condition: Callable[["FakeDispatcher"], bool]) -> None:
        """Wait until a condition holds here."""
        with anyio.fail_after(20):
            while not condition(self):
                await self._news.wait()

    @asynccontextmanager
    async def connect(self, worker: Worker) -> AsyncIterator[AsyncIterator[WorkItem]]:
        self.workers.append(worker)
        self.connected += 1
        self._tell()
        try:
            yield self._work()
        finally:
            self.connected -= 1
            self._tell()

    async def _work(self) -> AsyncIterator[WorkItem]:
        while not self.stopping:
            if self._items:
                item = self._items.popleft()
                self.given.append(item)
                yield item
            else:
                await self._news.wait()

    async def complete_workflow(self, answer: WorkflowAnswer) -> None:
        if self.failure is not None:
            raise self.failure
        self.workflow_answers.append(answer)
        self._tell()

    async def complete_activity(self, answer: ActivityAnswer) -> None:
        if self.failure is not None:
            raise self.failure
        self.activity_answers.append(answer)
        self._tell()
