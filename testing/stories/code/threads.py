"""Threads that the user's code begins itself go to the workshop of the world; and the log of the engine is not written.

The rule: `asyncio.to_thread` and `anyio.to_thread.run_sync` are simulated, because they are waited for.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import anyio.to_thread

from ...simulation.world import SimWorld
from .senses import Senses
from .switch import Switch


def threads_on_loop(world: SimWorld) -> None:
    """Make a world's workshop the executor of its loop, which `asyncio.to_thread` uses."""

    def run_in_executor(executor: Any, function: Callable[..., Any], *given: Any) -> Any:
        return world.workshop.begin(partial(function, *given))[1]

    loop: Any = world.loop
    loop.run_in_executor = run_in_executor


def thread_switches(senses: Senses, scopes: Iterable[dict[str, Any]]) -> list[Switch]:
    """The names to replace for `anyio.to_thread.run_sync`, with their substitutes.

    Args:
        scopes: The globals of the user's own modules.
    """
    real = anyio.to_thread.run_sync

    async def run_sync(function: Callable[..., Any], *given: Any, **named: Any) -> Any:
        world: Any = senses.here
        if world is None:
            return await real(function, *given, **named)
        return await world.workshop.begin(partial(function, *given))[1]

    found = [Switch(anyio.to_thread, "run_sync", run_sync)]
    for scope in scopes:
        found += [Switch(scope, name, run_sync) for name, value in list(scope.items()) if value is real]
    return found


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the engine from filling the log of a test with thousands of faults, until the block ends.

    And asyncio, which tells of each task that was left by a thread of a host that was killed.
    """
    before = [(logger, logger.level) for logger in map(logging.getLogger, ("perdure", "asyncio"))]
    for logger, _ in before:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for logger, level in before:
            logger.setLevel(level)
