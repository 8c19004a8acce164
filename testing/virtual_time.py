"""Virtual time for tests: days pass in milliseconds, and no result depends on the machine's speed.

    def test_an_order_expires_after_three_days() -> None:
        async def story() -> None:
            async with Engine(app, data=":memory:", clock=LoopClock()) as engine:
                ...
        run_virtually(story)

The rule: time moves only while all tasks wait, and then to the moment at
which the first of them is due.

A story runs on asyncio, on an event loop whose time is virtual (`testing/simulation/loop.py`), or on trio, whose clock
can be set. Threads do not wait in virtual time, and that loop has no sockets, signals and processes: the activities of
such a test are `async def`, and the store is in memory.
"""

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from contextvars import Context
from typing import Any, Literal, TypeVar

import anyio

from ..actors.waiting.own_task import name_library
from .simulation.loop import SimHandle, SimLoop, Stuck
from .simulation.patches import patched

T = TypeVar("T")

NEW_YEAR_2026_US = 1_767_225_600_000_000

logger = logging.getLogger(__name__)


class LoopClock:
    """Clocks that follow the event loop's, virtual or not. `step` sets the wall clock back or forward.

    Args:
        start_us: The date at the first call; Unix time, microseconds.
        may_be_set: Whether the test sets it with `step`. An engine looks at such a clock each second, so that a month
            of virtual time takes long.
    """

    def __init__(self, start_us: int = NEW_YEAR_2026_US, *, may_be_set: bool = False) -> None:
        self._start_us = start_us
        self.may_be_set = may_be_set
        self._began_s: float | None = None

    def now_us(self) -> int:
        now_s = anyio.current_time()
        if self._began_s is None:
            self._began_s = now_s
        return self._start_us + round((now_s - self._began_s) * 1e6)

    def monotonic_us(self) -> int:
        return round(anyio.current_time() * 1e6)

    def step(self, seconds: float) -> None:
        """Set the wall clock forward; back, if `seconds` is negative. The monotonic clock does not notice."""
        assert self.may_be_set, "LoopClock(may_be_set=True) makes a clock that can be set"
        self._start_us += round(seconds * 1e6)


class ThreadedLoop(SimLoop):
    """A loop of virtual time that threads may call. The time of such a call depends on the machine."""

    # How long it waits for a thread, in real seconds, when nothing else could happen.
    PATIENCE_S = 10.0

    def __init__(self) -> None:
        super().__init__()
        self._called = threading.Semaphore(0)
        self._threads_before = set(threading.enumerate())

    def call_soon_threadsafe(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> SimHandle:
        """Call a function in a step of the loop, from any thread."""
        handle = self.call_soon(callback, *args, context=context)
        self._called.release()
        return handle

    def wait_for_outsiders(self) -> bool:
        # Every call is counted, and calls that came while there was something to do are counted off first.
        others = set(threading.enumerate()) - self._threads_before
        while self._called.acquire(timeout=self.PATIENCE_S if others else 0.0):
            if self._ready:
                return True
        return False


def run_virtually(story: Callable[[], Awaitable[T]], *, backend: Literal["asyncio", "trio"] = "asyncio") -> T:
    """Run an async function in virtual time, and return its result.

    Args:
        backend: `asyncio` or `trio`. trio has to be installed.

    Raises:
        Stuck: On asyncio: nothing is left that could happen, and the story waits. On trio the test does not end.
        BaseException: The error of the story.
    """
    return _on_trio(story) if backend == "trio" else _on_asyncio(story)


def _on_asyncio(story: Callable[[], Awaitable[T]]) -> T:
    loop = ThreadedLoop()  # type: ignore[abstract]  # without sockets, signals and processes
    with patched():
        try:
            return loop.run(_to_its_end(loop, story))
        except Stuck:
            with suppress(Stuck):
                loop.run(_cancel_all())
            raise
        finally:
            loop.close()
            for error in loop.errors:  # asyncio logs them, too
                logger.error("%s", error.get("message"), exc_info=error.get("exception"))


async def _to_its_end(loop: SimLoop, story: Callable[[], Awaitable[T]]) -> T:
    """Run a story, and then end the tasks and the generators that it has left, as `asyncio.run` does."""
    name_library()
    # In a task of its own: anyio's threads end with the task that they were begun in, a round of the loop later.
    task = asyncio.ensure_future(story())
    try:
        await asyncio.wait([task])
    finally:
        await _cancel_all()
        await loop.generators.close_all()
    return task.result()


async def _cancel_all() -> None:
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for each in left:
        each.cancel()
    await asyncio.gather(*left, return_exceptions=True)


def _on_trio(story: Callable[[], Awaitable[T]]) -> T:
    # Late, because trio is not a dependency.
    import trio.testing  # noqa: PLC0415

    return trio.run(story, clock=trio.testing.MockClock(autojump_threshold=0))
