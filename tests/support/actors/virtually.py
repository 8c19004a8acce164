"""Tests that are coroutine functions, in virtual time, on asyncio."""

from collections.abc import Awaitable, Callable
from functools import wraps

from perdure.testing.virtual_time import run_virtually


def virtually(test: Callable[[], Awaitable[None]]) -> Callable[[], None]:
    """Run a test in virtual time."""

    @wraps(test)
    def run() -> None:
        run_virtually(test)

    return run
