"""The doors of a host: the ways by which a story's calls reach it, as bytes.

    embedded     the engine's own client, without a door
    management   the management API over HTTP, asked by the client of daemons
    dapr         Dapr's workflow API over HTTP
    task hub     the gRPC methods that Dapr's SDKs call

The rule: a promise to a client of an engine holds behind each door. So each is a client's
`Operations`; requests that a door cannot express go to the engine itself.

An app is called as its server calls it (ASGI), and the gRPC methods as `workers/hub.py` does.
"""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, NoReturn
from urllib.parse import quote

from msgspec.structs import replace

from perdure import InstanceNotFound, Status
from perdure.actors.store.listing import ListFilter, Order
from perdure.api.sidecar import Sidecar
from perdure.client.app_server import AppServer, AsgiApp
from perdure.client.errors import ServerRefused
from perdure.client.filters import Filter
from perdure.client.remote import RemoteOperations
from perdure.client.remote_client import RemoteClient
from perdure.daemon.asgi import EmbeddedControl
from perdure.http.app import HttpOptions, create_app
from perdure.rpc.messages import Message
from perdure.rpc.wire.event_json import event_writer
from perdure.runtime.dates import to_us
from perdure.runtime.engine import Engine
from perdure.runtime.errors import RequestRefused
from perdure.runtime.history.attribution import EMBEDDED as BY
from perdure.runtime.history.instance_state import InstanceState
from perdure.runtime.instance.message import Repair, RepairAction
from perdure.runtime.operations.bulk.operation import BulkAction, OperationState
from perdure.runtime.operations.client import Client
from perdure.runtime.operations.facade import finished
from perdure.runtime.operations.reading.listing import InstanceFilter
from perdure.runtime.operations.steering.embedded import EmbeddedOperations
from perdure.runtime.operations.steering.starting import IfExists, StartRequest
from perdure.testing.simulation.base import BaseWorld
from perdure.testing.simulation.calls import ConnectionLost

from .checks.answers import UNTOLD_US
from .checks.broken import Broken
from .workers.hub import APP_ID, CallFailed, Hub

EMBEDDED, MANAGEMENT, DAPR, TASK_HUB = DOORS = ("embedded", "management", "dapr", "task hub")
MISSING = "no such instance exists"
STALLED = "workflow is stalled"
AGENT = "grpc-python-asyncio/1.60"

# Of these a repeated start does not begin a finished instance anew.
SAFE_DOORS = (EMBEDDED, MANAGEMENT)


class ListedItem(NamedTuple):
    """An instance in a list; times are Unix time in microseconds."""

    id: str
    status: str
    custom_status: str | None
    created_us: int
    updated_us: int


