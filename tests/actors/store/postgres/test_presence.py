"""A store has one host at a time: a second one is refused while the first lives, and takes over when it is dead."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest

from perdure.actors.address import Address
from perdure.actors.store.errors import StoreInUse, StoreTakenOver
from perdure.actors.store.postgres import presence
from perdure.actors.store.postgres.driver import AsyncpgDriver, DatabaseSession, Lost, Statement
from perdure.actors.store.postgres.presence import PostgresBeater
from perdure.actors.store.postgres.settings import session_settings as of
from perdure.actors.store.postgres.store import PostgresStore
from perdure.actors.store.postgres.url import parse_url
from perdure.actors.store.presence import place
from perdure.actors.store.presence.beats import BEAT_S

from ....support.actors.store_bench import SHARDS, Bench, write
from ....support.postgres import PostgresServer

pytestmark = pytest.mark.anyio

A = Address("wf", "a")
# A host of another machine: its place proves nothing here.
INSERT = (
    "WITH b AS (INSERT INTO beats (host, beat) VALUES (7, $2))"
    " INSERT INTO hosts VALUES (7, 0, $1, 'there', $3, '', '0', 1, 1)"
)
TAKE = "UPDATE shards SET host = 7, epoch = 5"


@asynccontextmanager
async def session_with(url: str) -> AsyncIterator[DatabaseSession]:
    parsed = parse_url(url)
    session = await AsyncpgDriver(parsed).connect({"application_name": "test", "search_path": parsed.schema})
    try:
        yield session
    finally:
        session.terminate()


async def a_host_that_is_there(url: str, *, state: int = presence.SERVING, at: str = "elsewhere/1/1") -> None:
    """Leave a host's rows in a store, as one that was killed does."""
    store = PostgresStore(url, shards=SHARDS)
    await store.open()
    await store.close()
    async with session_with(url) as session:
        await session.run(Statement("insert", INSERT), (state, 40, at))
        await session.run(Statement("take", TAKE))


async def hosts_in(url: str) -> list[int]:
    async with session_with(url) as session:
        return [host for (host,) in await session.run(Statement("hosts", "SELECT host FROM hosts"))]


async def test_a_second_host_is_refused_while_the_first_lives(bench: Bench, url: str) -> None:
    before = await hosts_in(url)
    with pytest.raises(StoreInUse, match=r"is in use by the host on .* which lives. This operation needs"):
        await PostgresStore(url, shards=SHARDS).open()
    # The refused host leaves no rows, and the first still works.
    assert await hosts_in(url) == before
    await bench.commit(write(bench.store.new_key(), A, record=b"r"))


async def test_a_host_that_beats_is_alive_wherever_it_is(url: str) -> None:
    await a_host_that_is_there(url)
    beat = Statement("beat", "UPDATE beats SET beat = beat + 1 WHERE host = 7")
    async with session_with(url) as session:
        opening = asyncio.ensure_future(PostgresStore(url, shards=SHARDS).open())
        while not opening.done():
            await session.run(beat)
            await anyio.sleep(0.1)
        with pytest.raises(StoreInUse, match="the host on there"):
            await opening


async def test_a_host_whose_number_stands_still_is_dead_and_its_shards_are_taken(url: str) -> None:
    await a_host_that_is_there(url)
    bench = Bench(PostgresStore(url, shards=SHARDS))
    began = anyio.current_time()
    await bench.store.open()
    assert anyio.current_time() - began >= presence.DEAD_S
    await bench.claim()
    assert set(bench.fences.values()) == {6}
    assert 7 not in await hosts_in(url)
    await bench.store.close()


async def test_a_host_whose_process_has_ended_here_is_dead_at_once(url: str) -> None:
    gone = place.own_place().rpartition("/")[0] + "/17"
    await a_host_that_is_there(url, at=gone)
    store = PostgresStore(url, shards=SHARDS)
    began = anyio.current_time()
    await store.open()
    assert anyio.current_time() - began < presence.DEAD_S
    assert 7 not in await hosts_in(url)
    await store.close()


async def test_one_that_joins_waits_for_another_that_does_and_came_first(url: str) -> None:
    # Given a host that began to join, and beats, then goes away,
    await a_host_that_is_there(url, state=presence.JOINING)
    async with session_with(url) as session:
        store = PostgresStore(url, shards=SHARDS, patience_s=20)
        opening = asyncio.ensure_future(store.open())
        for _ in range(5):
            await session.run(Statement("beat", "UPDATE beats SET beat = beat + 1"))
            await anyio.sleep(0.1)
        assert not opening.done()
        await session.run(
            Statement("gone", "WITH h AS (DELETE FROM hosts WHERE host = 7) DELETE FROM beats WHERE host = 7")
        )
        with anyio.fail_after(5):
            await opening
    await store.close()


