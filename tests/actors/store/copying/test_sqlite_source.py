"""The files of a store are read from start to end, over all parts, and damaged rows are refused."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from perdure.actors.address import Address
from perdure.actors.store.copying.copying import CopyPlace
from perdure.actors.store.copying.sqlite_source import SqliteSource
from perdure.actors.store.errors import StoreFailed
from perdure.actors.store.sqlite.store import SqliteStore

from ....support.actors.store_bench import SHARDS, Bench, write

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def made(path: Path, *ids: str) -> str:
    bench = Bench(SqliteStore(path, shards=SHARDS))
    await bench.store.open()
    await bench.claim()
    for id_ in ids:
        await bench.commit(write(bench.store.new_key(), Address("wf", id_), record=b"r", entry=b"e"))
    await bench.store.close()
    return str(path)


async def ids_of(source: SqliteSource, behind: CopyPlace = CopyPlace()) -> list[str]:  # noqa: B008  a value
    return [actor.address.id async for _, actor in source.actors(behind)]


async def test_all_files_are_read_one_after_the_other_from_any_place(tmp_path: Path) -> None:
    source = SqliteSource([await made(tmp_path / "1.db", "a", "b"), await made(tmp_path / "2.db", "c", "d")])
    assert await ids_of(source) == ["a", "b", "c", "d"]
    places = [place async for place, _ in source.actors(CopyPlace())]
    for i, place in enumerate(places):
        assert await ids_of(source, place) == ["a", "b", "c", "d"][i + 1 :]


async def test_another_store_at_the_same_place_is_another_one(tmp_path: Path) -> None:
    first = SqliteSource([await made(tmp_path / "1.db")]).identity
    (tmp_path / "1.db").unlink()
    (tmp_path / "1.db.id").unlink()
    assert SqliteSource([await made(tmp_path / "1.db")]).identity != first


async def test_an_actor_that_is_not_what_was_written_ends_it(tmp_path: Path) -> None:
    path = await made(tmp_path / "1.db", "a", "b")
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE log SET entry = x'c100000000ff' WHERE key = 2")
    with pytest.raises(StoreFailed, match="wf/b is damaged"):
        await ids_of(SqliteSource([path]))


async def test_a_file_whose_lists_are_unfinished_has_to_be_started_once(tmp_path: Path) -> None:
    path = await made(tmp_path / "1.db", "a")
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE meta SET value = 1 WHERE name = 'unlisted_key'")
    with pytest.raises(StoreFailed, match="Start it once with this release"):
        await ids_of(SqliteSource([path]))