class Doors:
    """The doors of the host that is up.

    Args:
        doors: The doors that chance chooses from.

    Attributes:
        taken: How often each was taken.
    """

    def __init__(self, world: BaseWorld, doors: Sequence[str] = DOORS) -> None:
        self._choices = world.choices
        self._doors = doors
        self._hub = Hub(world)
        self._apps: dict[Engine, AsgiApp] = {}
        self.taken: Counter[str] = Counter()

    def client(self, engine: Engine) -> Client:
        """A client of an engine, which reaches it by a door that chance chooses (stream `story.door`)."""
        door = self._doors[self._choices.draw("story.door", len(self._doors))]
        self.taken[f"door: {door}"] += 1
        return self.by(engine, door)

    def by(self, engine: Engine, door: str) -> Client:
        """A client of an engine, which reaches it by a door."""
        if door == EMBEDDED:
            return engine.client
        direct = EmbeddedOperations(engine.facade, engine.steering, engine.states)
        if door == MANAGEMENT:
            return Client(ManagementOperations(DoorServer(self._app(engine))), engine.app)
        if door == DAPR:
            return Client(DaprOperations(DoorServer(self._app(engine)), direct), engine.app)
        assert door == TASK_HUB, door
        return Client(HubOperations(self._hub, engine, direct), engine.app)

    # Requests that only the management API and the engine itself can do.

    async def rerun(self, engine: Engine, instance_id: str, *, new_id: str, from_event: int | None) -> None:
        """Run an instance again."""
        if (client := self._management(engine)) is not None:
            await client.rerun(instance_id, new_id=new_id, from_event=from_event)
        else:
            await engine.steering.rerun(instance_id, by=BY, new_id=new_id, from_event=from_event)

    async def repair(self, engine: Engine, instance_id: str, action: RepairAction, event_id: int) -> None:
        """Have an activity tried again, or a timer fired."""
        if (client := self._management(engine)) is not None:
            await client.repair(instance_id, "retry" if action is RepairAction.RETRY else "fire", event_id=event_id)
        else:
            await engine.steering.repair(instance_id, Repair(action, event_id, by=BY))

    async def plan_bulk(self, engine: Engine, action: BulkAction) -> str:
        """Plan to do something to all instances; the plan begins it."""
        if (client := self._management(engine)) is not None:
            return (await client.plan_bulk(_word(action))).plan
        return (await engine.bulk.plan(action, ListFilter())).write()

    async def begin_bulk(self, engine: Engine, action: BulkAction, plan: str) -> str:
        """Begin a planned operation, and return its id. The same plan twice is one operation."""
        if (client := self._management(engine)) is not None:
            return (await client.bulk(_word(action), plan)).id
        return (await engine.bulk.begin(plan, action=action, by=BY)).id

    async def bulk_is_running(self, engine: Engine, operation_id: str) -> bool:
        """Whether an operation goes on."""
        if (client := self._management(engine)) is not None:
            return (await client.operation(operation_id)).state == "RUNNING"
        return (await engine.bulk.get(operation_id)).operation.state is OperationState.RUNNING

    async def page(
        self, engine: Engine, wanted: InstanceFilter, order: Order, cursor: str | None, limit: int
    ) -> tuple[Sequence[ListedItem], str | None]:
        """A page of the list of the instances of some status, or of all."""
        if (client := self._management(engine)) is None:
            page = await engine.views.listing.list(wanted, order=order, cursor=cursor, limit=limit)
            found = [
                ListedItem(each.id, each.status, each.custom_status, each.created_us, each.updated_us)
                for each in page.items
            ]
            return found, page.cursor
        listed = await client.list(order=order.value, cursor=cursor, limit=limit, **_words(wanted))
        items = [
            ListedItem(each.id, each.status, each.custom_status, to_us(each.created), to_us(each.updated))
            for each in listed.items
        ]
        return items, listed.cursor

    async def count(self, engine: Engine, wanted: InstanceFilter) -> dict[str, int]:
        """How many instances of some status there are, or of each."""
        if (client := self._management(engine)) is None:
            groups = (await engine.views.listing.count(wanted, by=["status"])).groups
            return {str(each.values[0]): each.total for each in groups}
        counted = await client.count(by=["status"], **_words(wanted))
        return {str(each.status): each.count for each in counted.counts}

    def _management(self, engine: Engine) -> RemoteClient | None:
        """The client of the management API, if chance has chosen that door."""
        door = self._doors[self._choices.draw("story.door", len(self._doors))]
        if door != MANAGEMENT:
            return None
        self.taken[f"door: {door}"] += 1
        return RemoteClient(DoorServer(self._app(engine)), engine.app)

    def _app(self, engine: Engine) -> AsgiApp:
        app = self._apps.get(engine)
        if app is None:
            app = self._apps[engine] = create_app(
                engine.facade,
                HttpOptions(app_id=APP_ID, page=False),
                Sidecar(EmbeddedControl(engine), app_id=APP_ID),
                engine.management,
                event_json=event_writer(APP_ID),
            )
        return app


TOO_MANY = 429  # by Dapr's routes, too
TAKEN = (202,)  # by Dapr's routes for workflows


def _words(wanted: InstanceFilter) -> Filter:
    return {"status": sorted(wanted.statuses)} if wanted.statuses is not None else {}


def _word(action: BulkAction) -> Literal["suspend", "resume"]:
    return "suspend" if action is BulkAction.SUSPEND else "resume"


