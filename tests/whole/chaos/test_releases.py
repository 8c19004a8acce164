"""Two releases side by side: an upgrade costs no request, and a host that cannot read the new format is refused."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from perdure.actors.store.cluster import FORMAT_MAX
from perdure.actors.store.postgres.schema import SCHEMA_VERSION

from ...support.postgres import PostgresServer, installed
from .decoding import begin_decoding
from .fleet import Setup
from .releases import next_release
from .storm import Bed, Sky, weather

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not installed(), reason="there is no PostgreSQL here")]

HOSTS = 3


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    server = PostgresServer(installed()[max(installed())], wal_level="logical")
    server.start()
    yield server
    server.close()


def meta_of(server: PostgresServer) -> dict[str, int]:
    rows = server.sql("SELECT name, value FROM chaos.meta").splitlines()
    return {name: int(value) for name, value in (row.split("|") for row in rows)}


def test_an_upgrade_of_one_host_after_the_other_costs_no_request(server: PostgresServer, tmp_path: Path) -> None:
    newer = next_release(tmp_path)
    release: dict[str, str] = {}  # the environment of the hosts that are started next
    formats: list[int] = []

    def setup(_: int) -> Setup:
        return Setup(data=server.url(schema="chaos"), options=("--drain", "2"), env=dict(release))

    async def upgrade(sky: Sky) -> None:
        release.update(newer)
        for index in range(HOSTS):
            formats.append(await asyncio.to_thread(lambda: meta_of(server)["format"]))
            await sky.fleet.restart(index)
        while await asyncio.to_thread(lambda: meta_of(server)["format"]) == FORMAT_MAX:
            await asyncio.sleep(0.1)
        # Hosts write the newer format now, which the older release cannot read: a host of it is refused, in a sentence.
        release.clear()
        with pytest.raises(AssertionError, match=f"has store version {FORMAT_MAX + 1}"):
            await asyncio.to_thread(sky.fleet._daemon, HOSTS)
        release.update(newer)

    async def story() -> None:
        begin_decoding(server)
        verdict, _ = await weather(Bed(server=server, hosts=HOSTS, setup=setup, log=server), tmp_path, upgrade)
        print(f"\n{verdict.told()}")
        assert verdict.sound, verdict.told()
        assert verdict.refused == 0, verdict.refusals
        assert verdict.killed_by_hosts == 0

    asyncio.run(story())
    # As long as a host of the older release lived, all wrote the older format.
    assert formats == [FORMAT_MAX] * HOSTS
    found = meta_of(server)
    assert (found["schema"], found["format"]) == (SCHEMA_VERSION + 1, FORMAT_MAX + 1)
    assert server.sql("SELECT count(*) FROM pg_indexes WHERE indexname = 'actors_later'") == "1"
