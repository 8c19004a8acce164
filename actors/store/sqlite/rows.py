"""Many rows in one statement of SQL, and parallel reading of several tables.

The rule: a batch of rows becomes the fewest possible statements, of few
different lengths, so that SQLite has nearly every statement compiled.
`actors/store/sqlite/writing.py` and `actors/store/sqlite/reading.py` build all their batches with it; readers of a
whole file use `RowsOfKeys`.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import chain
from typing import Any

# SQL, and the values to bind: one per question mark.
Statement = tuple[str, Sequence[Any]]


# The compiled form of a longer statement costs more memory than it saves time.
ROWS_PER_STATEMENT_MAX = 128


def rows_of(prefix: str, columns: int, values: Sequence[Any], suffix: str = "") -> Iterator[Statement]:
    """Append rows to `prefix` as `(?, ?), (?, ?)`, in the fewest possible statements.

    Args:
        columns: How many values make a row.
        values: The values of all rows, one row after the other. Without values no statement is yielded.

    Yields:
        SQL, and the values for its question marks.

    Not `executemany`: it takes the interpreter lock again for each row, and may
    wait for the lock each time. Beside a thread that never waits, 100 writes took
    212 ms with it, 58 ms in statements of 64, 16, 4 and 1 rows, and 32 ms in the
    fewest statements possible. Up to 128 rows need at most two statements, and
    there are 23 lengths in all, so that SQLite finds nearly all of them compiled.
    """
    begin = 0
    while left := (len(values) - begin) // columns:
        rows = left if left < 16 else min(left - left % 16, ROWS_PER_STATEMENT_MAX)
        end = begin + rows * columns
        yield sql_of(prefix, columns, rows, suffix), values[begin:end]
        begin = end


@cache
def sql_of(prefix: str, columns: int, rows: int, suffix: str) -> str:
    """Make a statement with many rows of placeholders: `prefix (?, ?), (?, ?) suffix`."""
    row = f"({', '.join('?' * columns)})"
    return f"{prefix}{', '.join([row] * rows)}{suffix}"


class RowsOfKeys:
    """Rows that begin with the key of an actor, read in parallel with the actors. Both are ordered by key.

    Args:
        rows: The rows from a cursor, which need not fit into memory.
    """

    def __init__(self, rows: Iterable[tuple[Any, ...]]) -> None:
        self._rows = iter(rows)
        self._next = next(self._rows, None)

    def of(self, key: int) -> list[tuple[Any, ...]]:
        """The rows of an actor, without its key. Call it with ascending keys; rows of keys in between have no actor."""
        own: list[tuple[Any, ...]] = []
        while self._next is not None and self._next[0] <= key:
            if self._next[0] == key:
                own.append(self._next[1:])
            self._next = next(self._rows, None)
        return own


def flat(rows: Iterable[Iterable[Any]]) -> list[Any]:
    """Put the values of all rows into one list, as `rows_of` takes them."""
    return list(chain.from_iterable(rows))
