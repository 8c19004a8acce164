"""Code that is left unfinished: coroutines of tasks that are not taken further, and async generators that are not read
to their end.

The rule: code that is left while a loop runs ends in steps of the loop; code that is left when it is closed ends at
once.

`testing/simulation/loop.py` has one `LeftGenerators`, as asyncio's own loops have their hooks for generators.
"""

import asyncio
import inspect
import sys
from collections.abc import AsyncGenerator, Coroutine, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from typing import Any, TypeAlias
from weakref import ReferenceType, ref

AnyGenerator: TypeAlias = AsyncGenerator[Any, Any]


class LeftGenerators:
    """Closes the async generators that code leaves behind, each in a task of the loop.

    A generator is left when nothing refers to it any more, as after a `break`. Its cleanup is a step of the host whose
    code has left it: it may wait, and it does not happen if the host is dead.

    Args:
        loop: Where the tasks run.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._numbers = count()
        self._open: dict[int, ReferenceType[AnyGenerator]] = {}  # in the order of their beginning

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Watch the generators that begin in this thread until the block ends."""
        before = sys.get_asyncgen_hooks()
        sys.set_asyncgen_hooks(firstiter=self._begun, finalizer=self._left)
        try:
            yield
        finally:
            sys.set_asyncgen_hooks(*before)

    async def close_all(self) -> None:
        """Close all that have not ended, as `asyncio.run` does at its end."""
        for found in list(self._open.values()):
            if (generator := found()) is not None:
                with suppress(Exception):
                    await generator.aclose()

    def _begun(self, generator: AnyGenerator) -> None:
        number = next(self._numbers)
        self._open[number] = ref(generator, lambda _: self._open.pop(number, None))

    def _left(self, generator: AnyGenerator) -> None:
        """Called by the interpreter, in the place of the deletion."""
        if self._loop.is_closed():
            _close_now(generator)
        else:
            self._loop.call_soon_threadsafe(self._close, generator)

    def _close(self, generator: AnyGenerator) -> None:
        self._loop.create_task(generator.aclose())


def _close_now(generator: AnyGenerator) -> None:
    """Let a generator clean up as far as it does not wait for that."""
    with suppress(BaseException):
        generator.aclose().send(None)


def to_close(coroutine: Any) -> "list[Coroutine[Any, Any, Any]]":
    """A task's coroutine, and the inner one of a coroutine that has not begun: anyio has one of its own around each."""
    if not inspect.iscoroutine(coroutine):
        return []
    inside: list[Any] = []
    if inspect.getcoroutinestate(coroutine) == inspect.CORO_CREATED:
        inside = [getattr(value, "_coro", value) for value in inspect.getcoroutinelocals(coroutine).values()]
    return [coroutine, *filter(inspect.iscoroutine, inside)]
