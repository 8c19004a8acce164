"""The operations of a client over HTTP are those of an engine in the same process: one test for both."""

import pickle
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

import anyio
import pytest

import perdure
from perdure import (
    App,
    Client,
    Engine,
    InstanceExists,
    InstanceNotFound,
    PayloadError,
    Settings,
    Status,
    WorkflowContext,
    WorkflowFailed,
)
from perdure.api.management.instances import HistorySize, InstanceDetails, StallReport
from perdure.client.api_server import Answer, ApiRequest
from perdure.client.app_server import AppServer, AsgiApp
from perdure.client.remote import AGAIN_S, RemoteOperations, state_of
from perdure.runtime.errors import InstanceUnfinished, InvalidRequest
from perdure.runtime.history.instance_state import InstanceState
from perdure.runtime.operations.steering.embedded import EmbeddedOperations

from ..support.processes.daemon import Daemon
from ..support.processes.shop import TOKEN
from ..support.processes.shop_app import Receipt, app, order, waits

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["engine", "daemon"])
async def client(request: pytest.FixtureRequest, daemon: Daemon, settings: Settings) -> AsyncIterator[Client]:
    """Each kind of client."""
    if request.param == "daemon":
        async with perdure.connect(daemon.url, token=TOKEN) as client:
            yield client
        return
    async with Engine(app, data=":memory:", settings=settings) as engine:
        yield Client(EmbeddedOperations(engine.facade, engine.steering, engine.states))


async def test_a_result_has_the_type_of_the_workflow_that_was_handed_over(client: Client, new_id: str) -> None:
    handle = await client.start(order, input=12.5, instance_id=new_id)
    assert handle == new_id
    assert await handle.result(timeout=30) == Receipt(12.5)
    assert await client.run(order, input=1) == Receipt(1.0)
    assert await client.result(new_id) == {"total": 12.5}


async def test_an_instance_is_described_with_its_payloads(client: Client, new_id: str) -> None:
    await client.run("order", input=12.5, instance_id=new_id)
    state = await client.get(new_id)
    assert state is not None
    assert (state.name, state.status, state.input, state.output) == ("order", Status.COMPLETED, 12.5, {"total": 12.5})
    assert state.last_updated_at >= state.created_at
    assert state.details.execution_id
    assert await client.get(f"{new_id}-not") is None


async def test_a_failure_says_what_failed(client: Client, new_id: str) -> None:
    with pytest.raises(WorkflowFailed, match="too much"):
        await client.run(order, input=500, instance_id=new_id)
    state = await client.wait(new_id)
    assert state.status is Status.FAILED
    assert state.details.failure is not None
    assert state.output is None


async def test_an_instance_is_steered(client: Client, new_id: str) -> None:
    handle = await client.start(waits, instance_id=new_id)
    await handle.suspend(reason="lunch")
    await handle.wait(until=lambda status: status is Status.SUSPENDED)
    await handle.resume()
    await handle.wait(until=lambda status: status is Status.RUNNING)
    await handle.raise_event("approval", {"by": "Ada"})
    assert await handle.result() == {"by": "Ada"}
    assert await handle.purge() == 1
    assert await handle.state() is None


async def test_who_steers_an_instance_hears_whether_that_has_changed_something(client: Client, new_id: str) -> None:
    handle = await client.start(waits, instance_id=new_id)
    await handle.wait(until=lambda status: status is Status.RUNNING)
    steps = (handle.resume, handle.suspend, handle.suspend, handle.resume, handle.terminate, handle.terminate)
    assert [await step() for step in steps] == [False, True, False, True, True, False]
    assert [await client.suspend(new_id), await client.resume(new_id)] == [False, False]


async def test_termination_reaches_the_children_and_gives_a_result(client: Client, new_id: str) -> None:
    await client.start("parent", instance_id=new_id)
    while await client.get(f"{new_id}-child") is None:
        pass
    await client.terminate(new_id, output=[1])
    state = await client.wait(new_id)
    assert (state.status, state.output) == (Status.TERMINATED, [1])
    assert (await client.wait(f"{new_id}-child")).status is Status.TERMINATED
    assert await client.purge(new_id) == 2


async def test_the_id_of_a_finished_instance_is_used_again_and_that_of_a_running_one_is_not(
    client: Client, new_id: str
) -> None:
    await client.run(order, input=1, instance_id=new_id)
    assert await client.run(order, input=2, instance_id=new_id) == Receipt(2.0)
    await client.start(waits, instance_id=f"{new_id}-w")
    with pytest.raises(InstanceExists) as caught:
        await client.start(waits, instance_id=f"{new_id}-w")
    assert caught.value.instance_id == f"{new_id}-w"


@pytest.mark.parametrize(
    ("workflow", "options"),
    [
        ("order", {"if_exists": "reject"}),
        ("waits", {"if_exists": "return"}),
    ],
    ids=str,
)
async def test_who_may_not_have_an_id_hears_who_has_it(
    client: Client, new_id: str, workflow: str, options: dict[str, Any]
) -> None:
    await client.run(order, input=1, instance_id=new_id)
    with pytest.raises(
        InstanceExists, match="belongs to an instance of workflow 'order', which is COMPLETED"
    ) as caught:
        await client.start(workflow, instance_id=new_id, **options)
    assert caught.value.instance_id == new_id
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)  # noqa: S301  our own


