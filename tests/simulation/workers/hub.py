"""gRPC between the workers of a world and its host: calls and streams as bytes, without a socket.

The rule: a call is code of the life that serves it, and dies with it. Only the bytes of a message cross, or a
status.

The methods are those that `rpc/serving/method.py` gives to gRPC's server, with all that stands around them there: how a
request is read, how an error becomes a status.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import grpc

from perdure.rpc.messages import Message, MessageClass
from perdure.rpc.services.task_hub import task_hub
from perdure.rpc.services.work_items import WorkItems
from perdure.rpc.serving.method import ServedMethod
from perdure.rpc.wire.work_items import WorkItemWriter
from perdure.runtime.engine import Engine
from perdure.testing.simulation.base import BaseWorld

APP_ID = "shop"
# How long a message is under way.
WAY_S = 0.000_1


class CallFailed(grpc.aio.AbortError):  # type: ignore[misc]  # grpc has no types
    """The status with which a call has ended."""

    def __init__(self, code: grpc.StatusCode, text: str) -> None:
        super().__init__(f"{code.name}: {text}")
        self.code = code
        self.text = text


class SimContext:
    """The context of one call, as grpc.aio gives it to a method.

    Args:
        deliver: Takes the messages of a stream.
    """

    def __init__(self, agent: str, deliver: Callable[[bytes], None]) -> None:
        self._agent = agent
        self._deliver = deliver
        self.full = False  # the client reads nothing, and what is under way has filled all buffers

    async def abort(
        self, code: grpc.StatusCode, details: str, trailing_metadata: tuple[tuple[str, bytes], ...] = ()
    ) -> NoReturn:
        raise CallFailed(code, details)

    async def write(self, message: bytes) -> None:
        if self.full:
            await asyncio.get_running_loop().create_future()
        self._deliver(message)

    def cancelled(self) -> bool:
        return False

    def invocation_metadata(self) -> tuple[tuple[str, str | bytes], ...]:
        return (("user-agent", self._agent),)

    def peer(self) -> str:
        return f"ipv4:127.0.0.1:{len(self._agent)}"


class Hub:
    """The task hub of the host that is up.

    Attributes:
        calls: The number of calls.
    """

    def __init__(self, world: BaseWorld) -> None:
        self._world = world
        self._tables: dict[Engine, Mapping[str, ServedMethod]] = {}
        self.calls = 0

    async def call(self, method: str, agent: str, /, **fields: Any) -> Message:
        """Call a method, with the fields of its request.

        Raises:
            CallFailed: It has ended with another status than OK.
            ConnectionLost: The host has ended meanwhile.
        """
        request = CLASSES[method][0](**fields).SerializeToString()
        return CLASSES[method][1].FromString(await self.call_with(method, agent, request))

    async def call_with(self, method: str, agent: str, request: bytes) -> bytes:
        """Call a method with bytes."""
        return await self._world.call(lambda engine: self._serve(engine, method, agent, request))

    async def answer(self, engine: Engine, method: str, agent: str, /, **fields: Any) -> Message:
        """Have a call answered by a host, as code of that host."""
        request = CLASSES[method][0](**fields).SerializeToString()
        return CLASSES[method][1].FromString(await self._serve(engine, method, agent, request))

    async def stream(
        self,
        method: str,
        agent: str,
        take: Callable[[bytes], None],
        opened: "asyncio.Future[OpenStream]",
        **fields: Any,
    ) -> None:
        """Have a stream from its beginning to its end, which is that of its connection: no host serves it any longer.

        Args:
            take: Called with each message, as code of the world.
            opened: Called with the stream once the host serves it.

        Raises:
            CallFailed: It has ended.
            ConnectionLost: The host has ended.
        """
        request = CLASSES[method][0](**fields).SerializeToString()
        loop = self._world.loop
        over = False

        async def serve(engine: Engine) -> None:
            if over or opened.done():
                return  # what a network doubles are requests; a connection has its stream once
            served = self._table(engine)[method]
            task = asyncio.current_task()
            assert task is not None

            def deliver(message: bytes) -> None:
                # In the order in which they were sent; what is under way arrives, also when the host has died.
                loop.call_later(WAY_S, take, message, context=loop.outside)

            context = SimContext(agent, deliver)
            opened.set_result(OpenStream(task, context))
            await served.serve(served.parse(request), context)

        try:
            await self._world.call(serve)
        finally:
            over = True
            if opened.done():
                opened.result().cut()

    async def _serve(self, engine: Engine, method: str, agent: str, request: bytes) -> bytes:
        self.calls += 1
        served = self._table(engine)[method]
        answer = await served.serve(served.parse(request), SimContext(agent, _nowhere))
        assert answer is not None
        return answer

    def _table(self, engine: Engine) -> Mapping[str, ServedMethod]:
        table = self._tables.get(engine)
        if table is None:
            items = WorkItems(engine.workers, writer=WorkItemWriter(APP_ID))
            table = self._tables[engine] = task_hub(engine.facade, items, app_id=APP_ID).methods
        return table


class OpenStream:
    """A stream as the network between has it.

    Args:
        task: The task that serves it.
    """

    def __init__(self, task: "asyncio.Task[Any]", context: SimContext) -> None:
        self._task = task
        self._context = context

    def cut(self) -> None:
        """End the connection, as the death of the worker does. The library cancels the task that serves it."""
        self._task.cancel()

    def fill(self) -> None:
        """Read nothing more, and keep the connection."""
        self._context.full = True


def _nowhere(message: bytes) -> None:
    raise AssertionError("a method that answers once has written to a stream")


def _classes() -> Mapping[str, tuple[MessageClass, MessageClass]]:
    class Nothing:
        """Stands for an engine, which makes no table of methods differ."""

    nothing: Any = Nothing()
    methods = task_hub(nothing, WorkItems(nothing, writer=nothing), app_id=APP_ID).methods
    return {name: (method.request, method.response) for name, method in methods.items()}


CLASSES = _classes()
