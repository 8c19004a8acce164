"""Tables are made once, by the first host; a step only adds, so that hosts of older releases can live on."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from hashlib import sha256
from typing import Any, cast

import anyio
import pytest

from perdure.actors.store.errors import StoreFailed, StoreForeign
from perdure.actors.store.postgres import schema
from perdure.actors.store.postgres.driver import AsyncpgDriver, DatabaseSession, Refused, Row, Statement
from perdure.actors.store.postgres.schema import Migration, make_ready, read_meta
from perdure.actors.store.postgres.settings import session_settings
from perdure.actors.store.postgres.statements import JOIN
from perdure.actors.store.postgres.url import DatabaseUrl, parse_url
from perdure.actors.store.presence.apps import AppNames

from ....support.postgres import PostgresServer

pytestmark = pytest.mark.anyio

# Tables that exist in databases already. A change of this release's tables is a new version and a step that leads to
# it.
VERSIONS = {1: "c4a461", 2: "60f56d", 3: "896fe6", 4: "ab2a02", 5: "d5e3e8"}


async def session_of(url: DatabaseUrl) -> DatabaseSession:
    return await AsyncpgDriver(url).connect(session_settings(url, "test"))


def test_the_tables_of_a_version_never_change() -> None:
    text = "\n".join(" ".join(statement.split()) for statement in schema.TABLES)
    assert sha256(text.encode()).hexdigest()[:6] == VERSIONS[schema.SCHEMA_VERSION]
    assert set(schema.STEPS) == set(range(1, schema.SCHEMA_VERSION))


async def test_hosts_that_come_at_once_make_the_tables_once(server: PostgresServer) -> None:
    url = parse_url(server.url())
    sessions = [await session_of(url) for _ in range(4)]
    found = await asyncio.gather(*(make_ready(each, url, shards=8, now_us=i) for i, each in enumerate(sessions)))
    assert all(meta == found[0] for meta in found)
    rows = await sessions[0].run(Statement("x", "SELECT count(*), max(shard) FROM shards"))
    assert tuple(rows[0]) == (8, 7)
    for session in sessions:
        await session.close()


class SlowSession:
    """A session of a host that is held up after its first statement, until another host has made the tables."""

    def __init__(self, session: DatabaseSession, meanwhile: Callable[[], Awaitable[object]]) -> None:
        self._session = session
        self._meanwhile: Callable[[], Awaitable[object]] | None = meanwhile

    async def run(self, statement: Statement, arguments: Sequence[Any] = ()) -> Sequence[Row]:
        meanwhile, self._meanwhile = self._meanwhile, None
        try:
            return await self._session.run(statement, arguments)
        finally:
            if meanwhile is not None:
                await meanwhile()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)


async def test_tables_that_another_host_makes_meanwhile_are_no_other_programs(server: PostgresServer) -> None:
    url = parse_url(server.url())
    first, second = [await session_of(url) for _ in range(2)]
    # Given a host that has found no tables, and another one that makes them before the first continues,
    slow = SlowSession(first, lambda: make_ready(second, url, shards=8, now_us=2))
    # when it continues, then it has the store that the other one has made.
    meta = await make_ready(cast(DatabaseSession, slow), url, shards=4, now_us=1)
    assert (meta[schema.SHARDS], meta[schema.CREATED_US]) == (8, 2)
    for session in (first, second):
        await session.close()


async def test_a_schema_of_another_program_is_left_alone(server: PostgresServer) -> None:
    url = parse_url(server.url())
    session = await session_of(url)
    await session.run_together([f"CREATE SCHEMA {url.schema}", "CREATE TABLE log (line text)"])
    with pytest.raises(StoreForeign):
        await make_ready(session, url, shards=8, now_us=1)
    await session.close()


async def test_a_step_is_taken_once_and_waits_for_no_lock_for_long(
    server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a store of this release,
    url = parse_url(server.url())
    sessions = [await session_of(url) for _ in range(3)]
    await make_ready(sessions[0], url, shards=8, now_us=1)
    # when a release with the next version comes on several hosts, while another session reads the table,
    now, then = schema.SCHEMA_VERSION, schema.SCHEMA_VERSION + 1
    monkeypatch.setattr(schema, "SCHEMA_VERSION", then)
    monkeypatch.setattr(schema, "LOCK_WAIT_MS", 50)
    step = Migration(
        statements=["ALTER TABLE actors ADD COLUMN later int"],
        indexes=["CREATE INDEX CONCURRENTLY IF NOT EXISTS actors_later ON actors (updated_us)"],
        oldest=then,
    )
    monkeypatch.setattr(schema, "STEPS", {now: step})
    holder = await session_of(url)
    await holder.run_together(["SET idle_in_transaction_session_timeout = 0"])
    await holder.run(Statement("begin", "BEGIN"))
    await holder.run(Statement("read", "SELECT count(*) FROM actors"))
    stepping = asyncio.gather(*(make_ready(each, url, shards=8, now_us=1) for each in sessions[:1]))
    await anyio.sleep(0.3)
    # then commits do not queue up behind it,
    with anyio.fail_after(2):
        await sessions[2].run(Statement("write", "INSERT INTO tallies VALUES (1, 1)"))
    await holder.run(Statement("commit", "COMMIT"))
    await stepping
    await asyncio.gather(*(make_ready(each, url, shards=8, now_us=1) for each in sessions[1:]))
    # and the step is taken once.
    meta = await read_meta(sessions[0])
    assert meta is not None
    assert (meta[schema.VERSION], meta[schema.OLDEST]) == (then, then)
    for session in (*sessions, holder):
        await session.close()


async def test_a_version_that_was_set_back_by_hand_ends_in_a_sentence_and_changes_nothing(
    server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a store of this release whose tables are sound, and whose version was set back,
    url = parse_url(server.url())
    session = await session_of(url)
    await make_ready(session, url, shards=8, now_us=1)
    await session.run_together([f"UPDATE meta SET value = 1 WHERE name = '{schema.VERSION}'"])
    before = await read_meta(session)
    tries = []
    migrate = schema._migrate

    async def counted(*arguments: Any, **named: Any) -> None:
        tries.append(1)
        await migrate(*arguments, **named)

    monkeypatch.setattr(schema, "_migrate", counted)
    # when a host starts, then it tries as often as another one could be faster, and the error names the found version.
    with anyio.fail_after(20), pytest.raises(StoreFailed, match=r"has version 1, and its tables are of a later one"):
        await make_ready(session, url, shards=8, now_us=1)
    assert len(tries) == schema.FASTER_MAX + 1
    assert await read_meta(session) == before
    await session.close()


async def as_of_version_1(session: DatabaseSession) -> None:
    """Change the tables of a store to those of release 0.1.0."""
    await session.run_together(
        [
            "DROP TABLE items, flights",
            "ALTER TABLE hosts DROP COLUMN format_max, DROP COLUMN apps",
            f"DELETE FROM meta WHERE name = '{schema.FORMAT}'",
            f"UPDATE meta SET value = 1 WHERE name = '{schema.VERSION}'",
            # A living host of that release.
            "INSERT INTO hosts (host, state, name, place, address, release, wire_min, wire_max)"
            " VALUES (7, 0, 'm', 'boot/1/1', '', '0', 1, 1)",
            "INSERT INTO beats (host) VALUES (7)",
        ]
    )


async def test_a_store_of_the_first_version_says_nothing_of_formats_and_its_hosts_read_the_first(
    server: PostgresServer,
) -> None:
    url = parse_url(server.url())
    session = await session_of(url)
    await make_ready(session, url, shards=8, now_us=1)
    await as_of_version_1(session)
    meta = await make_ready(session, url, shards=8, now_us=1)
    assert (meta[schema.VERSION], meta[schema.OLDEST], meta[schema.FORMAT]) == (schema.SCHEMA_VERSION, 1, 1)
    # A host of version 1 lives on, and keeps the format where it is.
    assert await schema.raise_format(session, 2) == 1
    await session.run_together(["DELETE FROM beats", "DELETE FROM hosts"])
    assert await schema.raise_format(session, 2) == 2
    # A new host of version 1 could not read the rows: it is refused when it reads the version.
    assert (await read_meta(session) or {})[schema.OLDEST] == 2
    await session.close()


async def test_a_host_that_joins_while_the_format_is_raised_is_seen(server: PostgresServer) -> None:
    url = parse_url(server.url())
    raiser, joiner = await session_of(url), await session_of(url)
    await make_ready(raiser, url, shards=8, now_us=1)
    # Given a host whose join is under way,
    await joiner.run_together(["SET idle_in_transaction_session_timeout = 0"])
    await joiner.run(Statement("begin", "BEGIN"))
    assert await joiner.run(JOIN, (7, 0, "m", "boot/1/1", "", "0", 1, 1, 1, []))
    # when another one raises the format,
    raising = asyncio.ensure_future(schema.raise_format(raiser, 2))
    await anyio.sleep(0.1)
    assert not raising.done()
    # then it waits for the joining host, and sees it.
    await joiner.run(Statement("commit", "COMMIT"))
    assert await raising == 1
    for session in (raiser, joiner):
        await session.close()


async def test_a_host_that_joins_behind_one_that_raises_the_format_is_refused(server: PostgresServer) -> None:
    url = parse_url(server.url())
    raiser, joiner = await session_of(url), await session_of(url)
    await make_ready(raiser, url, shards=8, now_us=1)
    await raiser.run_together(["SET idle_in_transaction_session_timeout = 0"])
    await raiser.run(Statement("begin", "BEGIN"))
    await raiser.run(Statement("raise", f"UPDATE meta SET value = 2 WHERE name = '{schema.FORMAT}'"))
    joining = asyncio.ensure_future(joiner.run(JOIN, (7, 0, "m", "boot/1/1", "", "0", 1, 1, 1, [])))
    await anyio.sleep(0.1)
    assert not joining.done()
    await raiser.run(Statement("commit", "COMMIT"))
    assert list(await joining) == []
    assert (await joiner.run(Statement("n", "SELECT count(*) FROM beats")))[0][0] == 0
    for session in (raiser, joiner):
        await session.close()


async def test_an_index_whose_maker_ended_in_the_middle_is_made_anew(
    server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given an index that exists and is invalid, because its creation has failed,
    url = parse_url(server.url())
    session = await session_of(url)
    await make_ready(session, url, shards=8, now_us=1)
    await session.run_together(["INSERT INTO tallies VALUES (1, 1), (1, 2)"])
    index = "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS tallies_kind ON tallies (kind)"
    with pytest.raises(Refused):
        await session.run(Statement("index", index))
    await session.run_together(["DELETE FROM tallies"])
    # when the step is taken, the index is valid.
    now = schema.SCHEMA_VERSION
    monkeypatch.setattr(schema, "SCHEMA_VERSION", now + 1)
    monkeypatch.setattr(schema, "STEPS", {now: Migration(indexes=[index])})
    await make_ready(session, url, shards=8, now_us=1)
    assert not await session.run(schema.HALF_MADE, ("tallies_kind",))
    with pytest.raises(Refused):
        await session.run_together(["INSERT INTO tallies VALUES (1, 1), (1, 2)"])
    await session.close()


async def test_apps_get_numbers_and_each_but_the_first_shards_of_its_own(server: PostgresServer) -> None:
    url = parse_url(server.url())
    sessions = [await session_of(url) for _ in range(3)]
    await make_ready(sessions[0], url, shards=8, now_us=1)
    assert await schema.enter_apps(sessions[0], url, AppNames()) == {}
    # Hosts that come at once with different apps
    entered = [schema.enter_apps(each, url, AppNames((f"a{n}", "it's"))) for n, each in enumerate(sessions)]
    await asyncio.gather(*entered)
    # all know the same apps, each with its own number,
    apps = await schema.enter_apps(sessions[0], url, AppNames(("a1",)))
    assert sorted(apps) == ["a0", "a1", "a2", "it's"]
    assert sorted(apps.values()) == [0, 1, 2, 3]
    rows = await sessions[0].run(Statement("shards", "SELECT count(*), max(shard) FROM shards"))
    assert tuple(rows[0]) == (32, 31)
    # and a release that knows one app is refused from now on.
    assert (await read_meta(sessions[0]) or {})[schema.OLDEST] == schema.SEVERAL_APPS
    for session in sessions:
        await session.close()


async def test_a_second_app_waits_for_the_upgrade_of_hosts_that_know_one(server: PostgresServer) -> None:
    url = parse_url(server.url())
    session = await session_of(url)
    await make_ready(session, url, shards=8, now_us=1)
    await as_of_version_1(session)
    await make_ready(session, url, shards=8, now_us=1)
    assert await schema.enter_apps(session, url, AppNames(("shop",))) == {"shop": 0}
    with pytest.raises(StoreFailed, match="a host on m has release 0, which knows of no other"):
        await schema.enter_apps(session, url, AppNames(("bank",)))
    await session.run_together(["DELETE FROM beats", "DELETE FROM hosts"])
    assert await schema.enter_apps(session, url, AppNames(("bank",))) == {"shop": 0, "bank": 1}
    await session.close()
