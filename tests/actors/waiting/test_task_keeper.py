"""A keeper has a group of tasks while it runs, and none before and after."""

import anyio
import pytest

from perdure.actors.waiting.task_keeper import TaskKeeper

pytestmark = pytest.mark.anyio


async def test_tasks_are_begun_while_it_runs_and_end_with_it() -> None:
    keeper = TaskKeeper()
    assert keeper._tasks is None
    begun, ended = anyio.Event(), anyio.Event()

    async def work() -> None:
        begun.set()
        try:
            await anyio.sleep_forever()
        finally:
            ended.set()

    async with anyio.create_task_group() as tasks:
        await tasks.start(keeper.run)
        assert keeper._tasks is not None
        keeper._tasks.start_soon(work)
        await begun.wait()
        tasks.cancel_scope.cancel()
    assert ended.is_set()
    # Then no more tasks can be begun.
    assert keeper._tasks is None
