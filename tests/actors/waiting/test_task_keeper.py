"""A keeper has a group of tasks while it runs, and none before and after."""

import anyio
import anyio.lowlevel
import pytest

from perdure.actors.waiting.task_keeper import TaskKeeper

pytestmark = pytest.mark.anyio


async def test_tasks_are_begun_while_it_runs_and_end_with_it() -> None:
    keeper = TaskKeeper()
    assert keeper._tasks is None
    ended = []

    async def work() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            ended.append(keeper._tasks)

    async with anyio.create_task_group() as tasks:
        await tasks.start(keeper.run)
        assert keeper._tasks is not None
        keeper._tasks.start_soon(work)
        await anyio.lowlevel.checkpoint()
        tasks.cancel_scope.cancel()
    # What ends with it can begin nothing more.
    assert ended == [None]
    assert keeper._tasks is None
