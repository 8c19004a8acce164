"""A handle is the id of an instance, and has the operations on it."""

import copy
import json
import pickle
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any

import msgpack
import pytest

from perdure import App, Engine, Handle, InstanceNotFound, Settings, Status, WorkflowContext

pytestmark = pytest.mark.anyio


@pytest.fixture
async def engine(settings: Settings) -> AsyncIterator[Engine]:
    app = App("shop")

    @app.workflow
    async def waits(ctx: WorkflowContext) -> Any:
        return await ctx.wait_for_external_event("go")

    async with Engine(app, data=":memory:", settings=settings) as engine:
        yield engine


AS_AN_ID: dict[str, Callable[[Any], object]] = {
    "itself": lambda handle: handle,
    "its id": lambda handle: handle.id,
    "text": str,
    "a part of a text": lambda handle: f"{handle}",
    "a pickle": lambda handle: pickle.loads(pickle.dumps(handle)),  # noqa: S301  our own
    "a copy": copy.copy,
    "a deep copy": copy.deepcopy,
    "JSON": lambda handle: json.loads(json.dumps({"id": handle}))["id"],
    "msgpack": lambda handle: msgpack.unpackb(msgpack.packb(handle)),
    "a key": lambda handle: next(key for key in {"i": 1} if key == handle),
    "a sum": lambda handle: ("<" + handle + ">").strip("<>"),
}


@pytest.mark.parametrize("how", AS_AN_ID)
async def test_a_handle_is_the_id_wherever_an_id_is_kept_compared_or_sent(engine: Engine, how: str) -> None:
    handle = engine.client.handle("i")
    assert AS_AN_ID[how](handle) == "i"
    assert hash(handle) == hash("i")
    assert repr(handle) == "Handle('i')"


@pytest.mark.parametrize("how", ["its id", "text", "a pickle"])
async def test_what_leaves_the_process_is_a_plain_str(engine: Engine, how: str) -> None:
    assert type(AS_AN_ID[how](engine.client.handle("i"))) is str


async def test_a_handle_has_the_operations_on_its_instance(engine: Engine) -> None:
    handle = await engine.client.start("waits", instance_id="i")
    assert isinstance(handle, Handle)
    await handle.suspend(reason="lunch")
    assert (await handle.wait(until=lambda status: status is Status.SUSPENDED)).custom_status is None
    await handle.resume()
    await handle.raise_event("go", [1])
    assert await handle.result(timeout=timedelta(seconds=5)) == [1]
    assert await handle.purge() == 1
    assert await handle.state() is None
    with pytest.raises(InstanceNotFound):
        await handle.result()


async def test_a_result_is_waited_for_up_to_a_limit(engine: Engine) -> None:
    handle = await engine.client.start("waits")
    with pytest.raises(TimeoutError):
        await handle.result(timeout=0.01)
    await handle.terminate(output="stop")
    assert (await handle.wait()).output == "stop"


CALLS: dict[str, Callable[[Any, Any], Awaitable[Any]]] = {
    "get": lambda client, handle: client.get(handle),
    "wait": lambda client, handle: client.wait(handle, until=lambda _: True),
    "suspend": lambda client, handle: client.suspend(handle),
    "resume": lambda client, handle: client.resume(handle),
    "raise_event": lambda client, handle: client.raise_event(handle, "go"),
    "terminate": lambda client, handle: client.terminate(handle),
    "purge": lambda client, handle: client.purge(handle, force=True),
    "result": lambda client, handle: client.raise_event(handle, "go"),
    "start": lambda client, handle: client.start("waits", instance_id=client.handle("another")),
}


@pytest.mark.parametrize("call", CALLS)
async def test_a_handle_is_taken_wherever_an_id_is(engine: Engine, call: str) -> None:
    await CALLS[call](engine.client, await engine.client.start("waits"))
