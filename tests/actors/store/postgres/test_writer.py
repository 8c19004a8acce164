"""A commit happens once or not at all, with any break of its connection, and a dead host commits nothing."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest

from perdure.actors.address import Address
from perdure.actors.store.audit import AuditFilter, AuditRow
from perdure.actors.store.contract import Stored, Write
from perdure.actors.store.errors import StoreFailed, StoreTakenOver, StoreUncertain
from perdure.actors.store.listing import Facets, ListFilter
from perdure.actors.store.postgres.driver import AsyncpgDriver, DatabaseSession, Statement
from perdure.actors.store.postgres.store import PostgresStore
from perdure.actors.store.postgres.url import parse_url

from ....support.actors.store_bench import SHARDS, Bench, write
from ....support.actors.stores import emptied
from ....support.cutting_proxy import CuttingProxy, cutting_proxy
from ....support.postgres import PostgresServer

pytestmark = pytest.mark.anyio

A, B = Address("wf", "a"), Address("wf", "b")
FACETS = Facets("N", "R", 1, 1)


@asynccontextmanager
async def store_behind(server: PostgresServer, *, patience_s: float = 5.0) -> AsyncIterator[tuple[Bench, CuttingProxy]]:
    url = await emptied(server, schema=f"conformance_{SHARDS}")
    async with cutting_proxy(server.port) as proxy:
        bench = Bench(
            PostgresStore(url.replace(f":{server.port}/", f":{proxy.port}/"), shards=SHARDS, patience_s=patience_s)
        )
        await bench.store.open()
        await bench.claim()
        try:
            yield bench, proxy
        finally:
            proxy.refuses = False
            await bench.store.close()


@asynccontextmanager
async def session_with(url: str) -> AsyncIterator[DatabaseSession]:
    """A session of another program."""
    parsed = parse_url(url)
    session = await AsyncpgDriver(parsed).connect({"application_name": "test", "search_path": parsed.schema})
    try:
        yield session
    finally:
        session.terminate()


def start(bench: Bench, address: Address) -> Write:
    return write(
        bench.store.new_key(), address, record=b"r", entry=b"e", active=True, facets=FACETS,
        reminders_set=[("r", 5)], audit=[AuditRow("start", "ann", b"")],
    )  # fmt: skip


async def require_once(bench: Bench, *addresses: Address) -> None:
    """Check that each of these was started once, in every table, and nothing else."""
    for stored in await bench.store.load(addresses):
        assert isinstance(stored, Stored)
        assert (stored.record, stored.entries, stored.active, stored.facets) == (b"r", (b"e",), True, FACETS)
    assert len(await bench.store.reminders(after=None, limit=9999)) == len(addresses)
    audit = await bench.store.audit(AuditFilter(), cursor=None, limit=9999)
    assert sorted(row.id for row in audit.rows) == sorted(address.id for address in addresses)
    counted = await bench.store.count("wf", ListFilter(), by=())
    assert counted.groups[0].total == len(addresses)


# Breaks of the connection.


async def test_a_commit_happens_once_wherever_its_connection_is_cut(server: PostgresServer) -> None:
    async with store_behind(server) as (bench, proxy):
        # Given the number of bytes that a prepared commit sends and receives,
        done = [Address("wf", "first"), Address("wf", "second")]
        await bench.commit(start(bench, done[0]))
        requests, answers = proxy.requests, proxy.answers
        await bench.commit(start(bench, done[1]))
        sent, answered = proxy.requests - requests, proxy.answers - answers
        assert sent > 200
        assert answered > 10
        # when the connection of a commit is cut after each number of bytes in either direction,
        cuts = [("there", at) for at in (*range(1, sent, sent // 12), *range(sent - 6, sent + 1))]
        cuts += [("back", at) for at in (1, *range(6, answered, answered // 6), answered)]
        for i, (way, at) in enumerate(cuts):
            address = Address("wf", f"cut-{i}")
            if way == "there":
                proxy.requests_left = at
            else:
                proxy.answers_left = at
            await bench.commit(start(bench, address))
            done.append(address)
            # Once more on the new connection, so that the next cut hits a prepared commit as well.
            extra = Address("wf", f"extra-{i}")
            await bench.commit(start(bench, extra))
            done.append(extra)
        assert proxy.cuts == len(cuts)
        assert isinstance(bench.store, PostgresStore)
        assert 0 < bench.store.doubts.in_doubt <= len(cuts)
        assert bench.store.doubts.uncertain == 0
        # then each has happened once, in all tables.
        await require_once(bench, *done)


async def test_a_commit_without_an_entry_is_found_again_too(server: PostgresServer) -> None:
    async with store_behind(server) as (bench, proxy):
        keys = {}
        for i in range(8):
            await bench.commit(write(0, A, audit=[AuditRow("first", "ann", b"")]))
            proxy.answers_left = 1
            # If they were sent again, the insert would be refused, and the audit would be written twice.
            address = Address("wf", f"no-entry-{i}")
            keys[address] = bench.store.new_key()
            await bench.commit(write(keys[address], address, record=b"r", audit=[AuditRow("once", "ann", b"")]))
        assert proxy.cuts == 8
        audit = await bench.store.audit(AuditFilter(action="once"), cursor=None, limit=99)
        assert len(audit.rows) == 8
        assert [stored is not None for stored in await bench.store.load(list(keys))] == [True] * 8


async def test_what_a_cut_session_may_still_send_is_void(server: PostgresServer) -> None:
    # Given a host, and a session that has the fence of its life before,
    async with store_behind(server) as (bench, proxy):
        await bench.commit(start(bench, A))
        proxy.answers_left = 1
        await bench.commit(start(bench, B))
        # when that is sent late,
        late = Statement("late", "SELECT 1 FROM hosts WHERE life = 1 FOR KEY SHARE")
        assert isinstance(bench.store, PostgresStore)
        async with session_with(server.url(schema=f"conformance_{SHARDS}")) as session:
            # then the fenced row does not exist any more.
            assert not await session.run(late)
            assert len(await session.run(Statement("now", "SELECT 1 FROM hosts WHERE life = 2"))) == 1


async def test_an_outcome_that_cannot_be_looked_up_stays_unknown(server: PostgresServer) -> None:
    # Given a commit whose answer is lost, and a database that is away from then on,
    async with store_behind(server, patience_s=0.3) as (bench, proxy):
        await bench.commit(start(bench, A))
        proxy.answers_left = 1
        proxy.refuses = True
        # then the error says that it may have happened, which differs from a failure that can be tried again.
        with pytest.raises(StoreUncertain, match="may have happened") as uncertain:
            await bench.commit(start(bench, B))
        assert not isinstance(uncertain.value, StoreFailed)
        # Nothing is read or written before the outcome is known;
        with pytest.raises(StoreFailed, match="is away"):
            await bench.load(B)
        with pytest.raises(StoreFailed, match="nothing was written"):
            await bench.commit(start(bench, Address("wf", "c")))
        # then the store settles it, and takes the next one.
        proxy.refuses = False
        await require_once(bench, A, B)
        await bench.commit(start(bench, Address("wf", "c")))
        await require_once(bench, A, B, Address("wf", "c"))


async def test_a_key_of_a_commit_in_doubt_is_not_written_for_the_first_time_again(server: PostgresServer) -> None:
    async with store_behind(server, patience_s=0.3) as (bench, proxy):
        await bench.commit(start(bench, A))
        proxy.answers_left, proxy.refuses = 1, True
        with pytest.raises(StoreUncertain):
            await bench.commit(start(bench, B))
        proxy.refuses = False
        stored = await bench.load(B)
        assert stored is not None
        await bench.commit(write(stored.key, B, record=b"2", entry=b"2"))
        assert (await bench.load(B)) == Stored(
            key=stored.key, record=b"2", entries=(b"e", b"2"), active=True, facets=FACETS
        )


async def test_a_database_that_was_killed_has_all_that_was_acknowledged_once(own_server: PostgresServer) -> None:
    # Given a host that commits, one after the other,
    bench = Bench(PostgresStore(own_server.url(), shards=SHARDS, patience_s=30))
    await bench.store.open()
    await bench.claim()
    done: list[Address] = []
    stop = asyncio.Event()

    async def commits() -> None:
        while not stop.is_set():
            address = Address("wf", f"{len(done)}")
            await bench.commit(start(bench, address))
            done.append(address)

    task = asyncio.ensure_future(commits())
    # when the server is killed, and started again,
    for _ in range(2):
        await anyio.sleep(0.1)
        await anyio.to_thread.run_sync(own_server.crash)
        await anyio.to_thread.run_sync(own_server.start)
    enough = len(done) + 20
    with anyio.fail_after(60):
        while len(done) < enough and not task.done():
            await anyio.sleep(0.01)
    stop.set()
    await task
    # then it has continued, no caller has seen an error, and each commit is there once.
    await require_once(bench, *done)
    await bench.store.close()


# The fence.


async def test_a_killer_waits_for_a_commit_that_is_under_way_and_its_rows_are_there(bench: Bench, url: str) -> None:
    async with session_with(url) as holder, session_with(url) as killer:
        # Given a commit that has passed the fence, and waits for a row that another session is inserting,
        begun = start(bench, A)
        await holder.run(Statement("begin", "BEGIN"))
        await holder.run(Statement("insert", f"INSERT INTO reminders VALUES (5, {begun.key}, 'r', 0)"))
        commit = asyncio.ensure_future(bench.commit(begun))
        await waiting(holder, "perdure writer")
        # when the host is killed meanwhile,
        kill = asyncio.ensure_future(killer.run(Statement("kill", "DELETE FROM hosts RETURNING host")))
        await waiting(holder, "test")
        await holder.run(Statement("rollback", "ROLLBACK"))
        # then the commit is there, and the kill is done, and there is no further commit.
        await commit
        assert len(await kill) == 1
    await require_once(bench, A)
    with pytest.raises(StoreTakenOver, match="taken the store over"):
        await bench.commit(start(bench, B))
    assert not bench.store.intact


async def test_a_commit_that_waits_for_a_killer_writes_nothing_in_any_table(bench: Bench, url: str) -> None:
    await bench.commit(start(bench, A))
    tables = ("actors", "log", "reminders", "audit", "tallies", "tags")
    count = Statement("count", "SELECT " + ", ".join(f"(SELECT count(*) FROM {table})" for table in tables))
    async with session_with(url) as killer:
        before = list((await killer.run(count))[0])
        await killer.run(Statement("begin", "BEGIN"))
        await killer.run(Statement("kill", "DELETE FROM hosts"))
        commit = asyncio.ensure_future(bench.commit(start(bench, B)))
        await waiting(killer, "perdure writer")
        await killer.run(Statement("commit", "COMMIT"))
        with pytest.raises(StoreTakenOver):
            await commit
        assert list((await killer.run(count))[0]) == before


async def test_an_update_of_the_row_does_not_hold_a_commit_up(bench: Bench, url: str) -> None:
    async with session_with(url) as other:
        await other.run(Statement("begin", "BEGIN"))
        await other.run(Statement("update", "UPDATE hosts SET state = 1"))
        with anyio.fail_after(5):
            await bench.commit(start(bench, A))


async def test_a_server_that_was_promoted_ends_the_host(bench: Bench) -> None:
    # Given a host that knows another timeline than its server has now, as after a failover,
    await bench.commit(start(bench, A))
    store = bench.store
    assert isinstance(store, PostgresStore)
    assert store._open is not None
    store._open.writer._timeline = "00000099"
    # then it writes nothing, because its memory may be ahead of the server.
    with pytest.raises(StoreTakenOver, match="timeline 00000001, was 00000099"):
        await bench.commit(start(bench, B))
    assert not store.intact
    with pytest.raises(StoreTakenOver):
        await bench.load(A)


# Never cancelled.


async def test_a_commit_is_never_cancelled(bench: Bench, url: str, server: PostgresServer) -> None:
    log = server.folder / "log"
    before = log.read_text().count("canceling statement")
    async with session_with(url) as holder:
        await holder.run(Statement("begin", "BEGIN"))
        await holder.run(Statement("lock", "LOCK TABLE log IN SHARE MODE"))

        async def commit() -> None:
            with anyio.move_on_after(1.0):
                await bench.commit(start(bench, A))

        task = asyncio.ensure_future(commit())
        await waiting(holder, "perdure writer")
        await anyio.sleep(1.2)
        assert not task.done()
        await holder.run(Statement("commit", "COMMIT"))
        await task
    await require_once(bench, A)
    assert log.read_text().count("canceling statement") == before


async def test_a_commit_that_did_not_wait_for_its_standby_is_in_doubt(own_server: PostgresServer) -> None:
    # Given a server that waits for a standby which is not there,
    url = own_server.url()
    bench = Bench(PostgresStore(url, shards=SHARDS, patience_s=20))
    await bench.store.open()
    await bench.claim()
    async with session_with(url) as other:
        await other.run(Statement("set", "ALTER SYSTEM SET synchronous_standby_names = 'nobody'"))
        await other.run(Statement("reload", "SELECT pg_reload_conf()"))
        await until(other, "SELECT setting = 'nobody' FROM pg_settings WHERE name = 'synchronous_standby_names'")
        await anyio.sleep(0.2)
        commit = asyncio.ensure_future(bench.commit(start(bench, A)))
        wait = "SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
        await until(other, wait)
        # when a person cancels the wait, then the server reports success, with a warning,
        await other.run(
            Statement("cancel", "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'")
        )
        await anyio.sleep(0.3)
        # and the commit counts only after another commit of the same session has been replicated.
        assert not commit.done()
        await until(other, wait)
        await other.run(Statement("reset", "ALTER SYSTEM RESET synchronous_standby_names"))
        await other.run(Statement("reload", "SELECT pg_reload_conf()"))
        with anyio.fail_after(10):
            await commit
    await require_once(bench, A)
    await bench.store.close()


async def waiting(session: DatabaseSession, application: str) -> None:
    """Wait until a session of that name waits for a lock."""
    await until(
        session,
        "SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name = $1",
        application,
    )


async def until(session: DatabaseSession, question: str, *arguments: str) -> None:
    with anyio.fail_after(10):
        while not (await session.run(Statement("question", question), arguments))[0][0]:
            await anyio.sleep(0.01)


async def test_a_database_that_hangs_leaves_a_commit_in_doubt_when_patience_ends(own_server: PostgresServer) -> None:
    bench = Bench(PostgresStore(own_server.url(), shards=SHARDS, patience_s=0.5))
    await bench.store.open()
    await bench.claim()
    await bench.commit(start(bench, A))
    own_server.freeze()
    with pytest.raises(StoreUncertain):
        await bench.commit(start(bench, B))
    own_server.thaw()
    # The bytes in its buffers are void, or have been executed before: in either case this is settled before a read.
    with anyio.fail_after(10):
        stored = await bench.load(B)
    await require_once(bench, *([A] if stored is None else [A, B]))
    await anyio.sleep(0.2)
    assert (await bench.load(B) is None) is (stored is None)
    await bench.store.close()
