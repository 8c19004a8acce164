"""Code that runs in a turn finds no task to cancel."""

import asyncio

import anyio
import pytest

from perdure.actors.waiting.taskless import no_current_task


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_there_is_no_current_task_inside_and_the_same_one_afterwards() -> None:
    task = asyncio.current_task()
    with no_current_task():
        assert asyncio.current_task() is None
        with pytest.raises(RuntimeError, match="inside a task"):
            await asyncio.timeout(1).__aenter__()
    assert asyncio.current_task() is task
    await anyio.lowlevel.checkpoint()


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_an_error_inside_comes_out_and_the_task_is_back() -> None:
    with pytest.raises(KeyError), no_current_task():
        raise KeyError
    await anyio.lowlevel.checkpoint()
    assert asyncio.current_task() is not None


def test_without_an_event_loop_nothing_happens() -> None:
    with no_current_task():
        pass


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_on_trio_nothing_happens() -> None:
    with no_current_task():
        pass
    await anyio.lowlevel.checkpoint()
