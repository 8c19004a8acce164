"""The counting store counts the work of SQLite, in lock step with the host."""

import sqlite3
from pathlib import Path

import anyio
import pytest

from perdure.actors.address import Address
from perdure.actors.store.contract import Write
from perdure.benchmarks.budget.counting_store import CountingStore, StoreTally, Trace, kind_of


def traced(*statements: str) -> StoreTally:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.execute("CREATE TABLE log (n UNIQUE)")
    connection.execute("CREATE TABLE actors (n)")
    trace = Trace(connection)
    for statement in statements:
        connection.execute(statement)
    tally = trace.take()
    connection.close()
    return tally


STRAIGHT = ("INSERT INTO log VALUES (1)", "INSERT INTO log VALUES (2)", "INSERT INTO actors VALUES (1)")
BACK = "INSERT INTO log VALUES (3)"


@pytest.mark.parametrize(
    ("statements", "rows", "commits", "runs_max"),
    [
        # Changed rows are counted, not named ones.
        (
            (
                "BEGIN",
                "INSERT INTO log VALUES (1), (2), (3)",
                "INSERT OR IGNORE INTO log VALUES (3), (4)",
                "UPDATE log SET n = -n WHERE n > 2",
                "DELETE FROM log WHERE n = 99",
                "COMMIT",
            ),
            {"insert log": 4, "update log": 2},
            1,
            1,
        ),
        # A transaction that only reads is no commit.
        (("BEGIN", "SELECT * FROM log", "COMMIT"), {}, 0, 0),
        # Rows after the last commit are counted too.
        (("INSERT INTO log VALUES (1)",), {"insert log": 1}, 0, 0),
        # A return to a table counts within a transaction, and not in the next one.
        (("BEGIN", *STRAIGHT, BACK, "COMMIT"), {"insert log": 3, "insert actors": 1}, 1, 2),
        (("BEGIN", *STRAIGHT, "COMMIT", "BEGIN", BACK, "COMMIT"), {"insert log": 3, "insert actors": 1}, 2, 1),
    ],
)
def test_what_statements_did_is_counted(
    statements: tuple[str, ...], rows: dict[str, int], commits: int, runs_max: int
) -> None:
    tally = traced(*statements)
    assert (tally.rows, tally.commits, tally.runs_max) == (rows, commits, runs_max)
    assert tally.statements == (len([each for each in statements if each not in ("BEGIN", "COMMIT")]) if commits else 0)


def test_what_a_statement_does_is_read_off_its_beginning() -> None:
    assert kind_of("INSERT OR IGNORE INTO active (key) VALUES (1)") == "insert active"
    assert kind_of("\n  DELETE FROM log WHERE key IN (VALUES (1))") == "delete log"
    assert kind_of("UPDATE meta SET value = 1") == "update meta"
    assert kind_of("SELECT 'DELETE FROM log'") == ""


@pytest.mark.anyio
async def test_a_tally_begins_where_the_last_one_ended(tmp_path: Path) -> None:
    store = CountingStore(tmp_path / "a.db")
    await store.open()
    try:
        fences = await store.claim("here", now_us=0)
        await store.take()
        write = Write(key=store.new_key(), address=Address("T", "a"), shard=0, at_us=1, record=b"r", entry=b"e")
        await store.commit([write], fences)
        tally = await store.take()
        again = await store.take()
    finally:
        await store.close()
    assert (tally.batches, tally.commits) == (1, 1)
    assert tally.rows == {"insert actors": 1, "insert log": 1}
    assert tally.wal_bytes > 0
    assert tally.blocks_max > 0
    assert (again.batches, again.commits, again.rows, again.wal_bytes) == (0, 0, {}, 0)


@pytest.mark.anyio
async def test_a_commit_waits_until_reads_are_over(tmp_path: Path) -> None:
    store = CountingStore(tmp_path / "a.db")
    await store.open()
    order: list[str] = []
    try:
        fences = await store.claim("here", now_us=0)
        write = Write(key=store.new_key(), address=Address("T", "a"), shard=0, at_us=1, record=b"r")

        async def read() -> None:
            for _ in range(3):
                await store.load([write.address])
            order.append("read")

        async def commit() -> None:
            await store.commit([write], fences)
            order.append("committed")

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(commit)
            tasks.start_soon(read)
        await store.settled()
    finally:
        await store.close()
    assert order == ["read", "committed"]
