"""Merging: one page of a list from the pages of several hosts, each of which has a part of the store.

The rule: a page ends where the list of any host is not known further, so that no unknown item belongs before an item of
the page. Items that a host has read and the page does not show are read again for the next page.

`actors/hosting/reading/listing.py` merges.
"""

from collections.abc import Sequence
from heapq import merge
from typing import NamedTuple, Protocol, TypeVar

from .cursor import Position, cursor_of, joined, position_of


class Placed(Protocol):
    """An item that knows its place in its host's list."""

    @property
    def position(self) -> Position:
        """The place of the item in the order of the list."""
        ...


class Ordered(NamedTuple):
    """How the lists are ordered."""

    order: str
    numbers: bool  # ordered by numbers, not by text
    descending: bool


T = TypeVar("T", bound=Placed)
Share = tuple[Sequence[T], str | None]  # the page of a host: its items, and its cursor


def merged(
    shares: Sequence[Share[T]], before: Sequence[str | None], ordered: Ordered, *, limit: int
) -> tuple[list[T], str | None]:
    """Merge pages of the same order.

    Items of two hosts with the same value are in the order of the hosts, because keys of two hosts cannot be compared.

    Args:
        shares: The page of each host; no items and None if its list was at its end before.
        before: The cursor with which each page was requested; empty for a first page.

    Returns:
        The items of the merged page, at most `limit`, and its cursor.
    """
    known_to = _known_to(shares, ordered)
    pages = [[(item, host) for item in items] for host, (items, _) in enumerate(shares)]
    behind = list(before)
    taken = [0] * len(shares)
    shown: list[T] = []
    for item, host in merge(*pages, key=lambda each: each[0].position.value, reverse=ordered.descending):
        if len(shown) == limit or (known_to is not None and _is_behind(item.position.value, known_to, ordered)):
            break
        shown.append(item)
        taken[host] += 1
        behind[host] = cursor_of(item.position)
    for host, (items, cursor) in enumerate(shares):
        if taken[host] == len(items):
            behind[host] = cursor
    return shown, joined(behind)


def _known_to(shares: Sequence[Share[T]], ordered: Ordered) -> int | str | None:
    """The value up to which all lists are known; None: they are known to their ends."""
    ends = [
        position_of(cursor, ordered.order, numbers=ordered.numbers).value for _, cursor in shares if cursor is not None
    ]
    return (max if ordered.descending else min)(ends, default=None)


def _is_behind(value: int | str, other: int | str, ordered: Ordered) -> bool:
    low, high = (value, other) if ordered.descending else (other, value)
    return low < high  # type: ignore[operator]  # both are numbers, or both are texts
