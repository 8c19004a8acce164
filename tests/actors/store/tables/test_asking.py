"""The deciding generator is sent answers, and never asks twice; both stores' drivers lead to the same end."""

import sqlite3
from contextlib import closing
from typing import Any

import pytest

from perdure.actors.store.postgres.lists.reading import answer as answer_in_task
from perdure.actors.store.sqlite.lists.reading import answer as answer_on_thread
from perdure.actors.store.tables.asking import Asking, Question


def doubled(times: int) -> Asking[int]:
    """Ask for the double of a number, again and again."""
    number = 1
    for _ in range(times):
        ((number,),) = yield Question("SELECT ? * 2", [number])
    return number


class Doubling:
    """A session that doubles."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def run(self, statement: Any, arguments: Any = ()) -> list[tuple[int]]:
        self.asked.append(statement.sql)
        return [(arguments[0] * 2,)]


@pytest.mark.anyio
@pytest.mark.parametrize("times", [0, 1, 5])
async def test_a_thread_and_a_task_come_to_the_same_end(times: int) -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        assert answer_on_thread(doubled(times), connection) == 2**times
    session: Any = Doubling()
    assert await answer_in_task(doubled(times), session) == 2**times
    assert session.asked == ["SELECT $1 * 2"] * times


@pytest.mark.anyio
async def test_an_error_of_the_database_is_not_an_answer() -> None:
    def asking() -> Asking[int]:
        yield Question("no SQL", [])
        return 1

    with closing(sqlite3.connect(":memory:")) as connection, pytest.raises(sqlite3.OperationalError):
        answer_on_thread(asking(), connection)
