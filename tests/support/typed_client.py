"""What a type checker makes of the client; `tests/whole/test_typing.py` has mypy look at it, and nothing runs it.

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


def takes_an_id(instance_id: str) -> None: ...
