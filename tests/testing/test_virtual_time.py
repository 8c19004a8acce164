"""Virtual time passes when everybody waits, and the clock follows it."""

import anyio

from perdure.testing.virtual_time import NEW_YEAR_2026_US, LoopClock, run_virtually


def test_a_year_passes_at_once_and_the_clock_shows_it() -> None:
    async def story() -> int:
        clock = LoopClock()
        assert clock.now_us() == NEW_YEAR_2026_US
        await anyio.sleep(365 * 24 * 3600)
        return clock.now_us() - NEW_YEAR_2026_US

    assert run_virtually(story) == 365 * 24 * 3600 * 1_000_000


def test_a_clock_can_begin_at_any_date() -> None:
    async def story() -> int:
        return LoopClock(start_us=5).now_us()

    assert run_virtually(story) == 5


def test_two_runs_of_one_story_come_out_the_same() -> None:
    async def story() -> list[int]:
        clock = LoopClock()
        seen: list[int] = []

        async def note(after_s: float) -> None:
            await anyio.sleep(after_s)
            seen.append(clock.now_us())

        async with anyio.create_task_group() as tasks:
            for after_s in (3.0, 1.0, 2.0):
                tasks.start_soon(note, after_s)
        return seen

    assert run_virtually(story) == run_virtually(story) == sorted(run_virtually(story))
