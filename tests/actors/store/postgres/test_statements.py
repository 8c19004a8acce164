"""A commit of any parts is one statement under the lock of its host's row."""

import asyncio
import re
from itertools import pairwise

import anyio
import pytest

from perdure.actors.store.postgres.driver import AsyncpgDriver, DatabaseSession, Statement
from perdure.actors.store.postgres.exporting import LOGS
from perdure.actors.store.postgres.schema import make_ready
from perdure.actors.store.postgres.settings import session_settings
from perdure.actors.store.postgres.statements import (
    ACTIVE,
    FENCE,
    FIND_ENTRY,
    IDS,
    INSPECT,
    KILL,
    LEAVE,
    LOAD,
    MUST_MATCH,
    PARTS,
    REMINDERS,
    commit_of,
)
from perdure.actors.store.postgres.url import parse_url

from ....support.postgres import PostgresServer


def test_every_part_of_a_commit_is_held_by_the_fence() -> None:
    for part, (_, statements) in PARTS.items():
        for sql in statements.values():
            # Or by a row that the fence holds.
            assert "fence" in sql or "was" in sql, part


def test_a_commit_begins_with_the_fence_and_is_made_once_for_each_set_of_parts() -> None:
    statement = commit_of(("log", "update"))
    assert statement.sql.startswith(f"WITH {FENCE}")
    assert statement is commit_of(("log", "update"))
    assert statement.parts == ("log", "update")


def test_arguments_are_numbered_behind_those_of_the_fence() -> None:
    sql = commit_of(tuple(PARTS)).sql
    columns = sum(len(types) for types, _ in PARTS.values())
    numbers = [f"${number}" for number in range(1, 3 + columns + 2)]
    assert all(number in sql for number in numbers)
    assert f"${3 + columns + 2}" not in sql
    assert all(sql.index(f"{one}:") < sql.index(f"{other}:") for one, other in pairwise(numbers[3:]))


def test_a_commit_whose_rows_must_be_there_refuses_itself() -> None:
    for part in PARTS:
        assert ("1 / (CASE" in commit_of((part,)).sql) is (part in MUST_MATCH)


@pytest.mark.anyio
async def test_plans_that_are_made_of_a_new_store_and_kept_go_along_indexes(server: PostgresServer) -> None:
    # Given a store without rows,
    url = parse_url(server.url())
    session = await AsyncpgDriver(url).connect(session_settings(url, "test"))
    await make_ready(session, url, shards=8, now_us=1)
    await session.close()
    settings = "".join(f"SET {name} = '{value}';" for name, value in session_settings(url, "test").items())
    commit = commit_of(tuple(PARTS))
    for statement in (REMINDERS, IDS, INSPECT, LOAD, LOGS, FIND_ENTRY, ACTIVE, commit):
        plan = server.sql(f"{settings} EXPLAIN (GENERIC_PLAN) {statement.sql}")
        # then no plan reads a table from its start, or sorts rows that are in order,
        assert not re.search("Seq Scan on (actors|log|reminders)", plan), plan
        assert "Sort Key" not in plan, plan
        # and none goes along an index without a condition, except the index of active actors, which has only their
        # rows.
        for line, following in pairwise([*plan.splitlines(), ""]):
            if re.search("Scan (Backward )?using (actors|log|reminders)", line) and "actors_active" not in line:
                assert "Index Cond" in following, plan


@pytest.mark.anyio
async def test_a_host_that_leaves_while_it_is_killed_does_not_wait_for_its_killer(server: PostgresServer) -> None:
    # Given a host whose row is held by a commit under way, and which leaves,
    url = parse_url(server.url())
    commit, leaving, killer = [await AsyncpgDriver(url).connect(session_settings(url, "test")) for _ in range(3)]
    await make_ready(commit, url, shards=8, now_us=1)
    await commit.run(
        Statement(
            "host",
            "INSERT INTO hosts (host, state, name, place, address, release, wire_min, "
            "wire_max) VALUES (7, 0, '', '', '', '', 1, 1)",
        )
    )
    await commit.run(Statement("beat", "INSERT INTO beats (host) VALUES (7)"))
    await commit.run(Statement("begin", "BEGIN"))
    await commit.run(Statement("fence", "SELECT 1 FROM hosts WHERE host = 7 FOR KEY SHARE"))
    leave = asyncio.ensure_future(leaving.run(LEAVE, (7,)))
    await _waiting(commit, 1)
    # when another host kills it meanwhile,
    kill = asyncio.ensure_future(killer.run(KILL, (7, 0)))
    await _waiting(commit, 2)
    await commit.run(Statement("commit", "COMMIT"))
    # then the server ends neither of them as a deadlock, and the leave of the first has counted.
    with anyio.fail_after(10):
        await leave
        assert not await kill
    assert not await commit.run(Statement("left", "SELECT host FROM hosts UNION SELECT host FROM beats"))
    for session in (commit, leaving, killer):
        await session.close()


async def _waiting(session: DatabaseSession, number: int) -> None:
    """Wait until this number of sessions waits for a lock."""
    question = "SELECT count(DISTINCT pid) FROM pg_locks WHERE NOT granted"
    with anyio.fail_after(10):
        while (await session.run(Statement("question", question)))[0][0] < number:
            await anyio.sleep(0.01)
