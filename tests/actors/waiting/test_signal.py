"""A signal wakes its waiter once for any number of raises."""

import anyio
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
