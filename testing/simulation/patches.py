"""What libraries do in an order that does not repeat, put in order for as long as a world runs.

The one law: a patch changes an order and nothing else, and is taken away at the end of the world. If the library does
not have the names that are patched any more, the world does not begin.

anyio's cancel scopes keep their child scopes and their tasks in sets, and cancel in the order of these, which is that
of addresses. Tasks have numbers for their hash here (`testing/simulation/loop.py`); scopes get dicts.
"""

from collections.abc import Iterator, MutableSet
from contextlib import contextmanager
from typing import Any, TypeVar

from anyio._backends import _asyncio

T = TypeVar("T")


class OrderedSet(MutableSet[T]):
    """A set in the order in which its items came."""

    __slots__ = ("_items",)

    def __init__(self) -> None:
        self._items: dict[T, None] = {}

    def __contains__(self, item: object) -> bool:
        return item in self._items

    def __iter__(self) -> Iterator[T]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def add(self, value: T) -> None:
        self._items[value] = None

    def discard(self, value: T) -> None:
        self._items.pop(value, None)


class PatchMissed(Exception):
    """The installed anyio has other insides than those that are put in order here."""

    def __str__(self) -> str:
        return (
            "anyio's CancelScope has no sets `_child_scopes` and `_tasks` any more, so a simulation cannot put them in "
            "order (testing/simulation/patches.py). Install the version of anyio that this release was made with."
        )


@contextmanager
def patched() -> Iterator[None]:
    """Put anyio's sets in order until the block ends."""
    scope: Any = _asyncio.CancelScope
    original = scope.__init__
    made = scope()
    if not isinstance(getattr(made, "_child_scopes", None), set) or not isinstance(getattr(made, "_tasks", None), set):
        raise PatchMissed

    def init(self: Any, *args: Any, **named: Any) -> None:
        original(self, *args, **named)
        self._child_scopes = OrderedSet[Any]()
        self._tasks = OrderedSet[Any]()

    scope.__init__ = init
    try:
        yield
    finally:
        scope.__init__ = original
