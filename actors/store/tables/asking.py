"""Asking a database without waiting for it: each question follows from the answers before it.

The rule: what decides yields questions and is sent the rows of their answers; it knows neither a connection nor a loop.
So one piece of code serves a thread that asks SQLite and a task that asks PostgreSQL.

`actors/store/tables/paging.py` and `actors/store/tables/auditing.py` ask; `actors/store/sqlite/lists/reading.py` and
`actors/store/postgres/lists/reading.py` answer.
"""

from collections.abc import Generator, Sequence
from typing import Any, NamedTuple, TypeAlias, TypeVar

T = TypeVar("T")

Rows: TypeAlias = Sequence[Sequence[Any]]


class Question(NamedTuple):
    """A statement that reads."""

    sql: str  # with a question mark for each value
    values: Sequence[Any]


Asking: TypeAlias = Generator[Question, Rows, T]
