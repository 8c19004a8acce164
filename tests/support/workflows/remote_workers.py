"""A dispatcher for tests, with offers and activities to give out and workers to take them."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio

from perdure.actors.address import Address
from perdure.runtime.directory import ACTIVITY, WORK
from perdure.runtime.history.event import Arrival
from perdure.runtime.history.timed_event import TimedEvent, TurnStarted
from perdure.runtime.instance.message import Invoke, WorkflowAnswer, WorkflowTurnWork
from perdure.runtime.workers.dispatcher import Dispatcher
from perdure.runtime.workers.items import ActivityAnswer, PassedItem, Worker, WorkflowItem, WorkItem
from perdure.runtime.workers.limits import DispatchLimits


class Turn:
    """A turn that a workflow offers, as `Offered` has it."""

    def __init__(
        self,
        instance_id: str = "i",
        position: int = 0,
        execution_id: str = "x",
        name: str = "w",
        fed: Sequence[Arrival] = (),
        patience_s: float = 0.0,
    ) -> None:
        self.instance_id = instance_id
        self.execution_id = execution_id
        self.name = name
        self.position = position
        self.patience_s = patience_s
        self.fed: Sequence[Arrival] = list(fed)
        self.void = False

    def settle(self) -> WorkflowTurnWork | None:
        if self.void:
            return None
        past = [TimedEvent(-1, each, TurnStarted()) for each in range(self.position)]
        new = [TimedEvent(-1, 9, event) for event in (TurnStarted(), *self.fed)]
        whose = (self.instance_id, self.execution_id, self.name)
        return WorkflowTurnWork(*whose, past, self.position, new, list(self.fed), 9)

    def hurry(self) -> bool:
        return False


turn = Turn


def call(task_id: int = 1, execution_id: str = "x", name: str = "a") -> Invoke:
    return Invoke(name, None, "i", execution_id, task_id, f"{execution_id}-{task_id}")


class RemoteWorker:
    """A worker, and its items."""

    def __init__(self, items: AsyncIterator[WorkItem | PassedItem]) -> None:
        self._items = items

    async def next(self) -> Any:
        with anyio.fail_after(5):
            return await anext(self._items)

    async def idle(self) -> bool:
        """Whether it has no item to take."""
        with anyio.move_on_after(0.01):
            await anext(self._items)
            return False
        return True


class World:
    """A dispatcher, with the messages that it has sent to workflow actors."""

    def __init__(self, **limits: Any) -> None:
        self.sent: list[tuple[str, Any]] = []
        self.now_us = 1_000_000  # Unix time
        self.dispatcher = Dispatcher(
            DispatchLimits(**limits),
            send=lambda address, body: self.sent.append((address.id, body)),
            now_us=lambda: self.now_us,
        )

    @asynccontextmanager
    async def worker(self, *, stateful: bool = False, agent: str = "agent") -> AsyncIterator[RemoteWorker]:
        async with self.dispatcher.connect(Worker("peer", agent, stateful)) as items:
            yield RemoteWorker(items)

    def ask(self, work: Turn) -> None:
        self.dispatcher.receive(Address(WORK, work.instance_id), work)

    def call(self, invoke: Invoke) -> None:
        self.dispatcher.receive_activity(Address(ACTIVITY, f"{invoke.execution_id}:{invoke.task_id}"), invoke)

    async def answer(self, item: Any, token: str | None = None) -> None:
        given = item.token if token is None else token
        if isinstance(item, WorkflowItem):
            await self.dispatcher.complete_workflow(WorkflowAnswer(item.instance_id, given, ()))
        else:
            await self.dispatcher.complete_activity(ActivityAnswer(item.instance_id, item.task_id, given, "1", None))
