"""Patches of libraries: steps whose order does not repeat are put in order for as long as a world runs.

The rule: a patch changes an order or a cost, and nothing else, and is removed at the end of the
world. If anyio does not have the names that are patched any more, the world does not begin.

anyio's cancel scopes keep their child scopes and their tasks in sets, and cancel in the order of these, which is that
of addresses. So anyio's module for asyncio has another `set` here, which keeps the order in which its items came.

`asyncio.as_completed` and `asyncio.wait` put what they are given into a set first, and coroutines have their addresses
for a hash. So `set` keeps the order there, too.

asyncio keeps all tasks in a set of weak references, which costs a small world a twelfth of its time. A loop of a world
has a list of its own tasks in any case, and `asyncio.all_tasks` looks there. Where a release of asyncio keeps its tasks
in another way, it goes on doing so.
"""

import asyncio.tasks
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, TypeVar
from weakref import WeakSet

from anyio._backends import _asyncio
from anyio._core._eventloop import claim_worker_thread, threadlocals

from .loop import SimLoop

T = TypeVar("T")


class OrderedSet(dict[T, None]):
    """A set in the order in which its items came, as far as anyio uses one: it is made empty."""

    __slots__ = ()

    # The interpreter's own functions: ten of them are called for each scope.
    add = dict.setdefault
    remove = dict.__delitem__

    def discard(self, value: T) -> None:
        """Take an item out, if it is there."""
        self.pop(value, None)


class PatchMissed(Exception):
    """The installed anyio has other internals than the ones that are patched here."""

    def __str__(self) -> str:
        return (
            "anyio's CancelScope has no sets `_child_scopes` and `_tasks` any more, so a simulation cannot put them in "
            "order (testing/simulation/patches.py). Install the version of anyio that this release was made with."
        )


@contextmanager
def patched() -> Iterator[None]:
    """Put the sets of anyio and asyncio in order until the block ends."""
    module: Any = _asyncio
    asyncios: Any = asyncio.tasks
    assert "set" not in vars(module), "one world at a time"
    module.set = OrderedSet
    asyncios.set = _in_order
    try:
        made = module.CancelScope()
        for name in ("_child_scopes", "_tasks"):
            if not isinstance(getattr(made, name, None), OrderedSet):
                raise PatchMissed
        yield
    finally:
        del module.set, asyncios.set


def _in_order(given: Iterable[T] = ()) -> "set[T] | dict[T, None]":
    """In the place of `set` in asyncio, which puts its arguments into one; the empty ones are results, for the user."""
    return dict.fromkeys(given) or set()


@contextmanager
def worker_thread(loop: SimLoop) -> Iterator[None]:
    """Have anyio take this thread for one of its own until the block ends, so that `anyio.from_thread` finds a loop."""
    local: Any = threadlocals
    with claim_worker_thread(_asyncio.AsyncIOBackend, loop):
        local.current_cancel_scope = None
        try:
            yield
        finally:
            del local.current_cancel_scope


@contextmanager
def tasks_kept_by(loop: SimLoop) -> Iterator[None]:
    """Let a loop alone keep the tasks that are made until the block ends."""
    module: Any = asyncio.tasks
    with ExitStack() as stack:
        # Of Python 3.11; of 3.12 and 3.13, where asyncio's own tasks are elsewhere.
        for name in ("_all_tasks", "_scheduled_tasks"):
            known = getattr(module, name, None)
            if isinstance(known, WeakSet):
                vars(known)["add"] = _ignored
                stack.callback(vars(known).pop, "add", None)
                setattr(module, name, _TasksOf(loop))
                stack.callback(setattr, module, name, known)
        yield


def _ignored(task: object) -> None:
    """Keep no task."""


class _TasksOf:
    """The tasks of a loop, as `asyncio.all_tasks` goes through them."""

    def __init__(self, loop: SimLoop) -> None:
        self._loop = loop

    def __iter__(self) -> Iterator[Any]:
        return iter(self._loop.tasks)
