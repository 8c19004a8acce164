"""Virtual time passes when all tasks wait, and the clock follows it."""

import asyncio
import threading
from collections.abc import AsyncIterator

import anyio
import anyio.to_thread
import pytest

from perdure.testing.simulation.loop import Stuck
from perdure.testing.virtual_time import NEW_YEAR_2026_US, LoopClock, ThreadedLoop, run_virtually

both = pytest.mark.usefixtures("virtual_backend")


@both
def test_a_year_passes_at_once_and_the_clock_shows_it() -> None:
    async def story() -> int:
        clock = LoopClock()
        assert clock.now_us() == NEW_YEAR_2026_US
        await anyio.sleep(365 * 24 * 3600)
        return clock.now_us() - NEW_YEAR_2026_US

    assert run_virtually(story) == 365 * 24 * 3600 * 1_000_000


@both
def test_a_clock_can_begin_at_any_date() -> None:
    async def story() -> int:
        return LoopClock(start_us=5).now_us()

    assert run_virtually(story) == 5


@both
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


@both
def test_a_thread_may_answer(virtual_backend: str) -> None:
    async def story() -> str:
        return await anyio.to_thread.run_sync(lambda: "done")

    before = set(threading.enumerate())
    assert run_virtually(story) == "done"
    if virtual_backend == "asyncio":  # trio's wait for other work for a while
        for thread in set(threading.enumerate()) - before:
            thread.join(5)
            assert not thread.is_alive()


@both
def test_an_error_of_a_story_comes_out() -> None:
    async def story() -> None:
        await anyio.sleep(1)
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        run_virtually(story)


def test_a_wait_that_nothing_can_end_is_stuck(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        await anyio.sleep_forever()

    with pytest.raises(Stuck):
        run_virtually(story)

    cleaned_up: list[str] = []

    async def with_a_thread() -> None:
        await anyio.to_thread.run_sync(int)
        try:
            await anyio.sleep_forever()
        finally:
            cleaned_up.append("then")

    monkeypatch.setattr(ThreadedLoop, "PATIENCE_S", 0.01)
    with pytest.raises(Stuck):
        run_virtually(with_a_thread)
    assert cleaned_up == ["then"]


def test_tasks_that_a_story_leaves_behind_are_cancelled() -> None:
    ended: list[str] = []

    async def forever() -> None:
        try:
            await asyncio.sleep(1_000)
        finally:
            await asyncio.sleep(1)
            ended.append("cleaned up")

    async def story() -> None:
        tasks.append(asyncio.create_task(forever()))
        await asyncio.sleep(1)

    tasks: list[asyncio.Task[None]] = []
    run_virtually(story)
    assert ended == ["cleaned up"]


@both
@pytest.mark.filterwarnings("error")
def test_a_generator_that_a_story_leaves_open_is_closed_in_the_loop() -> None:
    ended: list[str] = []

    async def numbers() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            with anyio.CancelScope(shield=True):  # as trio cancels it
                await anyio.sleep(1)
            ended.append("cleaned up")

    kept = numbers()

    async def story() -> None:
        await anext(kept)

    run_virtually(story)
    assert ended == ["cleaned up"]


def test_an_error_without_a_waiter_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        asyncio.get_running_loop().call_soon(int, "x")
        await asyncio.sleep(1)

    run_virtually(story)
    assert "ValueError" in caplog.text


def test_inside_of_an_event_loop_it_is_refused() -> None:
    async def story() -> None:
        with pytest.raises(RuntimeError, match="an event loop runs already"):
            run_virtually(story)

    asyncio.run(story())
