"""Orders of `order_processing.py` are processed at most once, whatever fails, and only if approved.

cd examples && python -m pytest simulations
"""

from collections import Counter
from pathlib import Path
from typing import Any

import anyio
import order_processing as example
import pytest

from perdure.testing import World, simulated


class Books:
    """The books of warehouse, bank and carrier: each deed is recorded once under its key."""

    def __init__(self) -> None:
        self.deeds: dict[str, str] = {}

    async def enter(self, deed: str, what: str, *, key: str) -> str:
        self.deeds[f"{deed}-{key}"] = what
        return f"{deed}-{key}"

    def times(self, deed: str) -> Counter[str]:
        """How often a deed was done, for each of its objects."""
        return Counter(what for receipt, what in self.deeds.items() if receipt.startswith(deed))


@simulated(example.app, seeds=25, sweep=1)
async def test_each_order_is_reserved_charged_and_shipped_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a world that keeps books, in place of the example's files,
    books = world.outside(Books())

    async def do_once(ctx: Any, deed: str, what: str) -> str:
        return await books.enter(deed, what, key=ctx.task_execution_id)

    monkeypatch.setattr(example, "do_once", do_once)

    @world.always
    def every_deed_is_done_once() -> None:
        for deed in ("reserve", "charge", "ship"):
            twice = {what: times for what, times in books.times(deed).items() if times > 1}
            assert not twice, f"{deed} was done more than once: {twice}"

    @world.finally_
    def what_is_not_approved_is_released_and_not_charged() -> None:
        assert len(books.times("reserve")) == len(books.times("charge")) + len(books.times("release"))
        assert books.times("ship").total() == books.times("charge").total()

    # when orders of different sizes are approved, or refused, or forgotten about,
    async def order(number: int) -> None:
        given = {"Name": "Paperclips", "TotalCost": 10.0 + number, "Quantity": 1 + number}
        handle = await world.client.start(
            "OrderProcessingWorkflow", input=given, instance_id=f"order-{number}", if_exists="return"
        )
        decision = world.choose(["approves", "refuses", "is away"])
        if decision != "is away":
            approval = {"approved": decision == "approves", "reason": "too dear"}
            await handle.raise_event("approval", approval, idempotency_key="decision")
        result = await handle.result()
        # then each ends as it was decided.
        assert result["processed"] is (decision == "approves"), result
        world.sometimes(decision)

    async with anyio.create_task_group() as tasks:
        for number in range(world.pick(1, 3)):
            tasks.start_soon(order, number)


@simulated(example.app, seeds=3, sweep=0)
async def test_the_files_of_the_example_hold_each_deed_once(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # Files are real in a world: each world has a folder of its own.
    folder = tmp_path / str(len(list(tmp_path.iterdir())))  # noqa: ASYNC240  nothing else runs
    monkeypatch.setattr(example, "BOOKS", anyio.Path(folder))
    given = {"Name": "Paperclips", "TotalCost": 9.95, "Quantity": 1}
    name = "OrderProcessingWorkflow"
    handle = await world.client.start(name, input=given, instance_id="order", if_exists="return")
    await handle.raise_event("approval", {"approved": True}, idempotency_key="decision")
    await handle.result()
    deeds = Counter(path.name.partition("-")[0] for path in folder.iterdir())
    assert deeds == {"reserve": 1, "charge": 1, "ship": 1}
