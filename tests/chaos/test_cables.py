"""Hosts on machines with their own addresses, whose cables are pulled, and which are separated from one another."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..support.postgres import PostgresServer, PostgresServers
from ..whole.chaos.decoding import begin_decoding
from ..whole.chaos.fleet import Setup
from ..whole.chaos.recorded import Blow, Deed
from ..whole.chaos.storm import Bed, Sky
from .cables import Cables, allowed, cabled
from .story import HOSTS, again_and_again, judged, run

pytestmark = pytest.mark.skipif(not allowed(), reason="no network namespaces may be made here")

CUT_S = 6.0  # longer than a host waits before it declares another one dead, or a link cut
MENDED_S = 4.0  # the time from one cut to the next


@pytest.fixture
def cables() -> Iterator[Cables]:
    with cabled(HOSTS) as laid:
        yield laid


@pytest.fixture
def reached(postgres_servers: PostgresServers, cables: Cables) -> Iterator[PostgresServer]:
    """A PostgreSQL server that the machines can reach."""
    server = postgres_servers.new(wal_level="logical", listen_addresses=f"127.0.0.1,{cables.switch}")
    try:
        with (server.data / "pg_hba.conf").open("a") as rules:
            rules.write(f"host all all {cables.net} trust\n")
        server.start()
        begin_decoding(server)
        yield server
    finally:
        server.close()


def bed_of(server: PostgresServer, cables: Cables) -> Bed:
    """A host on each machine, at the address of the machine; no option says how other hosts reach it."""
    data = server.url(schema="chaos").replace("@127.0.0.1:", f"@{cables.switch}:")

    def setup(index: int) -> Setup:
        options = ("--host", cables.address(index), "--allow-unauthenticated")
        return Setup(data=data, options=options, inside=cables.inside(index))

    return Bed(server=server, hosts=HOSTS, setup=setup, log=server)


def test_a_machine_whose_cable_is_pulled_is_taken_over_and_joins_again(
    reached: PostgresServer, cables: Cables, tmp_path: Path
) -> None:
    async def storm(sky: Sky) -> None:
        for index, place in enumerate(sky.fleet.places):
            from_s = time.time()
            cables.pull(index)
            await asyncio.sleep(CUT_S)
            cables.plug(index)
            sky.fleet.blows.append(Blow(deed=Deed.LINK, pid=place.pid, from_s=from_s, until_s=time.time()))
            await asyncio.sleep(MENDED_S)
            await sky.fleet.serves(index)
        # Each host has told the others the address of its machine, without an option for it.
        rows = await asyncio.to_thread(reached.sql, "SELECT address FROM chaos.hosts")
        addresses = {row.rpartition(":")[0] for row in rows.splitlines()}
        assert addresses == {cables.address(index) for index in range(HOSTS)}

    verdict = run(lambda: judged(bed_of(reached, cables), tmp_path, again_and_again(storm)))
    assert verdict.killed_by_hosts >= 1


def test_machines_that_cannot_reach_one_another_kill_no_host_and_split_nothing(
    reached: PostgresServer, cables: Cables, tmp_path: Path
) -> None:
    async def storm(sky: Sky) -> None:
        for index in range(HOSTS):
            cables.part(index, parted=True)
            await asyncio.sleep(CUT_S)
            cables.part(index, parted=False)
            await asyncio.sleep(MENDED_S)

    verdict = run(lambda: judged(bed_of(reached, cables), tmp_path, again_and_again(storm)))
    assert verdict.killed_by_hosts == 0
