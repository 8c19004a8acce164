"""A worker of an SDK as the protocol shows it, which outlives the hosts of a world, and has faults of its own.

The rule: its answers are true, under all its faults. It may answer late, twice, under an old token or not at
all, and die at any moment; it does not lie about a turn that it has taken.

    worker.dies       it dies while it has an item, and another comes in its place a little later
    worker.cut        its connection ends; it goes on with what it has, answers over the next one under old tokens
    worker.stuck      it reads nothing more, and keeps its connection
    worker.slow       an answer takes long
    worker.twice      an answer is given twice: at once, or a while later
    worker.silent     an item is never answered
    worker.forgets    it forgets the histories that it was sent
    worker.junk       it first sends a meaningless message, within the schema

Source: contract 3.5, 3.20.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple

from perdure import ActivityContext, App
from perdure.rpc.messages import HistoryEvent, Message
from perdure.rpc.messages import WorkItem as WorkItemMessage
from perdure.rpc.wire.failure import failure_message
from perdure.runtime.authoring.app import ActivityKind
from perdure.runtime.authoring.codec import Encoder
from perdure.runtime.history.failure import failure_of
from perdure.runtime.history.status import Status
from perdure.testing.simulation.calls import ConnectionLost
from perdure.testing.simulation.loop import Stuck
from perdure.testing.simulation.world import SimWorld

from .code import answer
from .hub import CallFailed, Hub, OpenStream

# Between two connections, and between the death of a worker and the next.
AGAIN_S = 0.2
SLOW_S = (0.0, 0.01, 1.0, 45.0)  # the last is beyond the time after which a turn is sent again
TWICE_S = (0.0, 0.0, 0.05, 20.0)  # the first is never used: 0 is no second answer
# A completion call is repeated for as long as the host cannot be reached.
REPEATS = 5


class Sdk(NamedTuple):
    """The differences of SDKs on the wire."""

    agent: str
    capabilities: tuple[int, ...]
    tokens: bool  # it gives the token back with its answer


SDKS = (
    Sdk("grpc-python-asyncio/1.60 dapr-sdk-python/v1.19.0", (3, 2), tokens=True),
    Sdk("grpc-python-asyncio/1.60 dapr-sdk-python/v1.17.0", (), tokens=True),
    Sdk("grpc-node-js/1.12 dapr-js-sdk/v3.18.0", (), tokens=False),
)
ENCODER = Encoder()


class SimWorker:
    """One worker after the other, at one place.

    Args:
        number: The place's, from 0.
        attempts: How often each activity was begun, by its execution id; of all workers together.
        broke: Called with an error of the worker's own, which nothing in its world explains.
    """

    def __init__(
        self,
        world: SimWorld,
        hub: Hub,
        app: App,
        number: int,
        *,
        attempts: dict[str, int],
        broke: Callable[[BaseException], None],
    ) -> None:
        self._world = world
        self._hub = hub
        self._app = app
        self.number = number
        self.sdk = SDKS[0]
        self._histories: dict[str, tuple[str, list[bytes]]] = {}
        self._attempts = attempts
        self._broke = broke
        self._tasks: dict[asyncio.Task[Any], None] = {}
        self._stream: OpenStream | None = None
        self._dead = asyncio.Event()
        self.deaths = 0
        self.twice = 0  # answers that were given twice

    @property
    def connected(self) -> bool:
        """Whether it has a stream of work."""
        return self._stream is not None

    async def run(self) -> None:
        """Work until the world ends."""
        with suppress(Stuck):
            while True:
                self._begin()
                living = self._world.loop.create_task(self._live())
                dying = self._world.loop.create_task(self._dead.wait())
                await asyncio.wait((living, dying), return_when=asyncio.FIRST_COMPLETED)
                self._end()
                living.cancel()
                with suppress(asyncio.CancelledError):
                    await living
                await asyncio.sleep(AGAIN_S)

    def die(self, why: str) -> None:
        """End as `kill -9` ends a process; another begins a little later."""
        if not self._dead.is_set():
            self.deaths += 1
            self._tell(f"dies: {why}")
            self._dead.set()

    def _begin(self) -> None:
        self.sdk = SDKS[self._world.choices.draw("worker.sdk", len(SDKS))]
        self._histories, self._tasks, self._stream = {}, {}, None
        self._dead = asyncio.Event()

    def _end(self) -> None:
        if self._stream is not None:
            self._stream.cut()
        for task in self._tasks:
            task.cancel()

    async def _live(self) -> None:
        while True:
            self._stream = None
            opened: asyncio.Future[OpenStream] = self._world.loop.create_future()
            opened.add_done_callback(self._opened)
            try:
                await self._hub.call("Hello", self.sdk.agent)
                # A worker that connects again has no counted histories, on either side.
                self._histories = {}
                await self._hub.stream(
                    "GetWorkItems", self.sdk.agent, self._receiver(), opened, capabilities=self.sdk.capabilities
                )
            except (CallFailed, ConnectionLost):
                self._stream = None
                await asyncio.sleep(AGAIN_S)

    def _opened(self, opened: "asyncio.Future[OpenStream]") -> None:
        self._stream = opened.result()

    def _receiver(self) -> Callable[[bytes], None]:
        dead = self._dead

        def take(message: bytes) -> None:
            if not dead.is_set():
                task = self._world.loop.create_task(self._take(message))
                self._tasks[task] = None
                task.add_done_callback(lambda done: self._tasks.pop(done, None))

        return take

    # An item.

    async def _take(self, message: bytes) -> None:
        try:
            await self._handle(message)
        except Stuck:
            return  # the world is at its end
        except Exception as error:
            self._broke(error)

    async def _handle(self, message: bytes) -> None:
        fault, stream = self._world.choices.fault, self._stream
        if fault("worker.dies"):
            self.die("with an item in its hands")
            return
        if fault("worker.stuck") and self._stream is not None:
            self._tell("reads nothing more")
            self._stream.fill()
        if fault("worker.cut") and self._stream is not None and self.sdk.tokens:
            self._tell("loses its connection")
            self._stream.cut()
        item = WorkItemMessage.FromString(message)
        if item.HasField("workflowRequest"):
            complete, said = "CompleteWorkflowTask", await self._turn(item.workflowRequest)
        else:
            complete, said = "CompleteActivityTask", await self._activity(item.activityRequest)
        if said is None:
            return
        said["completionToken"] = item.completionToken if self.sdk.tokens else ""
        await self._answer(complete, said, stream)

    async def _answer(self, method: str, said: dict[str, Any], stream: OpenStream | None) -> None:
        fault = self._world.choices.fault
        if slow := fault("worker.slow", len(SLOW_S)):
            await asyncio.sleep(SLOW_S[slow])
        if fault("worker.silent"):
            self._tell(f"does not answer: {method} of {said['instanceId']}")
            return
        life = self._world.life
        if not self.sdk.tokens and (self._stream is not stream or life is None or not life.up):
            return  # behind a restart nothing tells an answer without a token from one to what is out by then
        if junk := fault("worker.junk", 5):
            await self._say_junk(junk, method, said)
        await self._complete(method, said)
        # Nothing that JavaScript's SDK does tells a second answer from one to the next turn.
        if self.sdk.tokens and (twice := fault("worker.twice", len(TWICE_S))):
            self.twice += 1
            self._tell(f"answers twice: {method} of {said['instanceId']}")
            await asyncio.sleep(TWICE_S[twice])
            await self._complete(method, said)

    async def _complete(self, method: str, said: dict[str, Any]) -> None:
        for _ in range(REPEATS):
            try:
                await self._hub.call(method, self.sdk.agent, **said)
            except ConnectionLost:
                if not self.sdk.tokens:
                    return  # it may have been taken, and a repetition could be taken for the next
                await asyncio.sleep(AGAIN_S)
            except CallFailed as failed:
                if failed.code.name != "UNAVAILABLE" or not self.sdk.tokens:
                    return  # it is logged
                await asyncio.sleep(AGAIN_S)
            else:
                return

    async def _say_junk(self, junk: int, method: str, said: dict[str, Any]) -> None:
        with suppress(CallFailed, ConnectionLost):
            if junk == 1:
                ended = {"id": 1, "completeWorkflow": {"workflowStatus": Status.CANCELED.value}}
                await self._hub.call(
                    "CompleteWorkflowTask", self.sdk.agent, instanceId=said["instanceId"], actions=[ended],
                    completionToken=said["completionToken"] or "old",
                )  # fmt: skip
            elif junk == 2:
                await self._hub.call("CompleteWorkflowTask", self.sdk.agent, instanceId="nobody")
            elif junk == 3:
                await self._hub.call("CompleteActivityTask", self.sdk.agent, instanceId=said["instanceId"], taskId=77)
            else:
                await self._hub.call_with(method, self.sdk.agent, b"\xff\xff")

    # A turn.

    async def _turn(self, request: Message) -> dict[str, Any] | None:
        instance_id, execution_id = request.instanceId, request.executionId.value
        past = await self._history(request)
        if past is None:
            return None
        answered = answer(self._app, instance_id, [HistoryEvent.FromString(each) for each in past], request.newEvents)
        ended = any(action.HasField("completeWorkflow") for action in answered.actions)
        if ended:
            self._histories.pop(instance_id, None)
        else:
            self._histories[instance_id] = (execution_id, past)
        status = {"value": answered.custom_status} if answered.custom_status is not None else None
        return {"instanceId": instance_id, "actions": answered.actions, "customStatus": status}

    async def _history(self, request: Message) -> list[bytes] | None:
        """The committed history of a request: what is kept of it, and what was sent."""
        sent = [event.SerializeToString(deterministic=True) for event in request.pastEvents]
        if not request.HasField("cachedHistory"):
            return sent
        if self._world.choices.fault("worker.forgets"):
            self._tell("forgets its histories")
            self._histories = {}
        count = request.cachedHistory.eventCount
        _, kept = self._histories.get(request.instanceId, ("", []))
        if len(kept) < count:
            try:
                whole = await self._hub.call("GetInstanceHistory", self.sdk.agent, instanceId=request.instanceId)
            except (CallFailed, ConnectionLost):
                whole = None
            if whole is None or len(whole.events) < count:
                if self._stream is not None:
                    self._stream.cut()
                return None
            kept = [event.SerializeToString(deterministic=True) for event in whole.events]
        return [*kept[:count], *sent]

    # An activity.

    async def _activity(self, request: Message) -> dict[str, Any]:
        id_ = request.taskExecutionId
        # SDKs try again by themselves and tell the code of no attempt; the programs want to know.
        attempt = self._attempts[id_] = self._attempts.get(id_, 0) + 1
        ctx = ActivityContext(
            request.workflowInstance.instanceId, request.taskId, id_, request.name, "carry_out", attempt
        )
        definition = self._app.activities[request.name]
        given = request.input.value if request.HasField("input") else None
        outcome: dict[str, Any] = {"instanceId": ctx.workflow_id, "taskId": request.taskId}
        try:
            arguments = definition.parameters.arguments(ctx, given)
            in_loop = definition.kind is ActivityKind.LOOP
            performed = definition.function(*arguments) if in_loop else self._in_thread(definition.function, arguments)
            result = ENCODER.encode(await performed)
        except (asyncio.CancelledError, GeneratorExit):
            raise
        except BaseException as error:  # code may raise KeyboardInterrupt
            return outcome | {"failureDetails": failure_message(failure_of(error))}
        return outcome | {"result": {"value": result} if result is not None else None}

    async def _in_thread(self, function: Callable[..., Any], arguments: Sequence[Any]) -> Any:
        thread, ended = self._world.workshop.begin(partial(function, *arguments))
        try:
            return await ended
        except asyncio.CancelledError:
            thread.drop()
            raise

    def _tell(self, what: str) -> None:
        self._world.trace.tell(self._world.loop.time(), f"worker {self.number}", what, fault=True)
