"""Lists and counts of actors: what they are filtered by, and what a store answers.

The rule: what a list is filtered by is given with the write that changes it (`Write.facets`), as values. A store
never reads it out of a record, which only the actor's type understands.

`actors/store/contract.py` has the methods; the type of an actor says what its facets are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple


class Facets(NamedTuple):
    """The side of an actor that lists and counts see. Times are Unix time in microseconds."""

    name: str
    status: str  # a word of the actor's type
    created_us: int
    updated_us: int  # the last change that the type counts as one, not the last turn
    ended_us: int | None = None
    parent: str | None = None  # an id of the same type; None: a root
    tags: tuple[tuple[str, str], ...] = ()  # by key, each key once


class Order(Enum):
    """The order of a list."""

    CREATED = "created"
    NEWEST = "-created"
    UPDATED = "updated"
    LATEST = "-updated"
    ID = "id"  # by code point


@dataclass(frozen=True, slots=True, kw_only=True)
class ListFilter:
    """What an actor must be to stand in a list. All conditions must hold; an empty one holds for every actor."""

    statuses: frozenset[str] | None = None  # one of these
    not_statuses: frozenset[str] = frozenset()  # none of these
    names: frozenset[str] | None = None
    not_names: frozenset[str] = frozenset()
    id_prefix: str = ""
    parent: str | None = None
    root: bool | None = None  # True: without a parent; False: with one
    created_from_us: int | None = None  # included
    created_to_us: int | None = None  # excluded
    updated_from_us: int | None = None
    updated_to_us: int | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    # In flight (the active mark), and without an entry in its log since then; the type finds out what it waits for.
    in_flight_since_us: int | None = None


class Listed(NamedTuple):
    """An actor in a list."""

    id: str
    facets: Facets
    record: bytes


class ListPage(NamedTuple):
    """A part of a list."""

    listed: Sequence[Listed]  # may be fewer than asked for, or none, although more follow
    cursor: str | None  # opaque: asks for what follows; None: this is the end


class Grouped(NamedTuple):
    """How many actors share the values that were asked for."""

    values: tuple[str | bool, ...]  # in the order of `by`
    count: int


class Counted(NamedTuple):
    """The answer to a count."""

    groups: Sequence[Grouped]
    more: bool = False  # the count stopped at its limit: there are more actors than it says