MISSING: dict[str, Callable[[Client, str], Awaitable[Any]]] = {
    "wait": lambda client, name: client.wait(name),
    "result": lambda client, name: client.result(name),
    "raise_event": lambda client, name: client.raise_event(name, "e"),
    "suspend": lambda client, name: client.suspend(name),
    "resume": lambda client, name: client.resume(name),
    "terminate": lambda client, name: client.terminate(name),
    "purge": lambda client, name: client.purge(name),
}


@pytest.mark.parametrize("call", MISSING)
@pytest.mark.parametrize("name", ["nobody", ""])
async def test_an_instance_that_does_not_exist_is_the_same_error(client: Client, call: str, name: str) -> None:
    with pytest.raises(InstanceNotFound) as caught:
        await MISSING[call](client, name)
    assert caught.value.instance_id == name
    assert await client.get(name) is None


async def test_what_cannot_be_done_is_the_same_error(client: Client, new_id: str) -> None:
    await client.start(waits, instance_id=new_id)
    with pytest.raises(InstanceUnfinished):
        await client.purge(new_id)
    with pytest.raises(TimeoutError):
        await client.wait(new_id, timeout=0.05)
    assert (await client.wait(new_id, until=lambda _: True)).status is Status.RUNNING
    with pytest.raises(InvalidRequest):
        await client.get(5)  # type: ignore[arg-type]
    with pytest.raises(PayloadError):
        await client.start(waits, input=object())


@pytest.mark.parametrize("strange", ["a b", "a/b", "ü?#%", "..", ".", "a\tb", "x" * 900])
async def test_an_id_may_be_any_text(client: Client, new_id: str, strange: str) -> None:
    instance_id = strange if strange.strip(".") == "" else f"{new_id[:40]}{strange}"
    handle = await client.start(order, input=1, instance_id=instance_id)
    assert await handle.result() == Receipt(1.0)
    assert await handle.purge() == 1


def test_an_instance_that_is_set_aside_is_stalled_for_a_program() -> None:
    now = datetime(2026, 11, 26, tzinfo=UTC)
    described = InstanceDetails(
        **dict.fromkeys(("custom_status", "ended", "parent", "root", "failure"), None),  # type: ignore[arg-type]
        id="i",
        name="order",
        status="SET_ASIDE",
        created=now,
        updated=now,
        generation=0,
        tags={},
        app_id="shop",
        execution_id="e",
        first_execution_id="e",
        input_bytes=0,
        output_bytes=0,
        history=HistorySize(turns=1, events=1, bytes=1),
        stall=StallReport(kind="SET_ASIDE", reason="it ends the process"),
    )
    state = state_of(described, None, None)
    assert (state.status, state.set_aside, state.stall) == (Status.STALLED, True, "it ends the process")


class GoingOn(AppServer):
    """A server whose instance begins its next generation between two reads, once."""

    def __init__(self, app: AsgiApp, go_on: Callable[[], Awaitable[None]]) -> None:
        super().__init__(app)
        self.go_on: Callable[[], Awaitable[None]] | None = go_on

    async def _send(self, request: ApiRequest) -> Answer:
        answer = await super()._send(request)
        if request.path.endswith("/instances/i") and self.go_on is not None:
            go_on, self.go_on = self.go_on, None
            await go_on()
        return answer


async def test_a_description_and_its_payloads_are_of_one_generation(settings: Settings) -> None:
    again = App("again")

    @again.workflow
    async def count(ctx: WorkflowContext, number: int) -> int:
        await ctx.wait_for_external_event("go")
        ctx.continue_as_new(number + 1)
        return number

    async with Engine(again, data=":memory:", settings=settings) as engine:
        await engine.client.start(count, input=1, instance_id="i")

        async def go_on() -> None:
            await engine.client.raise_event("i", "go")
            while (await engine.facade.inspect("i")).input != "2":  # type: ignore[union-attr]
                await anyio.sleep(0.01)

        server = GoingOn(perdure.asgi(engine, unauthenticated=True), go_on)
        state = await RemoteOperations(server).inspect("i")
        assert state is not None
        assert (state.input, state.execution_id) == ("2", (await engine.client.get("i")).details.execution_id)  # type: ignore[union-attr]
        # and one that is purged in between is not there.
        server.go_on = partial(engine.client.purge, "i", force=True)  # type: ignore[assignment]
        assert await RemoteOperations(server).inspect("i") is None


@pytest.mark.parametrize("read", [RemoteOperations.inspect, RemoteOperations.wait])
async def test_what_was_of_two_generations_is_read_again_after_a_pause(
    read: Callable[[RemoteOperations, str], Awaitable[Any]], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Engine(app, data=":memory:", settings=settings) as engine:
        await engine.client.run(order, input=1, instance_id="i")
        operations = RemoteOperations(AppServer(perdure.asgi(engine, unauthenticated=True)))
        readings, pauses = 0, []
        with_payloads, sleep = operations._with_payloads, anyio.sleep

        async def of_two(described: InstanceDetails) -> InstanceState | None:
            nonlocal readings
            readings += 1
            return await with_payloads(described) if readings == 4 else None

        async def paused(seconds: float) -> None:
            pauses.append(seconds)
            await sleep(0)

        # Given an instance whose description and payloads are of two generations three times,
        monkeypatch.setattr(operations, "_with_payloads", of_two)
        monkeypatch.setattr("perdure.client.remote.anyio.sleep", paused)
        # when it is read, then there is a pause before each further reading.
        assert (await read(operations, "i")).output == '{"total":1.0}'
        assert [each for each in pauses if each == AGAIN_S] == [AGAIN_S] * 3
