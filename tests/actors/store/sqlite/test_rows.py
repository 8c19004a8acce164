"""A batch of rows is a few statements, which SQLite keeps compiled, and none of them reads a whole table."""

import re
import sqlite3
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from perdure.actors.address import Address
from perdure.actors.store.sqlite import reading, writing
from perdure.actors.store.sqlite.connection import STATEMENTS_CACHED
from perdure.actors.store.sqlite.rows import RowsOfKeys, rows_of

from ....support.actors.sqlite_file import full_write, on_writer, opened, write

pytestmark = pytest.mark.anyio


def test_all_statements_together_fit_into_the_cache() -> None:
    # A statement's text depends only on the number of rows that are left for it.
    lengths = {sql.count("(") for rows in range(1, 400) for sql, _ in rows_of("", 1, [0] * rows)}
    kinds_max = 20
    assert len(lengths) * kinds_max < STATEMENTS_CACHED


async def test_no_statement_reads_a_whole_table(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given all statements that writing and reading several actors takes,
    statements: dict[str, int] = {}

    def recorded(*arguments: Any) -> Iterator[tuple[str, Any]]:
        for sql, values in rows_of(*arguments):
            statements[sql] = len(values)
            yield sql, values

    for module in (reading, writing):
        monkeypatch.setattr(module, "rows_of", recorded)
    async with opened(path) as store:
        fences = await store.claim("host", now_us=1)
        actors = [(store.new_key(), Address("wf", str(i))) for i in range(3)]
        ends: tuple[Mapping[str, Any], ...] = ({"active": False}, {"reset": True}, {"delete": True})
        await store.commit([full_write(*actor) for actor in actors], fences)
        await store.load([address for _, address in actors])
        await store.inspect([address for _, address in actors])
        for end in ends:
            await store.commit([write(*actor, **end) for actor in actors], fences)
        # then SQLite finds the rows of each by a key.
        for sql, values in statements.items():
            plan = await on_writer(store, partial(explain, sql, values))
            assert not re.search(r"SCAN (actors|active|log|reminders|first|last)\b", plan), f"{sql}\n{plan}"
        assert len(statements) >= 10


def explain(sql: str, values: int, connection: sqlite3.Connection) -> str:
    plan = connection.execute(f"EXPLAIN QUERY PLAN {sql}", [None] * values).fetchall()
    return "\n".join(step for *_, step in plan)


def test_rows_beside_actors_are_given_with_their_own_actor_and_with_no_other() -> None:
    # Given rows some of which have outlived their actors, before, between and behind the others,
    rows = RowsOfKeys([(1, "gone"), (3, "a"), (3, "b"), (4, "gone"), (7, "c"), (9, "gone")])
    assert [rows.of(key) for key in (2, 3, 5, 7, 8)] == [[], [("a",), ("b",)], [], [("c",)], []]
    assert RowsOfKeys([]).of(1) == []
