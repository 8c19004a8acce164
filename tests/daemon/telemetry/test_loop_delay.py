"""The delay of the event loop is the largest lateness of a sleep, for half a minute."""

import time

import anyio

from perdure.daemon.telemetry.loop_delay import LoopDelay


def test_a_loop_that_was_blocked_is_late_by_as_much() -> None:
    delay = LoopDelay()

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(delay.run)
            await anyio.sleep(0.01)
            assert delay.largest_s() == 0
            time.sleep(0.8)  # noqa: ASYNC251  as user code does that blocks the loop
            while not delay.largest_s():
                await anyio.sleep(0.01)
            tasks.cancel_scope.cancel()

    anyio.run(main)
    assert delay.largest_s() > 0.2
