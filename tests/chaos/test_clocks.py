"""The wall clock of a host, or of the database, is set an hour ahead and an hour back, while they work."""

import asyncio
import time
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx
import pytest

from ..support.postgres import PostgresServers
from ..whole.chaos.decoding import begin_decoding
from ..whole.chaos.fleet import Setup
from ..whole.chaos.recorded import Forgiven
from ..whole.chaos.storm import Bed, Sky
from .clock import HOUR_S, LIBRARY, OwnClock
from .story import HOSTS, SECONDS, again_and_again, judged, run

pytestmark = pytest.mark.skipif(not LIBRARY.exists(), reason="libfaketime is not here")

STEPS_S = (HOUR_S, 0, -HOUR_S, 0)
WRONG_S = 10.0  # by how much a clock may differ from its setting on a machine under load


@pytest.mark.parametrize("whose", ["a host", "the database"])
def test_no_host_is_killed_and_nothing_waits_an_hour(
    postgres_servers: PostgresServers, tmp_path: Path, whose: str
) -> None:
    server = postgres_servers.new(wal_level="logical")
    try:
        folder = server.folder if whose == "the database" else tmp_path
        clock = OwnClock(folder)
        if whose == "the database":
            server.env.update(clock.env)
        server.start()
        begin_decoding(server)
        url, seen_s = server.url(schema="chaos"), list[float]()

        def setup(index: int) -> Setup:
            return Setup(data=url, env=clock.env if whose == "a host" and index == 0 else {})

        async def storm(sky: Sky) -> None:
            for ahead_s in STEPS_S:
                clock.set(ahead_s)
                await asyncio.sleep(max(2.0, SECONDS / len(STEPS_S)))
                told_s = await asyncio.to_thread(time_of, whose, sky)
                seen_s.append(abs(told_s - time.time() - ahead_s))

        bed = Bed(server=server, hosts=HOSTS, setup=setup, log=server, forgives=lambda: Forgiven(clocks=True))
        verdict = run(lambda: judged(bed, tmp_path, again_and_again(storm)))
        assert max(seen_s) < WRONG_S
        assert verdict.killed_by_hosts == 0
        assert verdict.refused == 0, verdict.refusals
    finally:
        server.close()


def time_of(whose: str, sky: Sky) -> float:
    """The time of the host, or of the database, whose clock is set; Unix time."""
    if whose == "the database":
        return float(sky.server.sql("SELECT extract(epoch FROM clock_timestamp())"))
    # A host writes it into each answer.
    found = httpx.get(f"{sky.fleet.places[0].daemon.url}/api/v1/hosts", timeout=10)
    return parsedate_to_datetime(found.headers["date"]).timestamp()
