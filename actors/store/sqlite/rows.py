"""Many rows in one statement of SQL, and rows of several tables beside each other.

The rule: a batch of rows becomes as few statements as possible, of few
different lengths, so that SQLite finds nearly every statement compiled.
`actors/store/sqlite/writing.py` and `actors/store/sqlite/reading.py` build all their batches with it; what reads a
whole file has its rows side by side (`RowsOfKeys`).
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import chain
from typing import Any

# SQL, and what to bind to it: one value per question mark.
Statement = tuple[str, Sequence[Any]]


# The compiled form of a longer statement costs more memory than it saves time.
ROWS_PER_STATEMENT_MAX = 128


def rows_of(prefix: str, columns: int, values: Sequence[Any], suffix: str = "") -> Iterator[Statement]:
    """Put rows behind `prefix` as `(?, ?), (?, ?)`, in as few statements as possible.

    Args:
        columns: How many values make a row.
        values: The values of all rows, one row after the other. Without values there is no statement.

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
    """Rows that begin with the key of an actor, beside the actors themselves. Both come in the order of their keys.

    Args:
        rows: As a cursor gives them, which need not fit into memory.
    """

    def __init__(self, rows: Iterable[tuple[Any, ...]]) -> None:
        self._rows = iter(rows)
        self._next = next(self._rows, None)

    def of(self, key: int) -> list[tuple[Any, ...]]:
        """The rows of an actor, without its key. Keys are asked for in order; rows between them are of none."""
        own: list[tuple[Any, ...]] = []
        while self._next is not None and self._next[0] <= key:
            if self._next[0] == key:
                own.append(self._next[1:])
            self._next = next(self._rows, None)
        return own


def flat(rows: Iterable[Iterable[Any]]) -> list[Any]:
    """Put the values of all rows into one list, as `rows_of` takes them."""
    return list(chain.from_iterable(rows))