class DoorServer(AppServer):
    """An app that is called through its door. An answer that may not be one counts as none."""

    async def send(self, method: str, path: str, **named: Any) -> Any:
        try:
            return await super().send(method, path, **named)
        except ServerRefused as refused:
            # Requests to repeat: a reading of an instance that has just begun a new generation, and a full mailbox.
            again = ("ERR_HISTORY_CHANGED", "ERR_MAILBOX_FULL")
            certain = refused.status < 500 and refused.code not in again and refused.status != TOO_MANY
            _classify(refused.message, certain=certain, instance_id=named.get("instance_id"))


class ManagementOperations(RemoteOperations):
    """The management API, whose time of the last change is another than the engine's."""

    async def inspect(self, instance_id: str) -> InstanceState | None:
        state = await super().inspect(instance_id)
        return replace(state, updated_us=UNTOLD_US) if state is not None else None

    async def wait(self, instance_id: str, until: Callable[[Status], bool] = finished) -> InstanceState:
        return replace(await super().wait(instance_id, until), updated_us=UNTOLD_US)


class PlainOperations:
    """The common parts of the doors of Dapr: requests without keys, reasons and tags."""

    def __init__(self, direct: EmbeddedOperations) -> None:
        self._direct = direct
        self.states = direct.states

    async def start(self, name: str, **named: Any) -> str:
        return await self._direct.start(name, **named)

    async def begin(self, request: StartRequest) -> str:
        id_ = request.instance_id
        plain = StartRequest(name=request.name, instance_id=id_, input=request.input, if_exists=IfExists.RETURN)
        if id_ is None or request != plain:
            return await self._direct.begin(request)
        # As a client has to that repeats its start: Dapr's doors use the id of a finished instance again.
        if await self._direct.inspect(id_) is None:
            try:
                await self._start(request.name, id_, request.input)
            except RequestRefused:
                if await self._direct.inspect(id_) is None:
                    raise
        return id_

    async def inspect(self, instance_id: str) -> InstanceState | None:
        before = await self._direct.inspect(instance_id)
        shown = await self._status(instance_id)
        after = await self._direct.inspect(instance_id)
        could_be = {state.status.name if state is not None else None for state in (before, after)}
        if shown not in could_be and before == after:
            raise Broken("E13", f"{instance_id} is {shown} behind a door, and {could_be} for the engine's own client")
        return after

    async def wait(self, instance_id: str, until: Callable[[Status], bool] = finished) -> InstanceState:
        return await self._direct.wait(instance_id, until)

    async def raise_event(self, instance_id: str, name: str, data: str | None, *, key: str | None) -> None:
        if key is not None:
            await self._direct.raise_event(instance_id, name, data, key=key)
        else:
            await self._raise(instance_id, name, data)

    async def suspend(self, instance_id: str, *, reason: str | None, recurse: bool) -> bool:
        if reason is not None or recurse:
            return await self._direct.suspend(instance_id, reason=reason, recurse=recurse)
        await self._steer("suspend", instance_id)
        return True  # Dapr's doors do not say whether it was so already

    async def resume(self, instance_id: str, *, reason: str | None, recurse: bool) -> bool:
        if reason is not None or recurse:
            return await self._direct.resume(instance_id, reason=reason, recurse=recurse)
        await self._steer("resume", instance_id)
        return True

    async def terminate(self, instance_id: str, *, output: str | None, recurse: bool, reason: str | None) -> bool:
        if output is not None or reason is not None or not recurse:
            return await self._direct.terminate(instance_id, output=output, recurse=recurse, reason=reason)
        await self._steer("terminate", instance_id)
        return True

    async def purge(self, instance_id: str, *, recurse: bool, force: bool, reason: str | None) -> int:
        if force or reason is not None or not recurse:
            return await self._direct.purge(instance_id, recurse=recurse, force=force, reason=reason)
        await self._steer("purge", instance_id)
        return 1

    async def _start(self, name: str, instance_id: str, given: str | None) -> None:
        raise NotImplementedError

    async def _status(self, instance_id: str) -> str | None:
        raise NotImplementedError

    async def _raise(self, instance_id: str, name: str, data: str | None) -> None:
        raise NotImplementedError

    async def _steer(self, what: str, instance_id: str) -> None:
        raise NotImplementedError


