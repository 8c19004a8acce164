"""A call in a thread returns what its function does, and is counted from its cancellation to its end."""

import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from perdure.runtime.activities.threads import Threads
from perdure.runtime.activities.workshop import SystemWorkshop

pytestmark = pytest.mark.anyio


class World:
    """Calls in threads, and the reported numbers of abandoned calls."""

    def __init__(self, limit: int = 2) -> None:
        self.told: list[int] = []
        self.threads = Threads(limit, self.told.append)
        self.gate = threading.Event()

    def hang(self) -> str:
        assert self.gate.wait(10)
        return "late"

    async def until(self, told: list[int]) -> None:
        with anyio.fail_after(5):
            while self.told != told:
                await anyio.sleep(0.001)

    @asynccontextmanager
    async def abandoning(self, count: int) -> AsyncIterator[None]:
        """Begin this number of calls that hang, and cancel them."""
        begun = threading.Semaphore(0)

        def hang() -> None:
            begun.release()
            self.hang()

        async with anyio.create_task_group() as tasks:
            for _ in range(count):
                tasks.start_soon(self.threads.call, hang, ())
            for _ in range(count):
                while not begun.acquire(blocking=False):
                    await anyio.sleep(0.001)
            tasks.cancel_scope.cancel()
        try:
            yield
        finally:
            self.gate.set()


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    yield world
    world.gate.set()


async def test_a_call_returns_the_result_or_raises_the_error_of_its_function(world: World) -> None:
    assert await world.threads.call(divmod, (7, 3)) == (2, 1)
    with pytest.raises(ZeroDivisionError):
        await world.threads.call(divmod, (7, 0))
    assert world.told == []


async def test_calls_that_are_cancelled_count_until_their_threads_end(world: World) -> None:
    async with world.abandoning(2):
        assert world.told == [1, 2]
    await world.until([1, 2, 1, 0])


async def test_as_many_calls_find_a_thread_beside_the_abandoned_ones(world: World) -> None:
    async with world.abandoning(2):
        results: list[Any] = []

        async def call() -> None:
            results.append(await world.threads.call(threading.get_ident, ()))

        with anyio.fail_after(5):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(call)
                tasks.start_soon(call)
        assert len(results) == 2


async def test_a_call_that_is_cancelled_before_it_begins_never_begins(world: World) -> None:
    calls: list[int] = []
    with anyio.CancelScope() as scope:
        scope.cancel()
        await world.threads.call(calls.append, (1,))
    await world.threads.call(int, ())  # everything that was handed over before has been seen
    assert (calls, world.told) == ([], [])


async def test_a_call_that_is_not_wanted_any_more_as_its_thread_begins_never_begins(world: World) -> None:
    calls: list[int] = []
    assert await world.threads.call(calls.append, (1,), lambda: False) is None
    await world.threads.call(calls.append, (2,), lambda: True)
    assert (calls, world.told) == ([2], [])


async def test_an_error_that_looks_like_a_cancellation_is_the_functions_own(world: World) -> None:
    cancelled = anyio.get_cancelled_exc_class()
    if cancelled.__module__.startswith("trio"):
        pytest.skip("trio's cannot be made")

    def raises() -> None:
        raise cancelled

    with pytest.raises(cancelled):
        await world.threads.call(raises, ())
    assert world.told == []


async def test_after_the_close_a_thread_that_ends_notifies_no_loop(world: World) -> None:
    async with world.abandoning(1):
        world.threads.close()
    await anyio.sleep(0.02)
    assert world.told == [1]


@pytest.mark.parametrize("ended", [lambda: None, lambda: 1 / 0], ids=["returns", "raises"])
async def test_an_abandoned_call_counts_no_more_however_it_ends(world: World, ended: Callable[[], Any]) -> None:
    begun = threading.Event()

    def hang() -> Any:
        begun.set()
        world.hang()
        return ended()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(world.threads.call, hang, ())
        while not begun.is_set():
            await anyio.sleep(0.001)
        tasks.cancel_scope.cancel()
    world.gate.set()
    await world.until([1, 0])


class FullWorkshop(SystemWorkshop):
    """A system that has no more threads for a while."""

    def __init__(self, refusals: int) -> None:
        super().__init__()
        self.refusals = refusals

    async def in_thread(self, function: Callable[[], Any], limiter: anyio.CapacityLimiter) -> Any:
        if self.refusals:
            self.refusals -= 1
            raise RuntimeError("can't start new thread")
        return await super().in_thread(function, limiter)


async def test_a_call_waits_for_a_thread_that_the_system_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a system that refuses a thread three times,
    monkeypatch.setattr(Threads, "PAUSE_S", 0.001)
    refused: list[RuntimeError] = []
    threads = Threads(2, lambda count: None, FullWorkshop(3), refused.append)
    # when a function is called, then it is called once, and each refusal is reported.
    calls: list[str] = []
    assert await threads.call(lambda: calls.append("called"), ()) is None
    assert calls == ["called"]
    assert [str(error) for error in refused] == ["can't start new thread"] * 3


async def test_an_error_that_looks_like_a_refused_thread_is_the_functions_own(world: World) -> None:
    calls: list[str] = []

    def fails() -> None:
        calls.append("called")
        raise RuntimeError("can't start new thread")

    with pytest.raises(RuntimeError, match="can't start new thread"):
        await world.threads.call(fails, ())
    assert calls == ["called"]


async def test_a_call_that_waits_for_a_thread_can_be_cancelled(world: World) -> None:
    threads = Threads(2, lambda count: None, FullWorkshop(1000))
    with anyio.move_on_after(0.01) as waited:
        await threads.call(lambda: None, ())
    assert waited.cancelled_caught
