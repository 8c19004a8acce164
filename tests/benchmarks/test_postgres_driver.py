"""A run on PostgreSQL has a schema of its own, which is gone afterwards, and no address with a password."""

from collections.abc import Callable
from pathlib import Path

import pytest

from perdure.benchmarks.load import Extent, run_loop
from perdure.benchmarks.postgres_driver import check_address, postgres_driver
from perdure.benchmarks.process_driver import EngineSetup
from perdure.benchmarks.workloads import BY_NAME

from ..support.postgres import PostgresServer, installed


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
