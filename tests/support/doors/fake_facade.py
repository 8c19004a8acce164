"""A facade without an engine: the behaviour matrix of contract 1.5, in memory, and a client for apps made from it."""

import uuid
from collections.abc import Callable, Mapping
from typing import Any

import anyio
import httpx
from msgspec.structs import replace
from starlette.applications import Starlette

from perdure.api.sidecar import Sidecar
from perdure.http.app import HttpOptions, create_app
from perdure.runtime.errors import (
    ChildUnfinished,
    InstanceExists,
    InstanceNotFound,
    InstanceStalled,
    InstanceUnfinished,
)
from perdure.runtime.history.attribution import By
from perdure.runtime.history.event import Trace
from perdure.runtime.history.instance_state import InstanceState
from perdure.runtime.history.status import Status
from perdure.runtime.instance.condition import ANY, Condition
from perdure.runtime.operations.facade import Facade, finished

CREATED_US = 1_795_406_400_123_456


def state(instance_id: str = "order-1", status: Status = Status.RUNNING, **fields: Any) -> InstanceState:
    """Make up an instance."""
    made = InstanceState(
        instance_id=instance_id,
        execution_id="e1",
        name="OrderProcessing",
        status=status,
        created_us=CREATED_US,
        updated_us=CREATED_US + 1_000_000,
        input='{"item":"paperclips"}',
        output=None,
        custom_status=None,
        failure=None,
        stall="the code changed" if status is Status.STALLED else None,
        parent_id=None,
    )
    return replace(made, **fields)


class FakeFacade(Facade):
    """Answers as the contract says, records the requests, and fails on request.

    It inherits only for the types, because the doors take a `Facade`: there is no host, and no method of `Facade` is
    called.
    """

    def __init__(self, *states: InstanceState) -> None:
        self.instances = {state.instance_id: state for state in states}
        self.calls: list[tuple[Any, ...]] = []
        self.authors: list[By | None] = []  # of the changes
        self.failure: Exception | None = None
        self.tracing = None
        self.unfinished_children: dict[str, tuple[str, ...]] = {}
        self.others: dict[str, FakeFacade] = {}  # of the requested apps, by their ids

    def of_app(self, app_id: str) -> "FakeFacade":
        return self.others.setdefault(app_id, type(self)(*self.instances.values()))

    def asked(self, *call: Any) -> None:
        self.calls.append(call)
        if self.failure is not None:
            raise self.failure

    def put(self, changed: InstanceState) -> None:
        self.instances[changed.instance_id] = changed

    def change(self, instance_id: str, follow: Mapping[Status, Status]) -> None:
        """Move an instance to the next status; leave it in its status if there is none."""
        if (found := self.instances.get(instance_id)) is None:
            raise InstanceNotFound(instance_id)
        if found.status is Status.STALLED:
            raise InstanceStalled(instance_id)
        self.put(replace(found, status=follow.get(found.status, found.status)))

    async def start(
        self,
        name: str,
        *,
        instance_id: str | None = None,
        input: str | None = None,  # noqa: A002
        start_at_us: int | None = None,
        unique: bool = False,
        trace: Trace | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> str:
        self.asked("start", name, instance_id, input)
        instance_id = instance_id or str(uuid.uuid4())
        found = self.instances.get(instance_id)
        if found is not None and not found.status.terminal:
            raise InstanceExists(instance_id)
        if instance_id in self.unfinished_children:
            raise ChildUnfinished(instance_id, self.unfinished_children[instance_id])
        self.put(state(instance_id, Status.PENDING, name=name, input=input))
        return instance_id

    async def inspect(self, instance_id: str) -> InstanceState | None:
        self.asked("inspect", instance_id)
        return self.instances.get(instance_id)

    async def raise_event(self, instance_id: str, name: str, data: str | None = None) -> None:
        self.asked("raise_event", instance_id, name, data)
        self.change(instance_id, {})

    async def suspend(
        self, instance_id: str, *, reason: str | None = None, by: By | None = None, condition: Condition = ANY
    ) -> None:
        self.authors.append(by)
        self.asked("suspend", instance_id)
        self.change(instance_id, {Status.PENDING: Status.SUSPENDED, Status.RUNNING: Status.SUSPENDED})

    async def resume(
        self, instance_id: str, *, reason: str | None = None, by: By | None = None, condition: Condition = ANY
    ) -> None:
        self.authors.append(by)
        self.asked("resume", instance_id)
        self.change(instance_id, {Status.SUSPENDED: Status.RUNNING})

    async def terminate(
        self,
        instance_id: str,
        *,
        output: str | None = None,
        recurse: bool = True,
        by: By | None = None,
        condition: Condition = ANY,
        stalled_too: bool = False,
    ) -> None:
        self.authors.append(by)
        self.asked("terminate", instance_id, output, recurse)
        live = (Status.PENDING, Status.RUNNING, Status.SUSPENDED)
        self.change(instance_id, dict.fromkeys(live, Status.TERMINATED))

    async def purge(
        self,
        instance_id: str,
        *,
        recurse: bool = True,
        force: bool = False,
        by: By | None = None,
        condition: Condition = ANY,
        stalled_too: bool = False,
    ) -> int:
        self.authors.append(by)
        self.asked("purge", instance_id, recurse, force)
        self.purged(instance_id, force=force)
        return 1

    def purged(self, instance_id: str, *, force: bool) -> None:
        """Forget an instance."""
        self.change(instance_id, {})
        if not self.instances[instance_id].status.terminal:
            raise InstanceUnfinished(instance_id)
        del self.instances[instance_id]

    async def wait(
        self,
        instance_id: str,
        until: Callable[[Status], bool] = finished,
        *,
        await_creation: bool = False,
    ) -> InstanceState:
        raise NotImplementedError


class FakeControl:
    """A daemon in a state that the test sets."""

    def __init__(self) -> None:
        self.is_ready = True
        self.workers = 1
        self.actors: dict[str, int] = {"workflow": 3, "activity": 2}
        self.shutdowns: list[bool] = []
        self.runtime_version = "0.1.0"

    def ready(self) -> bool:
        return self.is_ready

    def unready(self) -> str | None:
        return None if self.is_ready else "it is starting"

    def shutdown(self, force: bool) -> None:
        self.shutdowns.append(force)

    def connected_workers(self) -> int:
        return self.workers

    def active_actors(self) -> Mapping[str, int]:
        return self.actors


def make_app(
    facade: Facade | None = None, control: FakeControl | None = None, *, app_id: str = "orders", **options: Any
) -> Starlette:
    """Make an app from fakes."""
    return create_app(
        facade if facade is not None else FakeFacade(),
        HttpOptions(app_id=app_id, **options),
        Sidecar(control if control is not None else FakeControl(), app_id=app_id),
    )


def ask(app: Starlette, method: str, target: str, **more: Any) -> httpx.Response:
    """Send one request to an app, without a server."""

    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://perdure") as client:
            return await client.request(method, target, **more)

    return anyio.run(send)
