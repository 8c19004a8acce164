"""Switches: attributes that are replaced for as long as a world runs, and put back at its end.

The rule: each attribute has its earlier value again, however the world ends.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple


class Switch(NamedTuple):
    """One attribute of an object, or one entry of a dict, with its value in a world."""

    where: Any
    name: str
    value: Any


_ABSENT: Any = object()


@contextmanager
def switched(switches: "list[Switch]") -> Iterator[None]:
    """Replace until the block ends."""
    before: list[Any] = []
    try:
        for where, name, value in switches:
            before.append(where[name] if isinstance(where, dict) else vars(where).get(name, _ABSENT))
            _set(where, name, value)
        yield
    finally:
        for (where, name, _), value in reversed(list(zip(switches, before, strict=False))):
            _set(where, name, value)


def _set(where: Any, name: str, value: Any) -> None:
    if isinstance(where, dict):
        where[name] = value
    elif value is _ABSENT:
        delattr(where, name)
    else:
        setattr(where, name, value)
