"""The loop takes one step at a time, lets virtual time jump, and takes none of a life that was killed."""

import asyncio
import gc
import weakref
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

import anyio
import pytest

from perdure.testing.simulation.loop import (
    COLLECTIONS_BETWEEN,
    HOST,
    LOOPS_BETWEEN,
    Livelock,
    SimHandle,
    SimLoop,
    StepOrder,
    Stuck,
    never,
)
from perdure.testing.simulation.patches import patched

T = TypeVar("T")


def run(story: Coroutine[Any, Any, T], loop: SimLoop | None = None) -> T:
    loop = loop or new_loop()
    try:
        return loop.run(story)
    finally:
        loop.close()


def new_loop(order: StepOrder | None = None) -> SimLoop:
    return SimLoop(order)  # type: ignore[abstract]


class Last:
    """Takes the newest step."""

    def choose(self, ready: Sequence[SimHandle]) -> int:
        return len(ready) - 1


def test_a_year_passes_at_once() -> None:
    async def story() -> float:
        await anyio.sleep(365 * 24 * 3600)
        return anyio.current_time()

    assert run(story()) == 365 * 24 * 3600


def test_timers_come_in_the_order_of_their_times_and_then_of_their_making() -> None:
    seen: list[str] = []

    async def story() -> None:
        loop = asyncio.get_running_loop()
        for when, name in ((2, "c"), (1, "a"), (1, "b")):
            loop.call_later(when, seen.append, name)
        loop.call_later(1.5, seen.append, "never").cancel()
        await asyncio.sleep(3)

    run(story())
    assert seen == ["a", "b", "c"]


@pytest.mark.parametrize(("order", "expected"), [(None, "abc"), (Last(), "cba")])
def test_tasks_run_in_the_order_that_is_chosen(order: StepOrder | None, expected: str) -> None:
    seen: list[str] = []

    async def note(name: str) -> None:
        seen.append(name)

    async def story() -> None:
        tasks = [asyncio.create_task(note(name)) for name in "abc"]
        await asyncio.wait(tasks)

    run(story(), new_loop(order))
    assert "".join(seen) == expected


def test_plain_callbacks_keep_their_order_whatever_is_chosen() -> None:
    seen: list[int] = []

    async def story() -> None:
        for number in range(5):
            asyncio.get_running_loop().call_soon(seen.append, number)
        await asyncio.sleep(1)

    run(story(), new_loop(Last()))
    assert seen == [0, 1, 2, 3, 4]


def test_a_wait_that_nothing_can_end_is_stuck() -> None:
    async def story() -> None:
        await never()

    with pytest.raises(Stuck, match="nothing is left that could happen"):
        run(story())


def test_no_step_and_no_finally_of_a_killed_life_runs() -> None:
    # Given a life that is in the middle of something, with tasks and timers of its own,
    seen: list[str] = []
    loop = new_loop()

    async def part(name: str) -> None:
        try:
            await anyio.sleep(1)
            seen.append(name)
        finally:
            seen.append(f"{name} cleaned up")

    async def life() -> None:
        asyncio.get_running_loop().call_later(0.5, seen.append, "timer")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(part, "a")
            tasks.start_soon(part, "b")

    async def story() -> None:
        task = loop.create_task(life(), context=loop.in_life(1))
        await asyncio.sleep(0.1)
        # when it is killed,
        loop.dead.add(1)
        await asyncio.sleep(10)
        assert not task.done()
        # then nothing of it happens any more.
        assert seen == []

    loop.run(story())
    assert seen == []
    loop.close()


def test_a_life_that_stands_still_goes_on_with_all_that_was_due() -> None:
    seen: list[float] = []
    loop = new_loop()

    async def life() -> None:
        for _ in range(3):
            await asyncio.sleep(1)
            seen.append(loop.time())

    async def story() -> None:
        loop.create_task(life(), context=loop.in_life(7))
        await asyncio.sleep(0.5)
        loop.hold(7)
        await asyncio.sleep(5)
        assert seen == []
        loop.go_on(7)
        await asyncio.sleep(5)

    run(story(), loop)
    assert seen == [5.5, 6.5, 7.5]


