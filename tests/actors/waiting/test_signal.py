"""A signal wakes its waiter once for any number of raises."""

import math

import anyio
import anyio.lowlevel
import pytest

from perdure.actors.waiting.signal import Signal

pytestmark = pytest.mark.anyio


async def test_raises_before_the_wait_wake_it_once() -> None:
    signal = Signal()
    signal.set()
    signal.set()
    await signal.wait()
    with anyio.move_on_after(0.001) as scope:
        await signal.wait()
    assert scope.cancelled_caught


async def test_waiting_with_a_limit_ends_without_a_raise() -> None:
    signal = Signal()
    await signal.wait_for(0.001)
    signal.set()
    with anyio.fail_after(5):
        await signal.wait_for(60)


async def test_a_wait_with_a_limit_may_be_cancelled_and_begun_anew() -> None:
    signal = Signal()
    with anyio.move_on_after(0.001) as scope:
        await signal.wait_for(60)
    assert scope.cancelled_caught
    signal.set()
    with anyio.fail_after(5):
        await signal.wait_for(math.inf)


async def test_a_raise_ends_a_wait_with_a_limit_at_once() -> None:
    signal = Signal()

    async def wait() -> None:
        await signal.wait_for(60)
        await signal.wait_for(0)
        ended.set()

    ended = anyio.Event()
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait)
            await anyio.lowlevel.checkpoint()
            signal.set()
            await ended.wait()
