"""The database's machine is lost, and Patroni makes the copy the leader."""

import asyncio
import time
from pathlib import Path

import pytest

from ..support.postgres import PostgresServers, installed
from ..whole.chaos.fleet import Setup
from ..whole.chaos.recorded import Blow, Deed
from ..whole.chaos.storm import Bed, Sky
from .patroni import ETCD, PATRONI, governed, wait_for
from .story import HOSTS, SECONDS, judged, run

pytestmark = pytest.mark.skipif(not (PATRONI and ETCD), reason="Patroni and etcd are not here")

PATIENCE_S = 90  # a leader is declared lost after Patroni's ttl, and then the copy is promoted


@pytest.mark.parametrize("release", [release for release in installed() if release <= 15])
def test_a_leader_that_is_lost_is_replaced_and_nothing_acknowledged_is_lost(
    postgres_servers: PostgresServers, tmp_path: Path, release: int
) -> None:
    servers = postgres_servers.new(release), postgres_servers.new(release)
    try:
        with governed(servers, tmp_path) as (leader, copy):

            async def storm(sky: Sky) -> None:
                await asyncio.sleep(SECONDS / 2)
                from_s = time.time()
                await asyncio.to_thread(leader.lose_machine)
                await asyncio.to_thread(wait_for, copy.leads, copy)
                until_s = time.time()
                sky.fleet.blows.append(Blow(deed=Deed.DATABASE, pid=0, from_s=from_s, until_s=until_s))
                print(f"\nthe copy leads after {until_s - from_s:.1f} s")
                await asyncio.sleep(SECONDS / 2)

            both = f"127.0.0.1:{leader.port},127.0.0.1:{copy.port}"
            data = f"postgresql://postgres@{both}/postgres?schema=chaos"
            options = ("--store-patience", str(PATIENCE_S))
            bed = Bed(server=servers[0], hosts=HOSTS, setup=lambda index: Setup(data=data, options=options))
            verdict = run(lambda: judged(bed, tmp_path, storm))
        assert verdict.killed_by_hosts == 0
    finally:
        for server in servers:
            server.close()
