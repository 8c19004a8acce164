"""anyio cancels in the order in which things came, as long as a world runs, and its loop alone keeps its tasks."""

import asyncio

import anyio
import pytest
from anyio._backends import _asyncio

from perdure.testing.simulation.loop import SimLoop
from perdure.testing.simulation.patches import OrderedSet, PatchMissed, patched, tasks_kept_by


def test_a_set_keeps_the_order_in_which_its_items_came() -> None:
    items = OrderedSet[str]()
    for item in "cab":
        items.add(item)
    items.discard("x")
    items.remove("a")
    items.add("a")
    assert list(items) == ["c", "b", "a"]
    assert len(items) == 3
    assert "b" in items


def test_scopes_are_cancelled_in_the_order_of_their_making() -> None:
    seen: list[int] = []

    async def part(number: int) -> None:
        with anyio.CancelScope():
            try:
                await anyio.sleep_forever()
            finally:
                seen.append(number)

    async def story() -> None:
        async with anyio.create_task_group() as tasks:
            for number in range(50):
                tasks.start_soon(part, number)
            await asyncio.sleep(1)
            tasks.cancel_scope.cancel()

    loop = SimLoop()  # type: ignore[abstract]
    with patched():
        loop.run(story())
    loop.close()
    assert seen == list(range(50))


def test_coroutines_begin_in_the_order_in_which_asyncio_got_them() -> None:
    seen: list[int] = []

    async def part(number: int) -> int:
        seen.append(number)
        return number

    async def story() -> None:
        # Their hashes are their addresses, which are in no order that repeats: made from the last to the first.
        parts = [part(number) for number in reversed(range(50))][::-1]
        assert [await answer for answer in asyncio.as_completed(parts)] == seen
        done, pending = await asyncio.wait([asyncio.ensure_future(part(50))])
        assert (type(done), type(pending)) == (set, set)

    loop = SimLoop()  # type: ignore[abstract]
    with patched():
        loop.run(story())
    loop.close()
    assert seen == list(range(51))


def test_the_patch_is_gone_afterwards() -> None:
    with patched():
        assert isinstance(_asyncio.CancelScope()._tasks, OrderedSet)
    assert not hasattr(_asyncio, "set")
    assert "set" not in vars(asyncio.tasks)


def test_all_tasks_are_those_of_the_loop() -> None:
    async def story() -> None:
        other, over = asyncio.create_task(asyncio.sleep(1)), asyncio.create_task(asyncio.sleep(0))
        await over
        assert asyncio.all_tasks() == {asyncio.current_task(), other}

    loop = SimLoop()  # type: ignore[abstract]
    with tasks_kept_by(loop):
        loop.run(story())
    loop.close()
    # Afterwards asyncio keeps them again.
    asyncio.run(story())


@pytest.mark.parametrize("other", [object, type("CancelScope", (), {"_tasks": set(), "_child_scopes": set()})])
def test_another_anyio_is_refused(other: type, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_asyncio, "CancelScope", other)
    with pytest.raises(PatchMissed, match="Install the version of anyio"), patched():
        pass
    assert not hasattr(_asyncio, "set")
