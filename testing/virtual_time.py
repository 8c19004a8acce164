"""Virtual time for tests: days pass in milliseconds, and no result depends on the machine's speed.

    def test_an_order_expires_after_three_days() -> None:
        async def story() -> None:
            async with Engine(app, data=":memory:", clock=LoopClock()) as engine:
                ...
        run_virtually(story)

The one law: time moves only while all tasks wait, and then to the moment at
which the first of them is due.

It needs trio, whose clock can be set. Threads do not wait in virtual time, so the
activities of such a test are `async def`, and the store is in memory.
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio

T = TypeVar("T")

NEW_YEAR_2026_US = 1_767_225_600_000_000


class LoopClock:
    """A wall clock that follows the event loop's, virtual or not.

    Args:
        start_us: The date at the first call; Unix time, microseconds.
    """

    def __init__(self, start_us: int = NEW_YEAR_2026_US) -> None:
        self._start_us = start_us
        self._began_s: float | None = None

    def now_us(self) -> int:
        now_s = anyio.current_time()
        if self._began_s is None:
            self._began_s = now_s
        return self._start_us + round((now_s - self._began_s) * 1e6)


def run_virtually(story: Callable[[], Awaitable[T]]) -> T:
    """Run an async function on trio, in virtual time, and return its result."""
    # Late, because trio is not a dependency: only tests in virtual time need it.
    import trio.testing  # noqa: PLC0415

    return trio.run(story, clock=trio.testing.MockClock(autojump_threshold=0))
