"""Cursors: the place in a list at which its next page begins, as a text that is opaque to callers.

The rule: a cursor holds the position of an item, not the number of items before it. So it survives inserts and deletes,
even the deletion of that item. It also holds the order of its list, and is refused for any other order.

Stores make cursors and read them. `actors/store/merging.py` joins the cursors of several hosts to one.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from typing import NamedTuple

from ..errors import CursorInvalid

JOINT = "."  # not in the alphabet of base64url
FINISHED = "~"  # in place of a host's cursor: its list is at its end


class Position(NamedTuple):
    """The place of an item in a list. Positions of one order compare as their items do in ascending order."""

    order: str
    value: int | str  # the value by which the list is ordered
    key: int  # orders items of the same value

    @property
    def at(self) -> tuple[int | str, int]:
        """The part that is compared."""
        return self.value, self.key


def cursor_of(position: Position) -> str:
    """The cursor of the page that begins just after a position."""
    order, value, key = position
    return urlsafe_b64encode(f"{order} {key} {value}".encode()).decode().rstrip("=")


def position_of(cursor: str, order: str, *, numbers: bool = True) -> Position:
    """Read a cursor.

    Args:
        order: The order of the list to continue.
        numbers: Whether the list is ordered by numbers, not by text.

    Raises:
        CursorInvalid: It is not a cursor, or has another order.
    """
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        found, key, value = urlsafe_b64decode(padded.encode("ascii")).decode().split(" ", 2)
        position = Position(found, int(value) if numbers else value, int(key))
    except ValueError:
        raise CursorInvalid(cursor) from None
    if found != order or cursor_of(position) != cursor or not _fits(position):
        raise CursorInvalid(cursor)
    return position


def joined(cursors: Sequence[str | None]) -> str | None:
    """Make one cursor from the cursors of several hosts; None if all lists are at their ends.

    Args:
        cursors: In the order of the hosts; None: the list is at its end; empty: it is at its start.
    """
    if all(cursor is None for cursor in cursors):
        return None
    return JOINT.join(FINISHED if cursor is None else cursor for cursor in cursors)


def split(cursor: str | None, hosts: int) -> list[str | None]:
    """Split a joint cursor that `joined` has made.

    Raises:
        CursorInvalid: It is not a joint cursor of this number of hosts.
    """
    if cursor is None:
        return [""] * hosts
    parts = cursor.split(JOINT)
    if len(parts) != hosts:
        raise CursorInvalid(cursor)
    return [None if part == FINISHED else part for part in parts]


def _fits(position: Position) -> bool:
    """Whether a store can compare with a position: SQLite has integers of 64 bits."""
    numbers = [number for number in position.at if isinstance(number, int)]
    return all(-(2**63) <= number < 2**63 for number in numbers)
