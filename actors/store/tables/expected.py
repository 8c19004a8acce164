"""The rows of other tables that an actor expects. They have no checksums, so `perdure store check` compares them.

The rule: a missing reminder or active mark of an actor is reported; an unexpected one is harmless.

`actors/store/sqlite/maintenance.py` and `actors/store/postgres/checking.py` compare; `cli/store.py` passes the
expectation to them.
"""

from collections.abc import Callable, Sequence, Set
from typing import NamedTuple, TypeAlias

from ...address import Address
from ..contract import Stored


class Expected(NamedTuple):
    """The rows in other tables that an actor expects."""

    reminders: frozenset[tuple[str, int]]  # the reminders that it must have: name and due time
    active: bool  # whether it must have the active mark


# Returns the rows that an actor expects; None if it does not expect any.
Expect: TypeAlias = Callable[[Address, Stored], Expected | None]


def unlike(address: Address, expected: Expected, reminders: Set[tuple[str, int]], *, active: bool) -> list[str]:
    """Compare the rows that an actor expects with the store's rows; return a sentence for each missing row.

    Args:
        reminders: The reminders that it has: name and due time.
        active: Whether it has the active mark.
    """
    found = [
        f"{address}: its timer {name} is due at {due_us} µs, and has no such reminder"
        for name, due_us in sorted(expected.reminders - reminders)
    ]
    if expected.active and not active:
        found.append(f"{address}: it has something in flight, and no active mark")
    return found


SHOWN_MAX = 10


def shortened(found: Sequence[str], rest: str) -> list[str]:
    """The first sentences, and a sentence with the number of the others.

    Args:
        rest: A text for the others, after their number.
    """
    more = len(found) - SHOWN_MAX
    return [*found[:SHOWN_MAX], f"{more} {rest}"] if more > 0 else [*found]
