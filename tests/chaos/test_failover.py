"""The database's machine is lost, and a copy of it takes over."""

import asyncio
import re
import time
from pathlib import Path

import httpx
import pytest

from ..support.postgres import PostgresServers, installed
from ..whole.chaos.fleet import Setup
from ..whole.chaos.recorded import Blow, Deed, Forgiven
from ..whole.chaos.storm import Bed, Sky
from .standby import Pair, paired
from .story import HOSTS, SECONDS, judged, run
from .test_links import free_ports

LOST = "perdure_acknowledged_lost_total"
BEHIND_S = 2.0  # how long a copy that lags has received nothing


@pytest.mark.parametrize("release", installed())
def test_a_copy_that_has_everything_takes_over_and_nothing_is_lost(
    postgres_servers: PostgresServers, tmp_path: Path, release: int
) -> None:
    with paired(postgres_servers, release) as pair:
        pair.follow_synchronously()

        async def storm(sky: Sky) -> None:
            await asyncio.sleep(SECONDS / 2)
            await fail_over(pair, sky)
            await asyncio.sleep(SECONDS / 2)

        data = pair.url("chaos")
        bed = Bed(server=pair.old, hosts=HOSTS, setup=lambda index: Setup(data=data), log=pair.log)
        verdict = run(lambda: judged(bed, tmp_path, storm))
        assert verdict.killed_by_hosts == 0
        assert "may not have" in logs_of(tmp_path)


@pytest.mark.parametrize("release", installed())
def test_a_copy_that_lags_takes_over_and_what_is_lost_is_told_and_nothing_is_stuck_or_doubled(
    postgres_servers: PostgresServers, tmp_path: Path, release: int
) -> None:
    with paired(postgres_servers, release) as pair:
        lost_at_s: list[float] = []
        counted: list[float] = []  # the number that each host has counted

        async def storm(sky: Sky) -> None:
            await asyncio.sleep(SECONDS / 2)
            await asyncio.to_thread(pair.fall_behind)
            await asyncio.sleep(BEHIND_S)
            await fail_over(pair, sky)
            lost_at_s.append(time.time())
            await asyncio.sleep(SECONDS / 2)
            counted.extend([await scraped(port, LOST) for port in ports])

        data, ports = pair.url("chaos"), free_ports(HOSTS)
        bed = Bed(
            server=pair.old,
            hosts=HOSTS,
            callers=0,  # callers would wait for their instances, which are gone
            setup=lambda index: Setup(data=data, options=("--metrics-port", str(ports[index]))),
            log=pair.log,
            forgives=lambda: Forgiven(lost_at_s=lost_at_s[0] if lost_at_s else None),
        )
        verdict = run(lambda: judged(bed, tmp_path, storm))
        assert verdict.lost > 0
        told = re.findall(r"does not have the last acknowledged turn, or value, of (\d+) of the", logs_of(tmp_path))
        print(f"told by hosts: {' + '.join(told)} instances")
        assert told
        # The log and the metrics have the same number.
        assert sum(counted) == sum(map(int, told))
        assert verdict.killed_by_hosts == 0


async def scraped(port: int, name: str) -> float:
    """The value of a metric of a host."""
    async with httpx.AsyncClient() as http:
        text = (await http.get(f"http://127.0.0.1:{port}/metrics")).text
    (value,) = re.findall(rf"^{name}{{[^}}]*}} (\S+)$", text, re.MULTILINE)
    return float(value)


async def fail_over(pair: Pair, sky: Sky) -> None:
    from_s = time.time()
    await asyncio.to_thread(pair.fail_over)
    sky.fleet.blows.append(Blow(deed=Deed.DATABASE, pid=0, from_s=from_s, until_s=time.time()))


def logs_of(folder: Path) -> str:
    """The logs of all hosts."""
    return "".join(path.read_text() for path in folder.glob("host-*.log"))