def test_what_a_life_begins_belongs_to_it() -> None:
    loop = new_loop()
    seen: list[int] = []

    async def inner() -> None:
        seen.append(HOST.get())

    async def life() -> None:
        await asyncio.create_task(inner())
        asyncio.get_running_loop().call_soon(lambda: seen.append(HOST.get()))

    async def story() -> None:
        seen.append(HOST.get())
        await loop.create_task(life(), context=loop.in_life(3))
        await asyncio.sleep(1)

    run(story(), loop)
    assert seen == [0, 3, 3]


def test_an_error_in_a_callback_is_kept() -> None:
    loop = new_loop()

    async def story() -> None:
        loop.call_soon(lambda: 1 / 0)
        await asyncio.sleep(1)

    run(story(), loop)
    assert isinstance(loop.errors[0]["exception"], ZeroDivisionError)


def test_tasks_that_have_not_begun_are_put_away_without_a_warning(recwarn: pytest.WarningsRecorder) -> None:
    # Given a killed life with a task that has had no step yet,
    loop = new_loop()

    async def life() -> None:
        async with anyio.create_task_group() as tasks:
            handle = tasks.start_soon(anyio.sleep, 1)
            loop.dead.add(1)
            kept.append(handle)
            await never()

    async def story() -> None:
        loop.create_task(life(), context=loop.in_life(1))
        await asyncio.sleep(1)

    kept: list[object] = []
    run(story(), loop)
    # when what still holds it lets it go,
    kept.clear()
    gc.collect()
    # then nothing warns that it was never awaited.
    assert not recwarn.list


def test_what_a_program_has_made_since_is_not_collected_again_before_each_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        await asyncio.sleep(1)

    run(story(), new_loop())
    # given a program that has grown much since its first loop, as a suite of thousands of tests does,
    monkeypatch.setattr("perdure.testing.simulation.loop.GROWN_OBJECTS", 20_000)
    grown = [[number] for number in range(30_000)]
    gc.collect()
    assert len(gc.get_objects(generation=2)) > 20_000
    # when loops run,
    for _ in range(2 * LOOPS_BETWEEN * COLLECTIONS_BETWEEN):
        run(story(), new_loop())
    # then the collector need not look at it any more.
    assert len(gc.get_objects(generation=2)) < 20_000
    assert len(grown) == 30_000


def test_what_has_outlived_its_loop_is_collected_a_few_loops_later() -> None:
    async def story() -> None:
        await asyncio.sleep(1)

    run(story(), new_loop())
    gc.collect()
    gc.disable()  # what the collector does by itself is no loop's doing
    try:
        # Given what is there when a loop ends,
        ring: list[object] = [Last()]
        ring.append(ring)
        seen = weakref.ref(ring[0])
        run(story(), new_loop())
        # when it is garbage, and loops run,
        del ring
        assert seen() is not None
        for _ in range(LOOPS_BETWEEN):
            run(story(), new_loop())
    finally:
        gc.enable()
    # then it is gone.
    assert seen() is None


def test_nothing_of_a_closed_loop_stays_in_anyio() -> None:
    from anyio._backends import _asyncio  # noqa: PLC0415

    async def forever() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(anyio.sleep_forever)

    async def story() -> None:
        loop.create_task(forever())
        await asyncio.sleep(1)

    before = len(_asyncio._task_states)
    loop = new_loop()
    with patched():
        run(story(), loop)
    assert len(_asyncio._task_states) == before
    assert loop.is_closed()


