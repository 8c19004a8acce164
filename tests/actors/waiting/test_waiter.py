"""A waiter lets one task continue, whether the wait or the wake comes first."""

import anyio
import pytest

from perdure.actors.waiting.waiter import Waiter, new_waiter

# A waiter has another class on each backend, so both are measured (tests/support/coverage/own.py).
pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])]


async def test_who_waits_goes_on_when_woken() -> None:
    waiter = new_waiter()
    gone_on: list[int] = []

    async def wait() -> None:
        await waiter
        gone_on.append(1)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait)
        await anyio.wait_all_tasks_blocked()
        assert gone_on == []
        waiter.wake()
    assert gone_on == [1]


async def test_who_was_woken_before_does_not_wait() -> None:
    waiter = new_waiter()
    waiter.wake()
    waiter.wake()
    with anyio.fail_after(5):
        await waiter


async def test_waking_a_waiter_that_has_given_up_is_harmless() -> None:
    waiter: Waiter = new_waiter()
    with anyio.move_on_after(0.001) as scope:
        await waiter
    assert scope.cancelled_caught
    waiter.wake()
