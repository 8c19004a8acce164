"""The workshop of the operating system has processes, and threads that continue without a waiter."""

import threading

import anyio
import pytest

from perdure.runtime.activities.process_pool import ProcessPool
from perdure.runtime.activities.workshop import SystemWorkshop

pytestmark = pytest.mark.anyio


async def test_a_function_has_a_thread_of_its_own_from_which_it_reaches_the_loop() -> None:
    workshop, seen = SystemWorkshop(), list[int]()

    def call() -> int:
        workshop.in_loop(seen.append, threading.get_ident())
        return threading.get_ident()

    inside = await workshop.in_thread(call, anyio.CapacityLimiter(1))
    assert seen == [inside]
    assert inside != threading.get_ident()


async def test_a_call_that_is_cancelled_goes_on() -> None:
    begun, go_on, ended = threading.Event(), threading.Event(), threading.Event()

    def call() -> None:
        begun.set()
        assert go_on.wait(10)
        ended.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(SystemWorkshop().in_thread, call, anyio.CapacityLimiter(1))
        assert await anyio.to_thread.run_sync(begun.wait, 10)
        tasks.cancel_scope.cancel()
    go_on.set()
    assert await anyio.to_thread.run_sync(ended.wait, 10)


def test_the_loop_is_not_reached_from_elsewhere() -> None:
    with pytest.raises(RuntimeError):
        SystemWorkshop().in_loop(print)


async def test_processes_are_a_pool() -> None:
    async with anyio.create_task_group() as tasks:
        assert isinstance(SystemWorkshop().processes(tasks), ProcessPool)
