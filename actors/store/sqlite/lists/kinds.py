"""Kinds: the kinds of actors of a file, and the number of actors of each.

The rule: each kind has a number, which rows of `facets` contain in its place, and a count, which the store keeps in
memory and corrects with each commit. The counts are read from an index when the store is opened, so that they cannot
drift over restarts.

The object needs memory for the kinds, which are few, and not for the actors. Only the event loop calls it, except for
`matching`, `get` and `[]`, which the thread of lists calls too. `actors/store/sqlite/store.py` has one `Kinds`.
"""

import sqlite3
from collections.abc import Iterable, Mapping

from ...listing import Facets, ListFilter
from ...tables.kinds import Kind, matching


class Kinds:
    """The kinds of a store, their numbers and their counts."""

    def __init__(self, kinds: Mapping[int, Kind] | None = None, counts: Mapping[int, int] | None = None) -> None:
        self._kinds = dict(kinds or {})
        # With plain tuples as keys: it is read for each write with facets, and a named tuple takes longer to make.
        self._numbers: dict[tuple[str, str, str, bool], int] = {kind: n for n, kind in self._kinds.items()}
        self._counts = {number: (counts or {}).get(number, 0) for number in self._kinds}
        self._unsaved: set[int] = set()  # kinds that no finished commit has written to the file

    def number_of(self, type_: str, facets: Facets) -> int:
        """The number of the kind of an actor, for a row that is about to be written."""
        kind = (type_, facets.status, facets.name, facets.parent is None)
        number = self._numbers.get(kind)
        if number is None:
            # Before the commit with this number begins, so that a reader of that commit finds the kind.
            number = max(self._kinds, default=0) + 1
            self._kinds[number] = Kind(*kind)
            self._numbers[kind] = number
            self._counts[number] = 0
            self._unsaved.add(number)
        return number

    def unsaved(self, numbers: Iterable[int]) -> Mapping[int, Kind]:
        """Those of these kinds that a commit has to write to the file."""
        return {number: self._kinds[number] for number in self._unsaved.intersection(numbers)} if self._unsaved else {}

    def committed(self, saved: Iterable[int], delta: Mapping[int, int]) -> None:
        """Count the changes of a commit.

        Args:
            saved: The kinds that the commit has written to the file.
            delta: Number of the kind -> the increase of its actors.
        """
        self._unsaved.difference_update(saved)
        for number, more in delta.items():
            self._counts[number] += more

    def matching(self, actor_type: str, wanted: ListFilter) -> Mapping[int, Kind]:
        """The kinds of a type that match a filter, including kinds without actors.

        A thread that has begun a snapshot may call it: each kind in the snapshot got its number before.
        """
        return matching(dict(self._kinds), actor_type, wanted)

    def counts(self, actor_type: str, wanted: ListFilter) -> Mapping[int, int]:
        """Number of the kind -> number of actors, for the kinds that match a filter."""
        return {number: self._counts[number] for number in self.matching(actor_type, wanted)}

    def get(self, number: int) -> Kind | None:
        """The kind with a number; None if no kind has it, as in a damaged row."""
        return self._kinds.get(number)

    def __len__(self) -> int:
        return len(self._kinds)

    def __getitem__(self, number: int) -> Kind:
        return self._kinds[number]


COUNT = "SELECT kind, count(*) FROM facets INDEXED BY facets_created GROUP BY kind"


def take_kinds(connection: sqlite3.Connection) -> Kinds:
    """Read the kinds of a file, count the actors of each, and delete the kinds without actors.

    The caller holds the transaction. The count reads only an index: 60 ms for a million actors.
    """
    counts = dict(connection.execute(COUNT).fetchall())
    rows = connection.execute("SELECT kind, type, status, name, root FROM kinds").fetchall()
    unused = [(number,) for number, *_ in rows if number not in counts]
    connection.executemany("DELETE FROM kinds WHERE kind = ?", unused)
    used = {
        number: Kind(type_, status, name, bool(root)) for number, type_, status, name, root in rows if number in counts
    }
    return Kinds(used, counts)
