"""A store on PostgreSQL: its keys, its counts, its refusals, and its waits for the database."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import anyio
import pytest

from perdure.actors.address import Address
from perdure.actors.store.audit import AuditRow
from perdure.actors.store.errors import StoreDamaged, StoreFailed, StoreTooNew
from perdure.actors.store.listing import Facets, ListFilter
from perdure.actors.store.postgres import store as module
from perdure.actors.store.postgres.driver import AsyncpgDriver, DatabaseSession, Row, Statement
from perdure.actors.store.postgres.schema import SCHEMA_VERSION
from perdure.actors.store.postgres.store import KEYS_AT_ONCE, SHARDS_DEFAULT, PostgresStore
from perdure.actors.store.postgres.url import DatabaseUrl, parse_url

from ....support.actors.store_bench import SHARDS, Bench, write
from ....support.postgres import PostgresServer

pytestmark = pytest.mark.anyio

A, B = Address("wf", "a"), Address("wf", "b")
RUNNING, ENDED = Facets("N", "R", 1, 1), Facets("N", "C", 1, 2, 2)


async def run(url: str, sql: str) -> list[tuple[object, ...]]:
    parsed = parse_url(url)
    session = await AsyncpgDriver(parsed).connect({"application_name": "test", "search_path": parsed.schema})
    try:
        return [tuple(row) for row in await session.run(Statement("test", sql))]
    finally:
        session.terminate()


@pytest.mark.untraced
async def test_keys_come_in_blocks_and_the_next_is_taken_in_time(bench: Bench) -> None:
    first = bench.store.new_key()
    keys = [bench.store.new_key() for _ in range(KEYS_AT_ONCE // 2)]
    await bench.commit(write(keys[-1], A, record=b"r"))
    later = bench.store.new_key()
    assert later > keys[-1]
    assert later >= first + KEYS_AT_ONCE
    await bench.commit(write(later, B, record=b"r"))
    assert await bench.load(B) is not None


async def test_two_actors_with_one_key_are_refused(bench: Bench, url: str) -> None:
    # Given an actor under a key that this host believes to be new,
    key = bench.store.new_key()
    await run(url, f"INSERT INTO actors (key, shard, type, id, active, record) VALUES ({key}, 0, 'wf', 'z', false, '')")
    # then it is not put into that one's row.
    with pytest.raises(StoreFailed, match="there already"):
        await bench.commit(write(key, A, record=b"r"), write(bench.store.new_key(), B, record=b"b", entry=b"e"))
    assert await bench.load(A) is None
    assert await bench.load(B) is None


async def test_a_change_of_an_actor_that_is_gone_is_refused_whole(bench: Bench, url: str) -> None:
    key = bench.store.new_key()
    await bench.commit(write(key, A, record=b"r"))
    await run(url, "DELETE FROM actors")
    with pytest.raises(StoreFailed, match="is not in the store"):
        await bench.commit(write(bench.store.new_key(), B, record=b"b"), write(key, A, record=b"2", entry=b"e"))
    assert await bench.load(B) is None


async def test_an_actor_may_follow_on_one_that_was_not_there(bench: Bench) -> None:
    # Given a deletion of an actor that the store does not have,
    unknown, new = 999_999, bench.store.new_key()
    await bench.commit(write(unknown, A, delete=True), write(new, A, record=b"r", entry=b"e", facets=RUNNING))
    stored = await bench.load(A)
    assert stored is not None
    assert (stored.key, stored.entries) == (new, (b"e",))


async def test_counts_stay_right_when_tallies_are_folded(
    bench: Bench, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TALLIES_MAX", 5)
    keys = [bench.store.new_key() for _ in range(12)]
    for i, key in enumerate(keys):
        await bench.commit(write(key, Address("wf", f"{i}"), record=b"r", facets=RUNNING))
    # An actor whose facets were known, one whose facets were not, and one that is deleted.
    await bench.commit(write(keys[0], Address("wf", "0"), facets=ENDED, facets_before=RUNNING))
    await bench.commit(write(keys[1], Address("wf", "1"), facets=ENDED))
    await bench.commit(write(keys[2], Address("wf", "2"), delete=True))
    with anyio.fail_after(5):
        while len(await run(url, "SELECT kind FROM tallies")) > 12:  # of 16 that commits have added
            await anyio.sleep(0.01)
    counted = await bench.store.count("wf", ListFilter(), by=("status",))
    assert dict(counted.groups) == {("C",): 2, ("R",): 9}


class Counting(AsyncpgDriver):
    """Notes the statements of all sessions by their names."""

    def __init__(self, url: DatabaseUrl) -> None:
        super().__init__(url)
        self.names: list[str] = []

    async def connect(self, settings: Mapping[str, str]) -> DatabaseSession:
        session = await super().connect(settings)
        run = session.run

        async def noted(statement: Statement, arguments: Sequence[Any] = ()) -> Sequence[Row]:
            self.names.append(statement.name)
            return await run(statement, arguments)

        session.run = noted  # type: ignore[method-assign]
        return session


async def test_a_commit_of_any_size_is_one_statement_and_idle_costs_a_small_one_twice_a_second(url: str) -> None:
    driver = Counting(parse_url(url))
    bench = Bench(PostgresStore(url, shards=SHARDS, driver=driver))
    await bench.store.open()
    await bench.claim()
    first = bench.store.new_key()
    await bench.commit(write(first, A, record=b"r", entry=b"e", facets=RUNNING))
    driver.names.clear()
    keys = [bench.store.new_key() for _ in range(50)]
    await bench.commit(
        write(first, A, delete=True, audit=[AuditRow("purge", "ann", b"")]),
        *(
            write(key, Address("wf", f"{key}"), record=b"r", entry=b"e", facets=RUNNING, reminders_set=[("r", 5)])
            for key in keys
        ),
    )
    assert driver.names.count("commit") == 1
    assert set(driver.names) <= {"commit", "look"}
    driver.names.clear()
    await anyio.sleep(1.1)
    assert set(driver.names) == {"look"}
    assert len(driver.names) <= 3
    await bench.store.close()


async def test_text_with_a_nul_is_no_id(bench: Bench) -> None:
    assert await bench.load(Address("wf", "a\0b")) is None
    with pytest.raises(StoreFailed):
        await bench.commit(write(bench.store.new_key(), A, record=b"r", audit=[AuditRow("x", "a\0b", b"")]))
    # The session can be used afterwards.
    await bench.commit(write(bench.store.new_key(), A, record=b"r"))


async def test_an_actor_whose_rows_have_changed_does_not_keep_the_others(bench: Bench, url: str) -> None:
    a, b = bench.store.new_key(), bench.store.new_key()
    await bench.commit(write(a, A, record=b"a", entry=b"e"), write(b, B, record=b"b", entry=b"e"))
    await run(url, f"UPDATE log SET entry = entry || 'x' WHERE key = {a}")
    damaged, sound = await bench.store.load([A, B])
    assert isinstance(damaged, StoreDamaged)
    assert damaged.key == a
    assert sound is not None
    assert not isinstance(sound, StoreDamaged)


async def test_statements_are_prepared_again_after_a_migration(bench: Bench, url: str) -> None:
    await bench.commit(write(bench.store.new_key(), A, record=b"r", entry=b"e"))
    assert await bench.load(A) is not None
    await run(url, "ALTER TABLE actors ADD COLUMN later int")
    await run(url, "ALTER TABLE log ADD COLUMN later int")
    await bench.commit(write(bench.store.new_key(), B, record=b"r", entry=b"e"))
    assert await bench.load(B) is not None
    await run(url, "ALTER TABLE actors DROP COLUMN later")
    await run(url, "ALTER TABLE log DROP COLUMN later")


# Opening.


async def test_a_new_store_has_many_shards_and_an_old_one_keeps_its_own(server: PostgresServer) -> None:
    url = server.url()
    for shards, found in ((SHARDS_DEFAULT, 1024), (8, 1024)):
        store = PostgresStore(url, shards=shards)
        await store.open()
        assert store.shards == found
        await store.close()


@pytest.mark.parametrize(
    ("user", "database", "why"),
    [("nobody", "postgres", "does not let this user in"), ("postgres", "nowhere", "Make it: CREATE DATABASE")],
)
async def test_a_wrong_user_and_a_wrong_database_fail_at_once(
    server: PostgresServer, user: str, database: str, why: str
) -> None:
    with anyio.fail_after(5), pytest.raises(StoreFailed, match=why):
        await PostgresStore(f"postgresql://{user}@127.0.0.1:{server.port}/{database}", patience_s=60).open()


@pytest.mark.parametrize(
    "address", ["postgresql://a..b/d", f"postgresql://{'a' * 64}/d", "postgresql://h/d?sslmode=maybe"]
)
async def test_an_address_that_no_database_can_have_is_not_waited_for(address: str) -> None:
    with anyio.fail_after(5), pytest.raises(StoreFailed, match="cannot be an address of a database"):
        await PostgresStore(address, patience_s=60).open()


async def test_a_database_that_is_away_is_waited_for(
    own_server: PostgresServer, caplog: pytest.LogCaptureFixture
) -> None:
    url = own_server.url()
    own_server.stop()
    with pytest.raises(StoreFailed, match="does not answer"):
        await PostgresStore(url, patience_s=0.2).open()
    store = PostgresStore(url, shards=SHARDS, patience_s=30)
    with caplog.at_level(logging.WARNING):
        opening = asyncio.ensure_future(store.open())
        await anyio.sleep(0.1)
        await anyio.to_thread.run_sync(own_server.start)
        await opening
    assert "waiting for postgresql://postgres@127.0.0.1" in caplog.text
    await store.close()


async def test_a_commit_waits_for_a_database_that_is_away_until_patience_ends(own_server: PostgresServer) -> None:
    bench = Bench(PostgresStore(own_server.url(), shards=SHARDS, patience_s=0.5))
    await bench.store.open()
    await bench.claim()
    await anyio.to_thread.run_sync(own_server.stop)
    with pytest.raises(StoreFailed, match="is away, so nothing was written"):
        await bench.commit(write(bench.store.new_key(), A, record=b"r"))
    with pytest.raises(StoreFailed, match="is away"):
        await bench.load(A)
    await anyio.to_thread.run_sync(own_server.start)
    await bench.commit(write(bench.store.new_key(), A, record=b"r"))
    await bench.store.close()


async def test_a_store_of_a_newer_release_is_refused_and_one_that_lives_with_this_one_is_not(
    server: PostgresServer, url: str
) -> None:
    store = PostgresStore(url, shards=SHARDS)
    await store.open()
    await store.close()
    await run(url, "UPDATE meta SET value = 99 WHERE name = 'schema'")
    await store.open()
    await store.close()
    await run(url, "UPDATE meta SET value = 99 WHERE name = 'oldest'")
    with pytest.raises(StoreTooNew):
        await store.open()
    await run(url, "UPDATE meta SET value = 1 WHERE name = 'oldest'")
    await run(url, f"UPDATE meta SET value = {SCHEMA_VERSION} WHERE name = 'schema'")


async def test_a_store_that_is_being_copied_is_refused(url: str) -> None:
    store = PostgresStore(url, shards=SHARDS)
    await store.open()
    await store.close()
    await run(url, "UPDATE meta SET value = 1 WHERE name = 'copying'")
    with pytest.raises(StoreFailed, match="store copy"):
        await store.open()
    await run(url, "UPDATE meta SET value = 0 WHERE name = 'copying'")
