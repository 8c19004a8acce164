"""A task of Perdure in which other code has run is repaired: cancellations are taken back, scopes are closed."""

import asyncio
import math

import anyio
import anyio.lowlevel
import pytest

from perdure.actors.waiting.cancellation import LentTask, let_cancellation_spread

pytestmark = pytest.mark.anyio

on_asyncio = pytest.mark.parametrize("anyio_backend", ["asyncio"])


async def test_an_untouched_task_is_as_it_was() -> None:
    lent = LentTask()
    assert not lent.touched
    await lent.put_right()
    with anyio.fail_after(5):
        await anyio.lowlevel.checkpoint()


@on_asyncio
async def test_a_request_to_cancel_the_task_is_taken_back() -> None:
    # Given a task that was cancelled from outside of its scopes,
    lent = LentTask()
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    task.cancel()
    assert lent.touched
    # when it is repaired, then it can wait again.
    await lent.put_right()
    assert not lent.touched
    await anyio.lowlevel.checkpoint()


@on_asyncio
async def test_scopes_that_were_left_open_are_closed() -> None:
    lent = LentTask()
    anyio.move_on_after(1_000).__enter__()
    inner = anyio.CancelScope()
    inner.__enter__()
    inner.cancel()
    await lent.put_right()
    assert anyio.current_effective_deadline() == math.inf
    await anyio.lowlevel.checkpoint()


async def test_a_task_that_is_cancelled_learns_whether_the_others_are() -> None:
    ended = False
    told: list[bool] = []

    async def sentinel() -> None:
        nonlocal ended
        try:
            await anyio.sleep_forever()
        finally:
            ended = True

    async def cancelled() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            await let_cancellation_spread()
            told.append(ended)

    for order in ((sentinel, cancelled), (cancelled, sentinel)):
        ended = False
        async with anyio.create_task_group() as tasks:
            for function in order:
                tasks.start_soon(function)
            await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()
    assert told == [True, True]
