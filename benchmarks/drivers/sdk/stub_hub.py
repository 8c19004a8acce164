"""A task hub that stores nothing: the least work behind our gRPC server, as the bound for the engine.

Server, services and messages are those of the daemon. An instance is a list of events in memory. The stub supports only
activities, the end, and one worker, which may keep histories.

The rule: nothing here is durable, and nothing is part of Perdure's engine.
"""

import importlib.util
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, cast
from uuid import uuid4

import anyio

from ....actors.waiting.signal import Signal
from ....daemon.process.garbage_collector import tune_garbage_collector
from ....rpc.services.task_hub import task_hub
from ....rpc.services.work_items import WorkItems
from ....rpc.serving.server import RpcOptions, RpcServer, create_server
from ....rpc.wire.work_items import WorkItemWriter
from ....runtime.history.event import Arrival, ExecutionCompleted, ExecutionStarted, TaskCompleted, TaskScheduled
from ....runtime.history.instance_state import InstanceState
from ....runtime.history.status import Status
from ....runtime.history.timed_event import TimedEvent, TurnStarted
from ....runtime.history.timeline import ARRIVED
from ....runtime.instance.message import WorkflowAnswer
from ....runtime.observing.observer import Tracing
from ....runtime.operations.facade import Facade, finished
from ....runtime.workers.dispatcher import Dispatcher
from ....runtime.workers.items import ActivityAnswer, ActivityItem, Worker, WorkflowItem

APP_ID = "stub"
READY = "Stub ready: grpc="


class NotInTheStub(Exception): ...


class StubInstance:
    """An instance: its history, and the events that it has not been fed yet."""

    def __init__(self, instance_id: str, started: ExecutionStarted) -> None:
        self.instance_id = instance_id
        self.started = started
        self.past: list[TimedEvent] = []
        self.new: list[TimedEvent] = []  # sent to the worker
        self.arrived: list[Arrival] = [started]
        self.sent = 0  # the number of events of `past` that the worker has
        self.status = Status.PENDING
        self.output: str | None = None
        self.news = anyio.Event()


class StubHub:
    tracing: Tracing | None = None

    def __init__(self) -> None:
        self.instances: dict[str, StubInstance] = {}
        self._items: deque[WorkflowItem | ActivityItem] = deque()
        self._signal = Signal()
        self._stateful = False

    # Methods of the facade.

    async def start(self, name: str, *, instance_id: str | None = None, input: str | None, **_: Any) -> str:  # noqa: A002
        instance_id = instance_id or uuid4().hex
        instance = StubInstance(instance_id, ExecutionStarted(name, input, uuid4().hex))
        self.instances[instance_id] = instance
        self._feed(instance)
        return instance_id

    async def wait(
        self, instance_id: str, until: Callable[[Status], bool] = finished, *, await_creation: bool = False
    ) -> InstanceState:
        instance = self.instances[instance_id]
        while not until(instance.status):
            await instance.news.wait()
        return InstanceState(
            instance_id=instance_id,
            execution_id=instance.started.execution_id,
            name=instance.started.name,
            status=instance.status,
            created_us=0,
            updated_us=0,
            input=instance.started.input,
            output=instance.output,
            custom_status=None,
            failure=None,
            stall=None,
            parent_id=None,
        )

    # Methods of the dispatcher.

    @asynccontextmanager
    async def connect(self, worker: Worker) -> AsyncIterator[AsyncIterator[WorkflowItem | ActivityItem]]:
        self._stateful = worker.stateful
        yield self._work()

    async def _work(self) -> AsyncIterator[WorkflowItem | ActivityItem]:
        while True:
            while self._items:
                yield self._items.popleft()
            await self._signal.wait()

    async def complete_workflow(self, answer: WorkflowAnswer) -> None:
        instance = self.instances[answer.instance_id]
        now_us = time.time_ns() // 1000
        instance.past += instance.new
        instance.new = []
        status = Status.RUNNING
        for command in answer.commands:
            instance.past.append(TimedEvent(command.event_id, now_us, command))  # type: ignore[union-attr]
            if isinstance(command, TaskScheduled):
                self._give(
                    ActivityItem(
                        *(instance.instance_id, command.event_id, command.task_execution_id),
                        *(command.name, command.input, uuid4().hex),
                    )
                )
            elif isinstance(command, ExecutionCompleted):
                status, instance.output = Status(command.status), command.result
            else:
                raise NotInTheStub(type(command).__name__)
        if status is not instance.status:
            instance.status = status
            news, instance.news = instance.news, anyio.Event()
            news.set()
        self._feed(instance)

    async def complete_activity(self, answer: ActivityAnswer) -> None:
        instance = self.instances[answer.instance_id]
        instance.arrived.append(TaskCompleted(answer.task_id, answer.result))
        self._feed(instance)

    def _feed(self, instance: StubInstance) -> None:
        if instance.new or not instance.arrived or instance.status.terminal:
            return
        now_us = time.time_ns() // 1000
        instance.new = [TimedEvent(ARRIVED, now_us, event) for event in (TurnStarted(), *instance.arrived)]
        instance.arrived = []
        cached = instance.sent if self._stateful and instance.sent else None
        past = instance.past[cached or 0 :]
        instance.sent = len(instance.past)
        execution_id = instance.started.execution_id
        self._give(WorkflowItem(instance.instance_id, execution_id, past, instance.new, uuid4().hex, cached))

    def _give(self, item: WorkflowItem | ActivityItem) -> None:
        self._items.append(item)
        self._signal.set()


def server_of(hub: StubHub) -> RpcServer:
    """The daemon's server and services for a hub, on a free port."""
    items = WorkItems(cast(Dispatcher, hub), writer=WorkItemWriter(APP_ID))
    services = [task_hub(cast(Facade, hub), items, app_id=APP_ID)]
    return create_server(services, RpcOptions(), host="127.0.0.1", port=0)


async def serve() -> None:
    server = server_of(StubHub())
    await server.start()
    tune_garbage_collector()
    print(f"{READY}127.0.0.1:{server.port}", flush=True)
    await anyio.sleep_forever()


if __name__ == "__main__":
    anyio.run(serve, backend_options={"use_uvloop": importlib.util.find_spec("uvloop") is not None})
