"""KindNumbers: the kinds of actors that a host on PostgreSQL knows, and their numbers.

The rule: the database assigns each number once, for all hosts, before the commit that needs it. A number that no commit
has used is harmless.

`actors/store/postgres/store.py` has one `KindNumbers`.
"""

from collections.abc import Iterable, Mapping, Sequence

from ..listing import Facets
from ..tables.kinds import Kind
from .driver import Row


class KindNumbers:
    """The kinds that this host knows, and their numbers."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[str, str, str, bool], int] = {}
        self._kinds: dict[int, Kind] = {}

    def learn(self, rows: Iterable[Row]) -> None:
        """Take in rows of the database: number, type, status, name, root."""
        for number, *kind in rows:
            self._numbers[tuple(kind)] = number
            self._kinds[number] = Kind(*kind)

    def missing(self, facets: Iterable[tuple[str, Facets]]) -> Sequence[Sequence[str | bool]]:
        """The kinds of these types and facets that have no number here yet."""
        wanted = dict.fromkeys((type_, each.status, each.name, each.parent is None) for type_, each in facets)
        return [kind for kind in wanted if kind not in self._numbers]

    def number_of(self, type_: str, facets: Facets) -> int:
        """The number of the kind of an actor."""
        return self._numbers[type_, facets.status, facets.name, facets.parent is None]

    def get(self, number: int) -> Kind | None:
        """The kind with a number; None if another host has added it since the last read."""
        return self._kinds.get(number)

    @property
    def all(self) -> Mapping[int, Kind]:
        """All known kinds, by number."""
        return self._kinds
