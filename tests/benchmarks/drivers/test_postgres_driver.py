"""A run on PostgreSQL has a schema of its own, which is gone afterwards, and no address with a password."""

from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from perdure.actors.store.cluster import ShardRow
from perdure.benchmarks.drivers.load import Extent, run_loop
from perdure.benchmarks.drivers.postgres_driver import check_address, dealt, postgres_driver
from perdure.benchmarks.drivers.process_driver import EngineSetup
from perdure.benchmarks.drivers.several_hosts import run_hosts_on_database
from perdure.benchmarks.workloads.table import BY_NAME

from ...support.postgres import PostgresServer, installed


class Silent:
    def part(self, share: float, units: int) -> None:
        """Nobody wants to know."""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.anyio
@pytest.mark.skipif(not installed(), reason="there is no PostgreSQL here")
async def test_a_run_counts_its_work_and_leaves_nothing(
    tmp_path: Path, postgres_server: Callable[[int], PostgresServer]
) -> None:
    server = postgres_server(max(installed()))
    workload = BY_NAME["W1"].with_in_flight(5)
    address = server.url().partition("?")[0]
    async with postgres_driver(EngineSetup(folder=tmp_path), address) as driver:
        outcome = await run_loop(driver, workload, Extent(seconds=1, instances=20), Silent())
        assert driver.counts() is not None
    assert outcome.figures["units_per_s"] > 0
    assert outcome.figures["server_cpu_ms_per_unit"] >= 0  # it is on this machine
    assert server.sql("SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'bench_%'") == "0"


@pytest.mark.parametrize(
    "address", ["postgresql://me:secret@h/d", "postgresql://h/d?password=secret", "mysql://h/d", "folder"]
)
def test_an_address_with_a_password_and_what_is_none_are_refused(address: str) -> None:
    with pytest.raises(ValueError, match=r"PGPASSWORD|not the address"):
        check_address(address)


@pytest.mark.anyio
@pytest.mark.skipif(not installed(), reason="there is no PostgreSQL here")
async def test_hosts_that_share_a_database_have_as_much_to_do_as_one_alone(
    tmp_path: Path, postgres_server: Callable[[int], PostgresServer]
) -> None:
    server = postgres_server(max(installed()))
    address = server.url().partition("?")[0]
    # Given two hosts, each of which is to run ten instances of its own,
    setup, extent = EngineSetup(folder=tmp_path, processes=2), Extent(seconds=1, instances=10)
    # when they are run,
    with anyio.fail_after(60):
        outcome = await run_hosts_on_database(setup, BY_NAME["W1"].with_in_flight(5), extent, Silent(), address)
    # then all twenty have ended, each turn was taken once on whichever host, and what the server used is known.
    assert outcome.figures["instances"] == 20
    assert outcome.figures["turns_per_unit"] == pytest.approx(6 / 5)
    assert outcome.figures["server_cpu_ms_per_unit"] >= 0
    assert server.sql("SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'bench_%'") == "0"


@pytest.mark.parametrize(
    ("owners", "hosts", "even"),
    [
        ([1, 1, 2, 2], 2, True),
        ([1, 1, 1, 2, 2], 2, True),
        ([1, 1, 1, 2], 2, False),  # one has two more
        ([1, 1, 2, None], 2, False),  # one is nobody's
        ([1, 1, 2, 2], 3, False),  # one has none yet
        ([1, 1, 1, 1], 1, True),
    ],
)
def test_shards_are_dealt_when_each_host_has_as_many_as_the_others(
    owners: list[int | None], hosts: int, even: bool
) -> None:
    assert dealt([ShardRow(shard, host, 1) for shard, host in enumerate(owners)], hosts) is even
