"""An async generator that code leaves open cleans up in the loop, in the host that has left it, and before the end."""

import asyncio
import sys
from collections.abc import AsyncIterator

import pytest

from perdure.testing.simulation.loop import SimLoop

pytestmark = pytest.mark.filterwarnings("error")


async def pages(seen: list[object], name: str = "page") -> AsyncIterator[int]:
    try:
        for number in range(9):
            yield number
    finally:
        seen.append(f"{name} is left")
        await asyncio.sleep(1)
        seen.append(f"{name} is closed after {asyncio.get_running_loop().time():.0f} s")


async def read_one(seen: list[object]) -> None:
    async for _ in pages(seen):
        break


def test_a_generator_that_is_left_may_wait_while_it_cleans_up() -> None:
    seen: list[object] = []

    async def story() -> None:
        await read_one(seen)
        await asyncio.sleep(2)

    loop = SimLoop()  # type: ignore[abstract]
    loop.run(story())
    loop.close()
    assert seen == ["page is left", "page is closed after 1 s"]
    # asyncio's hooks are the thread's own again.
    assert sys.get_asyncgen_hooks() == (None, None)


def test_a_generator_of_a_host_that_was_killed_does_not_clean_up() -> None:
    seen: list[object] = []

    async def story() -> None:
        loop.create_task(read_one(seen), context=loop.in_life(1))
        loop.call_soon(loop.dead.add, 1)  # behind the step in which the generator was left
        await asyncio.sleep(2)
        assert not seen

    loop = SimLoop()  # type: ignore[abstract]
    loop.run(story())
    loop.close()
    assert not seen


def test_a_generator_that_is_left_at_the_end_of_the_loop_cleans_up_until_it_waits() -> None:
    seen: list[object] = []

    async def read_all() -> None:
        async for _ in pages(seen):
            await asyncio.sleep(1_000)

    async def story() -> None:
        loop.create_task(read_all())
        await asyncio.sleep(1)

    loop = SimLoop()  # type: ignore[abstract]
    loop.run(story())
    loop.close()
    assert seen == ["page is left"]


def test_all_generators_are_closed_in_the_order_of_their_beginning() -> None:
    seen: list[object] = []

    async def story() -> None:
        kept = [pages(seen, name) for name in "abc"]
        for generator in kept:
            await anext(generator)
        del kept[1]
        await asyncio.sleep(2)
        await loop.generators.close_all()

    loop = SimLoop()  # type: ignore[abstract]
    loop.run(story())
    loop.close()
    assert [line for line in seen if str(line).endswith("left")] == ["b is left", "a is left", "c is left"]
    assert seen[-1] == "c is closed after 4 s"
