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
    """Clocks that follow the event loop's, virtual or not. `step` sets the wall clock back or forward.

    Args:
        start_us: The date at the first call; Unix time, microseconds.
        may_be_set: Whether the test sets it with `step`. An engine looks at such a clock each second, and a month of
            virtual time is not over in a moment.
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


def run_virtually(story: Callable[[], Awaitable[T]]) -> T:
    """Run an async function on trio, in virtual time, and return its result."""
    # Late, because trio is not a dependency: only tests in virtual time need it.
    import trio.testing  # noqa: PLC0415

    return trio.run(story, clock=trio.testing.MockClock(autojump_threshold=0))
