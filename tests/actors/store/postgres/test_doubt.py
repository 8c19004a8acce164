"""The outcome of a commit in doubt when the server refuses the requests that would settle it.

A commit whose answer is lost may have happened, even if the server refuses later connections or requests.
Each row of the table is one request that the server refuses, or that is lost, before the doubt is settled.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

import pytest

from perdure.actors.address import Address
from perdure.actors.store.errors import StoreFailed, StoreUncertain
from perdure.actors.store.postgres.driver import AsyncpgDriver, DatabaseSession, Lost, Refused, Row, Statement
from perdure.actors.store.postgres.store import PostgresStore
from perdure.actors.store.postgres.url import DatabaseUrl, parse_url

from ....support.actors.store_bench import SHARDS, Bench, write

pytestmark = pytest.mark.anyio

A, B, C = (Address("wf", id_) for id_ in "abc")

STARTING = Refused("57P03", "the database system is starting up")
FULL = Refused("53300", "sorry, too many clients already")
PASSWORD = Refused("28P01", "password authentication failed")
GONE = Refused("3D000", "database does not exist")
UNDEFINED = Refused("42P01", "relation does not exist")
DEADLOCK = Refused("40P01", "deadlock detected")
CUT = Lost("the connection was cut")

AT = ("connect", "revive", "find entry")
PASSING = [(at, error) for at in AT for error in (STARTING, FULL, DEADLOCK, CUT)]
LASTING = [(at, error) for at in AT for error in (PASSWORD, GONE, UNDEFINED)]


class Faulty(AsyncpgDriver):
    """Raises the errors of a test at the places of the test: once each, in this order."""

    def __init__(self, url: DatabaseUrl) -> None:
        super().__init__(url)
        self.faults: list[tuple[str, Exception]] = []
        self.commits_done_but_lost = 0  # the server does them, and their answers are lost
        self.commits_sent = 0

    async def connect(self, settings: Mapping[str, str]) -> DatabaseSession:
        writes = settings["application_name"].endswith("writer")
        if writes:
            self._fail("connect")
        session = await super().connect(settings)
        return FaultySession(self, session) if writes else session

    def _fail(self, at: str) -> None:
        if self.faults and self.faults[0][0] == at:
            raise self.faults.pop(0)[1]


class FaultySession:
    def __init__(self, driver: Faulty, inner: DatabaseSession) -> None:
        self._driver = driver
        self._inner = inner

    @property
    def lost(self) -> bool:
        return self._inner.lost

    async def run(self, statement: Statement, arguments: Sequence[object] = ()) -> Sequence[Row]:
        try:
            self._driver._fail(statement.name)
        except Lost:
            self._inner.terminate()
            raise
        rows = await self._inner.run(statement, arguments)
        if statement.name == "commit":
            self._driver.commits_sent += 1
            if self._driver.commits_done_but_lost:
                self._driver.commits_done_but_lost -= 1
                self._inner.terminate()
                raise CUT
        return rows

    async def run_together(self, statements: Sequence[str]) -> None:
        await self._inner.run_together(statements)

    async def close(self) -> None:
        await self._inner.close()

    def terminate(self) -> None:
        self._inner.terminate()


@asynccontextmanager
async def faulty_bench(url: str, *, patience_s: float) -> AsyncIterator[tuple[Bench, Faulty]]:
    driver = Faulty(parse_url(url))
    bench = Bench(PostgresStore(url, shards=SHARDS, patience_s=patience_s, driver=driver))
    await bench.store.open()
    await bench.claim()
    yield bench, driver
    await bench.store.close()


@pytest.mark.parametrize(("at", "error"), PASSING)
async def test_a_commit_in_doubt_is_settled_whatever_the_server_refuses_before(
    url: str, at: str, error: Exception
) -> None:
    async with faulty_bench(url, patience_s=5) as (bench, driver):
        # Given a commit that has happened, and whose answer is lost, and a server that refuses twice afterwards,
        driver.faults, driver.commits_done_but_lost = [(at, error), (at, error)], 1
        await bench.commit(write(bench.store.new_key(), A, record=b"1", entry=b"e"))
        # then it is not sent again.
        assert driver.commits_sent == 1
        assert not driver.faults
        assert (await bench.log(A)) == (b"e",)


@pytest.mark.parametrize(("at", "error"), PASSING)
async def test_a_commit_that_has_not_happened_is_sent_again_whatever_the_server_refuses_before(
    url: str, at: str, error: Exception
) -> None:
    async with faulty_bench(url, patience_s=5) as (bench, driver):
        driver.faults = [("commit", CUT), (at, error), (at, error)]
        await bench.commit(write(bench.store.new_key(), A, record=b"1", entry=b"e"))
        assert driver.commits_sent == 1
        assert not driver.faults
        assert (await bench.log(A)) == (b"e",)


@pytest.mark.parametrize(("at", "error"), LASTING)
@pytest.mark.parametrize("happened", [True, False])
async def test_a_commit_in_doubt_stays_in_doubt_when_the_server_refuses_for_good(
    url: str, at: str, error: Exception, happened: bool
) -> None:
    async with faulty_bench(url, patience_s=5) as (bench, driver):
        if happened:
            driver.faults, driver.commits_done_but_lost = [(at, error)], 1
        else:
            driver.faults = [("commit", CUT), (at, error)]
        # Neither "it is there" nor "nothing was written" would be certain.
        with pytest.raises(StoreUncertain):
            await bench.commit(write(bench.store.new_key(), A, record=b"1", entry=b"e"))
        # When the server lets it in again, then the next read settles the doubt.
        assert (await bench.load(A) is not None) is happened


@pytest.mark.parametrize("error", [DEADLOCK, FULL, STARTING])
async def test_a_commit_that_was_refused_itself_is_sent_again(url: str, error: Refused) -> None:
    async with faulty_bench(url, patience_s=5) as (bench, driver):
        driver.faults = [("commit", error), ("commit", CUT), ("connect", STARTING), ("commit", error)]
        await bench.commit(write(bench.store.new_key(), A, record=b"1", entry=b"e"))
        assert driver.commits_sent == 1
        assert not driver.faults


@pytest.mark.parametrize("before", [[], [("commit", CUT)], [("commit", CUT), ("connect", STARTING)]])
async def test_a_commit_that_was_refused_for_good_is_not_in_doubt(
    url: str, before: list[tuple[str, Exception]]
) -> None:
    async with faulty_bench(url, patience_s=5) as (bench, driver):
        driver.faults = [*before, ("commit", UNDEFINED)]
        with pytest.raises(StoreFailed, match="relation does not exist"):
            await bench.commit(write(bench.store.new_key(), A, record=b"1", entry=b"e"))
        assert await bench.load(A) is None


async def test_a_write_without_doubt_fails_for_sure_when_its_session_is_refused_for_good(url: str) -> None:
    async with faulty_bench(url, patience_s=5) as (bench, driver):
        # Given a session that is lost between two commits,
        driver.faults, driver.commits_done_but_lost = [("connect", GONE)], 1
        with pytest.raises(StoreUncertain):
            await bench.commit(write(bench.store.new_key(), A, record=b"1", entry=b"e"))
        driver.faults = [("connect", GONE)]
        # when no new session is let in, then no row of the next commit is there.
        with pytest.raises(StoreFailed, match="database does not exist") as failed:
            await bench.commit(write(bench.store.new_key(), B, record=b"1", entry=b"e"))
        assert not isinstance(failed.value, StoreUncertain)
        await bench.commit(write(bench.store.new_key(), C, record=b"1", entry=b"e"))
        assert [await bench.load(each) is not None for each in (A, B, C)] == [True, False, True]
