"""The rows of other tables that an actor expects. They have no checksums; `perdure store check` compares.

The rule: a reminder that an actor must have and has not, or an active mark that is missing, is told of; one too many
does no harm.

`actors/store/sqlite/maintenance.py` and `actors/store/postgres/checking.py` compare; `cli/store.py` gives them the
expectation.
"""

from collections.abc import Callable, Sequence, Set
from typing import NamedTuple, TypeAlias

from ...address import Address
from ..contract import Stored


class Expected(NamedTuple):
    """The rows in other tables that an actor expects."""

    reminders: frozenset[tuple[str, int]]  # that it must have: name and due time
    active: bool  # it must have the active mark


# Reads an actor; None if it says nothing of the kind.
Expect: TypeAlias = Callable[[Address, Stored], Expected | None]


def unlike(address: Address, expected: Expected, reminders: Set[tuple[str, int]], *, active: bool) -> list[str]:
    """Compare the rows that an actor expects with the store's; a sentence for each missing one.

    Args:
        reminders: That it has: name and due time.
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
    """The first sentences, and one that says how many more there are.

    Args:
        rest: A text for the others, behind their number.
    """
    more = len(found) - SHOWN_MAX
    return [*found[:SHOWN_MAX], f"{more} {rest}"] if more > 0 else [*found]
