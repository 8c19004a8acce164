"""A lane performs a number of jobs at once, oldest first, with few tasks, and each as if it were alone."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from contextvars import ContextVar
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from perdure.runtime.activities.lane import Lane, Steps

pytestmark = pytest.mark.anyio

COLOUR: ContextVar[str] = ContextVar("COLOUR", default="none")


@asynccontextmanager
async def lane_of(
    perform: Callable[[Any], Coroutine[Any, Any, None]], limit: int = 100, **more: Any
) -> AsyncIterator[Lane[Any]]:
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            yield Lane(tasks, limit, perform, ended=not_ended, **more)


async def not_ended() -> bool:
    return False


async def test_jobs_that_wait_for_nothing_share_a_task_and_keep_their_order() -> None:
    done: list[int] = []
    tasks: set[int] = set()

    async def perform(job: int) -> None:
        done.append(job)
        tasks.add(anyio.get_current_task().id)

    async with lane_of(perform) as lane:
        lane.SLICE_S = 60  # however slow the machine is
        for job in range(50):
            lane.add("i", job)
    assert done == list(range(50))
    assert len(tasks) == 1


async def test_a_job_that_waits_does_not_keep_the_others_waiting() -> None:
    gate = anyio.Event()
    done: list[int] = []

    async def perform(job: int) -> None:
        if job % 2 == 0:
            await gate.wait()
        done.append(job)

    async with lane_of(perform) as lane:
        for job in range(6):
            lane.add("i", job)
        while len(done) < 3:
            await anyio.lowlevel.checkpoint()
        assert done == [1, 3, 5]
        gate.set()
    assert sorted(done) == list(range(6))


async def test_no_more_than_the_limit_are_under_way_and_the_rest_follow() -> None:
    running = peak = 0
    done: list[int] = []

    async def perform(job: int) -> None:
        nonlocal running, peak
        running += 1
        peak = max(peak, running)
        for _ in range(10):
            await anyio.lowlevel.checkpoint()
        running -= 1
        done.append(job)

    async with lane_of(perform, limit=3) as lane:
        for job in range(20):
            lane.add("i", job)
    assert peak == 3
    assert sorted(done) == list(range(20))


async def test_what_a_job_sets_in_its_context_is_not_seen_by_the_next_and_is_kept_while_it_waits() -> None:
    seen: list[str] = []

    async def perform(job: int) -> None:
        seen.append(COLOUR.get())
        COLOUR.set(f"red {job}")
        if job == 2:
            await anyio.lowlevel.checkpoint()
            seen.append(COLOUR.get())

    async with lane_of(perform) as lane:
        for job in range(4):
            lane.add("i", job)
    assert sorted(seen) == ["none", "none", "none", "none", "red 2"]


async def test_cancellation_reaches_a_job_that_waits_and_begins_no_others() -> None:
    begun: list[int] = []
    ended: list[str] = []

    async def perform(job: int) -> None:
        begun.append(job)
        try:
            await anyio.sleep_forever()
        finally:
            ended.append("cancelled")

    async def by_us() -> bool:
        return tasks.cancel_scope.cancel_called

    async with anyio.create_task_group() as tasks:
        lane = Lane(tasks, 1, perform, ended=by_us)
        lane.add("i", 1)
        lane.add("i", 2)
        while not begun:
            await anyio.lowlevel.checkpoint()
        tasks.cancel_scope.cancel()
        lane.add("i", 3)
    assert begun == [1]
    assert ended == ["cancelled"]


async def test_an_error_that_a_job_catches_while_it_waits_is_its_own() -> None:
    caught: list[bool] = []

    async def perform(job: int) -> None:
        with anyio.move_on_after(0.001) as scope:
            await anyio.sleep_forever()
        caught.append(scope.cancelled_caught)

    async with lane_of(perform) as lane:
        lane.add("i", 1)
        lane.add("i", 2)
    assert caught == [True, True]


async def test_jobs_that_never_wait_still_let_others_run() -> None:
    ran = anyio.Event()

    async def perform(job: int) -> None:
        if not ran.is_set():
            lane.add("i", job + 1)

    async with lane_of(perform) as lane:
        lane.SLICE_S = 0
        lane.add("i", 0)
        await anyio.lowlevel.checkpoint()
        await anyio.lowlevel.checkpoint()
        ran.set()


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_job_that_cancels_its_own_task_cancels_no_other_job() -> None:
    done: list[int] = []

    async def perform(job: int) -> None:
        task = asyncio.current_task()
        assert task is not None
        if job % 3 == 0:
            # Given one job that asks for it and ends, and one that is cancelled while it waits,
            task.cancel()
        if job % 3 == 1:
            task.cancel()
            await anyio.sleep_forever()
        if job % 2 == 0:
            await anyio.lowlevel.checkpoint()
        done.append(job)

    # when there are others behind them,
    async with lane_of(perform, limit=2) as lane:
        for job in range(12):
            lane.add("i", job)
    # then all of those are performed.
    assert {2, 3, 5, 8, 9, 11} <= set(done)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_scope_that_a_job_leaves_open_and_cancels_ends_no_other_job() -> None:
    done: list[int] = []

    async def perform(job: int) -> None:
        if job == 0:
            scope = anyio.CancelScope()
            scope.__enter__()
            scope.cancel()
            await anyio.sleep_forever()
        await anyio.lowlevel.checkpoint()
        done.append(job)

    async with lane_of(perform, limit=1) as lane:
        for job in range(3):
            lane.add("i", job)
    assert done == [1, 2]


async def test_instances_are_taken_in_turn() -> None:
    done: list[str] = []

    async def perform(job: str) -> None:
        done.append(job)
        await anyio.lowlevel.checkpoint()

    async with lane_of(perform, limit=1) as lane:
        for job in ("a1", "a2", "a3", "b1", "c1", "b2"):
            lane.add(job[0], job)
    assert done == ["a1", "b1", "c1", "a2", "b2", "a3"]


async def test_a_job_that_is_withdrawn_before_it_begins_is_not_performed() -> None:
    gate = anyio.Event()
    done: list[int] = []

    async def perform(job: int) -> None:
        await gate.wait()
        done.append(job)

    async with lane_of(perform, limit=1) as lane:
        for job in range(4):
            lane.add("i", job)
        while not lane.has_begun(0):
            await anyio.lowlevel.checkpoint()
        lane.withdraw("i", {0, 1, 3})
        gate.set()
    assert done == [0, 2]


async def test_a_job_that_is_cancelled_gives_its_place_to_the_next_and_no_other_is_harmed() -> None:
    gate = anyio.Event()
    ended: list[str] = []

    async def perform(job: str) -> None:
        try:
            await gate.wait()
            ended.append(f"{job} done")
        except anyio.get_cancelled_exc_class():
            ended.append(f"{job} cancelled")
            raise

    async with lane_of(perform, limit=2) as lane:
        for job in ("a", "b", "c"):
            lane.add(job, job)
        while not lane.has_begun("b"):
            await anyio.lowlevel.checkpoint()
        lane.cancel("a")
        lane.cancel("c")  # it waits, and stays in the lane
        while not lane.has_begun("c"):
            await anyio.lowlevel.checkpoint()
        gate.set()
    assert sorted(ended) == ["a cancelled", "b done", "c done"]


async def test_a_job_that_catches_its_cancellation_for_ever_is_left_behind() -> None:
    done: list[str] = []
    left_behind: list[str] = []
    waits = 0

    async def perform(job: str) -> None:
        nonlocal waits
        while job == "deaf":
            waits += 1
            with suppress(anyio.get_cancelled_exc_class()):
                await anyio.sleep_forever()
        done.append(job)

    async with lane_of(perform, limit=1, left_behind=left_behind.append) as lane:
        lane.add("i", "deaf")
        lane.add("j", "next")
        while not lane.has_begun("deaf"):
            await anyio.lowlevel.checkpoint()
        lane.cancel("deaf")
    assert done == ["next"]
    assert waits <= Steps.WAITS_MAX
    assert left_behind == ["deaf"]


async def test_a_cancelled_job_may_put_things_in_order() -> None:
    put: list[int] = []

    async def perform(job: str) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                for each in range(3):
                    await anyio.lowlevel.checkpoint()
                    put.append(each)

    async with lane_of(perform) as lane:
        lane.add("i", "job")
        while not lane.has_begun("job"):
            await anyio.lowlevel.checkpoint()
        lane.cancel("job")
    assert put == [0, 1, 2]


async def test_timeouts_of_a_job_are_no_cancellation_of_it() -> None:
    rounds = 0

    async def perform(job: str) -> None:
        nonlocal rounds
        for _ in range(Steps.WAITS_MAX + 10):
            with anyio.move_on_after(0):
                await anyio.sleep_forever()
            rounds += 1

    async with lane_of(perform) as lane:
        lane.add("i", "job")
    assert rounds == Steps.WAITS_MAX + 10


@pytest.mark.parametrize(("abandoned", "room"), [(0, 3), (1, 3), (3, 3), (4, 2), (5, 1), (6, 0)])
async def test_abandoned_work_takes_places_beyond_the_limit_first(abandoned: int, room: int) -> None:
    running = 0
    gate = anyio.Event()

    async def perform(job: int) -> None:
        nonlocal running
        running += 1
        await gate.wait()

    async with lane_of(perform, limit=3) as lane:
        lane.give_room(abandoned)
        for job in range(5):
            lane.add("i", job)
        await anyio.wait_all_tasks_blocked()
        assert running == room
        lane.give_room(0)
        await anyio.wait_all_tasks_blocked()
        assert running == 3
        gate.set()
    assert running == 5