class DaprOperations(PlainOperations):
    """Dapr's workflow API over HTTP."""

    PATHS: Mapping[str, str] = {"suspend": "pause", "resume": "resume", "terminate": "terminate", "purge": "purge"}

    def __init__(self, server: DoorServer, direct: EmbeddedOperations) -> None:
        super().__init__(direct)
        self._server = server

    async def _start(self, name: str, instance_id: str, given: str | None) -> None:
        path = f"/v1.0/workflows/dapr/{name}/start"
        body = (given or "").encode()
        query = [("instanceID", instance_id)]
        await self._server.send("POST", path, good=TAKEN, query=query, body=body, instance_id=instance_id)

    async def _status(self, instance_id: str) -> str | None:
        try:
            path = f"/v1.0/workflows/dapr/{instance_id}"
            answer = await self._server.send("GET", path, good=(200,), instance_id=instance_id)
        except InstanceNotFound:
            return None
        status: str = json.loads(answer.content)["runtimeStatus"]
        return {"UNKNOWN": "STALLED"}.get(status, status)

    async def _raise(self, instance_id: str, name: str, data: str | None) -> None:
        path = f"/v1.0-beta1/workflows/dapr/{instance_id}/raiseEvent/{quote(name)}"
        await self._server.send("POST", path, good=TAKEN, body=(data or "").encode(), instance_id=instance_id)

    async def _steer(self, what: str, instance_id: str) -> None:
        path = f"/v1.0/workflows/dapr/{instance_id}/{self.PATHS[what]}"
        await self._server.send("POST", path, good=TAKEN, instance_id=instance_id)


class HubOperations(PlainOperations):
    """The task hub's methods for clients."""

    METHODS: Mapping[str, str] = {
        "suspend": "SuspendInstance",
        "resume": "ResumeInstance",
        "terminate": "TerminateInstance",
        "purge": "PurgeInstances",
    }

    def __init__(self, hub: Hub, engine: Engine, direct: EmbeddedOperations) -> None:
        super().__init__(direct)
        self._hub = hub
        self._engine = engine

    async def _call(self, method: str, instance_id: str, **fields: Any) -> Message:
        try:
            return await self._hub.answer(self._engine, method, AGENT, **fields)
        except CallFailed as failed:
            certain = failed.code.name in ("ALREADY_EXISTS", "INVALID_ARGUMENT", "NOT_FOUND", "FAILED_PRECONDITION")
            _classify(failed.text, certain=certain, instance_id=instance_id)

    async def _start(self, name: str, instance_id: str, given: str | None) -> None:
        started = {"value": given} if given is not None else None
        await self._call(
            "StartInstance", instance_id,
            instanceId=instance_id, name=name, input=started, enforceUniqueInstanceId=True,
        )  # fmt: skip

    async def _status(self, instance_id: str) -> str | None:
        answer = await self._call("GetInstance", instance_id, instanceId=instance_id, getInputsAndOutputs=True)
        return Status(answer.workflowState.workflowStatus).name if answer.exists else None

    async def _raise(self, instance_id: str, name: str, data: str | None) -> None:
        value = {"value": data} if data is not None else None
        await self._call("RaiseEvent", instance_id, instanceId=instance_id, name=name, input=value)

    async def _steer(self, what: str, instance_id: str) -> None:
        fields = {"recursive": True} if what in ("terminate", "purge") else {}
        await self._call(self.METHODS[what], instance_id, instanceId=instance_id, **fields)


def _classify(message: str, *, certain: bool, instance_id: str | None) -> NoReturn:
    """Raise the error that an engine's own client would raise: refused, not found, or perhaps done."""
    if MISSING in message and instance_id is not None:
        raise InstanceNotFound(instance_id)
    if certain or STALLED in message:
        raise RequestRefused(message)
    raise ConnectionLost(f"the answer was: {message}")
