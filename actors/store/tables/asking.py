"""Asking a database without waiting: code that yields questions, each of which follows from the answers before it.

The rule: the code that decides yields questions and is sent the rows of their answers; it has neither a connection nor
a loop. So the same code works in a thread that reads from SQLite and in a task that reads from PostgreSQL.

`actors/store/tables/paging.py` and `actors/store/tables/auditing.py` ask; `actors/store/sqlite/lists/reading.py` and
`actors/store/postgres/lists/reading.py` answer.
"""

from collections.abc import Generator, Sequence
from typing import Any, NamedTuple, TypeAlias, TypeVar

T = TypeVar("T")

Rows: TypeAlias = Sequence[Sequence[Any]]


class Question(NamedTuple):
    """A reading statement and its values."""

    sql: str  # with a question mark for each value
    values: Sequence[Any]


Asking: TypeAlias = Generator[Question, Rows, T]
