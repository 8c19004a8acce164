"""The grace of a stop is one budget, which begins when the daemon is told to stop."""

import anyio
import anyio.lowlevel

from perdure.daemon.process.grace import Grace


def test_what_one_part_has_used_the_next_has_not() -> None:
    now_s = 100.0
    grace = Grace(10.0, lambda: now_s)
    now_s = 200.0
    assert grace.left_s() == 10.0
    grace.begin()
    now_s = 204.0
    grace.begin()
    assert grace.left_s() == 6.0
    now_s = 300.0
    assert grace.left_s() == 0.0


def test_it_begins_when_the_daemon_is_told() -> None:
    async def main() -> None:
        now_s, told = 0.0, anyio.Event()
        grace = Grace(10.0, lambda: now_s)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(grace.begin_with, told)
            await anyio.wait_all_tasks_blocked()
            now_s = 50.0
            told.set()
            await anyio.wait_all_tasks_blocked()
            now_s = 53.0
            assert grace.left_s() == 7.0

    anyio.run(main)
