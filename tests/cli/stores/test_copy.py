"""`perdure store copy` makes a store of another kind, and a second run copies only the rest."""

from collections.abc import Callable
from pathlib import Path

import anyio
import pytest
from click.testing import CliRunner, Result

from perdure.actors.address import Address
from perdure.actors.store.sqlite.store import SqliteStore
from perdure.cli.main import main

from ...support.actors.store_bench import Bench, write
from ...support.postgres import PostgresServer, installed

pytestmark = pytest.mark.skipif(not installed(), reason="there is no PostgreSQL here")


@pytest.fixture
def server(postgres_server: Callable[[int], PostgresServer]) -> PostgresServer:
    return postgres_server(max(installed()))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A store in a file."""
    anyio.run(fill, tmp_path / "store.db")
    return tmp_path / "store.db"


async def fill(path: Path) -> None:
    bench = Bench(SqliteStore(path, shards=8))
    await bench.store.open()
    await bench.claim()
    for id_ in ("a", "b"):
        await bench.commit(
            write(bench.store.new_key(), Address("wf", id_), record=b"r", entry=b"e", reminders_set=[("r", 1)])
        )
    await bench.store.close()


def copy(source: object, target: object) -> Result:
    return CliRunner().invoke(main, ["store", "copy", "--from", str(source), "--to", str(target)])


def test_a_store_goes_into_a_database_and_back(file: Path, server: PostgresServer) -> None:
    url, back = server.url(), file.with_name("back.db")
    there = copy(file, url)
    assert there.exit_code == 0, there.output
    assert "both are the same: 2 instances and other actors, 2 entries of histories, 2 timers" in there.output
    assert CliRunner().invoke(main, ["store", "check", "--data", url]).exit_code == 0
    assert copy(url, back).exit_code == 0
    assert CliRunner().invoke(main, ["store", "check", "--data", str(back)]).exit_code == 0
    assert [path.name for path in file.parent.glob("back.db*")] == ["back.db"]
    assert copy(back, server.url()).exit_code == 0


def test_existing_files_are_not_overwritten(file: Path, server: PostgresServer) -> None:
    url = server.url()
    assert copy(file, url).exit_code == 0
    again = copy(file, url)
    assert again.exit_code == 1
    assert "has a store already. Name another ?schema=, or drop that one." in again.output
    other = copy(url, file)
    assert other.exit_code == 1
    assert "exists already" in other.output


def test_a_source_that_is_not_there_is_not_made(tmp_path: Path, server: PostgresServer) -> None:
    for source in (tmp_path / "none.db", server.url()):
        assert copy(source, server.url()).exit_code == 1
    assert not (tmp_path / "none.db").exists()


def test_a_copy_that_is_not_whole_is_no_store_and_is_gone_on_with(file: Path, server: PostgresServer) -> None:
    url = server.url()
    assert copy(file, url).exit_code == 0
    schema = url.partition("schema=")[2]
    server.sql(f"UPDATE {schema}.meta SET value = 1 WHERE name = 'copying'")
    refused = CliRunner().invoke(main, ["store", "ls", "--data", url])
    assert refused.exit_code == 1
    assert "`perdure store copy`, which has not ended" in refused.output