def test_what_follows_a_step_is_looked_at_behind_it_and_its_error_ends_the_run() -> None:
    seen: list[str] = []
    loop = new_loop()

    def look() -> None:
        seen.append("looked")
        raise ValueError("broken")

    async def story() -> None:
        loop.after_step = look
        seen.append("the step goes on")
        await asyncio.sleep(0)
        seen.append("never")

    with pytest.raises(ValueError, match="broken"):
        run(story(), loop)
    assert seen == ["the step goes on", "looked"]


def test_steps_take_their_time_and_some_of_them_longer() -> None:
    async def story(loop: SimLoop) -> float:
        for _ in range(10):
            await asyncio.sleep(0)
        return loop.time()

    usual, long = SimLoop(step_s=0.001), SimLoop(step_s=0.001)  # type: ignore[abstract]
    long.long_steps[5] = 1.0
    assert run(story(usual), usual) == pytest.approx(0.011)
    assert run(story(long), long) == pytest.approx(1.011)


def test_timers_of_a_life_are_late_and_those_of_the_world_are_not() -> None:
    loop = new_loop()
    loop.delay = lambda timer: SimHandle(timer.callback, timer.args, timer.context, timer.when_s + 0.5)
    seen: list[float] = []

    async def life() -> None:
        await asyncio.sleep(1)
        seen.append(loop.time())

    async def story() -> None:
        loop.create_task(life(), context=loop.in_life(1))
        await life()
        await asyncio.sleep(1)

    run(story(), loop)
    assert seen == [1.0, 1.5]


def test_each_step_is_shown_with_the_place_of_its_code() -> None:
    loop = new_loop()
    seen: list[tuple[int, str]] = []
    loop.on_step = lambda handle, ready, at, now_s: seen.append((handle.number, handle.where))

    async def inner() -> None:
        await asyncio.sleep(1)

    async def story() -> None:
        await inner()

    run(story(), loop)
    assert [number for number, _ in seen] == [1, 0, 1]
    assert [where.split(",")[0].split(".")[-1] for _, where in seen] == [
        "story",
        "_set_result_unless_cancelled",
        "sleep",
    ]


def test_a_fingerprint_is_that_of_the_steps() -> None:
    def fingerprint(steps: int) -> int:
        async def story() -> None:
            for _ in range(steps):
                await asyncio.sleep(0)

        loop = new_loop()
        run(story(), loop)
        return loop.fingerprint

    assert fingerprint(3) == fingerprint(3) != fingerprint(4)


def test_tasks_that_have_ended_are_forgotten() -> None:
    loop = new_loop()

    async def story() -> int:
        for _ in range(5_000):
            await asyncio.create_task(asyncio.sleep(0))
        return len(loop.tasks)

    assert run(story(), loop) < 2_500


async def _again() -> None:
    while True:
        await asyncio.sleep(0)


async def _by_timers() -> None:
    while True:
        waiting = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_later(0, waiting.set_result, None)
        await waiting


@pytest.mark.parametrize("who", [_again, _by_timers])
def test_steps_without_end_in_which_no_time_passes_are_told_with_who_takes_them(
    who: Callable[[], Coroutine[Any, Any, None]],
) -> None:
    loop = new_loop()
    loop.busy_steps_max = 1_000
    with pytest.raises(Livelock, match="1000 steps were taken, and there was always another one") as told:
        run(who(), loop)
    assert loop.time() == 0
    assert loop.steps == 1_001
    if who is _again:
        assert "Ready are: _again (at sleep, line " in str(told.value)


def test_any_number_of_steps_may_be_taken_if_time_passes_now_and_then() -> None:
    async def story() -> None:
        for _ in range(20):
            for _ in range(90):
                await asyncio.sleep(0)
            await asyncio.sleep(1)

    loop = new_loop()
    loop.busy_steps_max = 100
    run(story(), loop)
    assert loop.steps > 1_000


def test_a_loop_that_runs_is_not_closed() -> None:
    async def story() -> None:
        with pytest.raises(RuntimeError, match="Cannot close a running event loop"):
            asyncio.get_running_loop().close()
        await asyncio.sleep(1)

    assert run(story()) is None
