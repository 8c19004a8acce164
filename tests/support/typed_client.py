"""The types of the client; `tests/whole/test_typing.py` checks this module with mypy, and nothing runs it.

Each `assert_type` is a claim. A `type: ignore` names an error that must be there: mypy is strict about unused ones.
"""

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, assert_type

import perdure


@dataclass
class Receipt:
    total: float


app = perdure.App("shop")


@app.workflow
async def order(ctx: perdure.WorkflowContext, total: float) -> Receipt:
    return Receipt(total)


@app.workflow(name="Other")
def by_yield(ctx: perdure.WorkflowContext) -> Generator[Any, Any, Receipt]:
    yield ctx.create_timer(1)
    return Receipt(1)


@app.workflow
def plain(ctx: perdure.WorkflowContext) -> int:
    return 1


async def use(client: perdure.Client) -> None:
    handle = await client.start(order, input=1.5)
    assert_type(handle, perdure.Handle[Receipt])
    assert_type(await handle.result(), Receipt)
    assert_type((await handle.result(timeout=5)).total, float)
    assert_type(await client.start(by_yield), perdure.Handle[Receipt])
    assert_type(await client.start(plain), perdure.Handle[int])
    assert_type(await client.start("by name"), perdure.Handle[Any])
    assert_type(await client.run(order, input=1.5), Receipt)
    assert_type(await client.run(by_yield), Receipt)
    assert_type(await client.run(plain), int)
    assert_type(await client.run("by name"), Any)
    assert_type(client.handle("i", order), perdure.Handle[Receipt])
    assert_type(client.handle("i"), perdure.Handle[Any])
    assert_type(await client.get(handle), perdure.WorkflowState | None)
    assert_type(handle.id, str)
    takes_an_id(handle)
    await client.wait(handle)
    wrong: int = await handle.result()  # type: ignore[assignment]
    await client.start(5)  # type: ignore[call-overload]
    del wrong


async def use_a_daemons() -> None:
    async with perdure.connect("http://127.0.0.1:3500") as client:
        handle = await client.start(order, input=1.5, tags={"a": "b"})
        assert_type(await handle.result(), Receipt)
        assert_type(await client.run(by_yield), Receipt)
        assert_type([item.id async for item in client.instances(status="failed")], list[str])
        await client.list(status=["failed", "stalled"], stuck_for="15m")
        await client.list(colour="red")  # type: ignore[call-arg]
        assert_type((await client.report("hosts")).items[0].ready, bool)


def use_a_blocking_one() -> None:
    with perdure.connect_sync("http://127.0.0.1:3500") as client:
        assert_type(client.start(order, input=1.5).result(), Receipt)
        assert_type(client.run(plain), int)
        assert_type(client.run("by name"), Any)
        assert_type(client.handle("i", by_yield).result(), Receipt)
        takes_an_id(client.start(plain))


def takes_an_id(instance_id: str) -> None: ...