async def test_a_host_that_froze_within_its_commit_is_ended(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presence, "KILL_S", 0.2)
    await a_host_that_is_there(url, at=place.own_place().rpartition("/")[0] + "/17")
    # Given a session that holds the lock of a host's row, and is silent,
    async with session_with(url) as frozen:
        await frozen.run(Statement("begin", "BEGIN"))
        await frozen.run(Statement("fence", "SELECT 1 FROM hosts WHERE host = 7 FOR KEY SHARE"))
        store = PostgresStore(url, shards=SHARDS)
        with anyio.fail_after(5):
            await store.open()
        await store.close()


async def test_a_host_learns_from_its_beat_that_it_is_dead(bench: Bench, url: str) -> None:
    async with session_with(url) as session:
        await session.run(Statement("kill", "WITH h AS (DELETE FROM hosts) DELETE FROM beats"))
    with anyio.fail_after(5):
        while bench.store.intact:
            await anyio.sleep(0.05)
    with pytest.raises(StoreTakenOver, match="Nothing more is written by this process"):
        await bench.commit(write(1, A, record=b"r"))


async def test_a_host_that_is_alone_only_reads_and_one_that_is_not_beats(bench: Bench, url: str) -> None:
    number = Statement("number", "SELECT beat FROM beats WHERE host <> 9")
    async with session_with(url) as session:
        before = list((await session.run(number))[0])
        await anyio.sleep(2.5 * BEAT_S)
        assert list((await session.run(number))[0]) == before
        await session.run(Statement("other", "INSERT INTO beats VALUES (9, 1)"))
        with anyio.fail_after(5):
            while list((await session.run(number))[0]) == before:
                await anyio.sleep(0.05)


@pytest.mark.parametrize("synchronous", [True, False])
async def test_a_host_that_is_alone_beats_where_commits_wait_for_a_standby_and_fails_once_it_is_gone(
    own_server: PostgresServer, synchronous: bool
) -> None:
    url = own_server.url()
    await a_host_that_is_there(url)
    parsed = parse_url(url)
    number = Statement("number", "SELECT beat FROM beats")
    with own_server.standby() as standby:
        if synchronous:
            await asyncio.to_thread(own_server.wait_for_standbys, "pg_receivewal")
        beater = PostgresBeater(7, parsed, lambda purpose: AsyncpgDriver(parsed).connect(of(parsed, purpose)))
        async with session_with(url) as session:
            for _ in range(2):
                assert (await beater.beat(alone=True)).alive
            assert [tuple(row) for row in await session.run(number)] == [(42 if synchronous else 40,)]
            # A primary without its standbys answers reads, and no beat.
            standby.send_signal(signal.SIGSTOP)
            if synchronous:
                with pytest.raises(Lost):
                    await beater.beat(alone=True)
            else:
                assert (await beater.beat(alone=True)).alive
        await beater.close()


async def test_beats_that_wait_for_a_standby_which_is_gone_do_not_use_up_the_connections_of_the_server(
    own_server: PostgresServer,
) -> None:
    # Given a host whose beats wait for a standby that has gone, and are cut off after a second,
    url = own_server.url()
    await a_host_that_is_there(url)
    parsed = parse_url(url)
    beats = Statement("count", "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'perdure beat'")
    with own_server.standby() as standby:
        await asyncio.to_thread(own_server.wait_for_standbys, "pg_receivewal")
        beater = PostgresBeater(7, parsed, lambda purpose: AsyncpgDriver(parsed).connect(of(parsed, purpose)))
        async with session_with(url) as session:
            standby.send_signal(signal.SIGSTOP)
            # when it continues to beat,
            for _ in range(5):
                with pytest.raises(Lost):
                    await beater.beat(alone=False)
            # then its only sessions are the one that waits for the standby, and those that were cut off just now.
            with anyio.fail_after(10):
                while (await session.run(beats))[0][0] > 2:
                    await anyio.sleep(0.1)
        await beater.close()


async def test_a_store_says_that_no_commit_waits_for_the_standbys_that_there_are(
    own_server: PostgresServer, caplog: pytest.LogCaptureFixture
) -> None:
    def warned() -> bool:
        return any("waits for none of them" in record.getMessage() for record in caplog.records)

    async def opened() -> None:
        store = PostgresStore(own_server.url(), shards=SHARDS)
        await store.open()
        await store.close()

    await opened()
    assert not warned()
    with own_server.standby():
        await opened()
        assert warned()
        caplog.clear()
        await asyncio.to_thread(own_server.wait_for_standbys, "pg_receivewal")
        await opened()
        assert not warned()


async def test_a_store_that_was_closed_leaves_no_host(url: str) -> None:
    store = PostgresStore(url, shards=SHARDS)
    await store.open()
    assert len(await hosts_in(url)) == 1
    await store.close()
    assert await hosts_in(url) == []


async def test_a_store_is_closed_while_its_database_hangs(own_server: PostgresServer) -> None:
    store = PostgresStore(own_server.url(), shards=SHARDS, patience_s=1)
    await store.open()
    own_server.freeze()
    with anyio.fail_after(5):
        await store.close()
    own_server.thaw()
