"""Daemons and their database under chaos: the invariants hold, nothing is lost or doubled, and the counts are printed.

`pytest -s tests/whole/chaos` shows them. `tests/chaos/` has the long form, and more kinds of chaos.
"""

import asyncio
import random
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pytest

from ...support.postgres import PostgresServer, PostgresServers, installed
from .checker import Verdict
from .decoding import begin_decoding
from .fleet import Fleet
from .storm import Bed, Sky, Storm, weather

pytestmark = pytest.mark.skipif(not installed(), reason="there is no PostgreSQL here")

SEED = 20_261_126
TAKEN_S_MAX, TAKEN_S_MEDIAN = 5.0, 2.0
STOP_S_MAX = 30.0
HOSTS = 3
# Enough that each blow hits work under way: more of them, or without a pause, cost the other tests their cores.
CLIENTS, CALLERS = 3, 1
PAUSE_S = 0.1
# A server's answer to a commit is some hundred bytes, and a commit some thousand.
REQUEST_BYTES = (1, 60, 150, 400, 700, 1000, 1500, 2500)
ANSWER_BYTES = (1, 20, 45, 70)


@pytest.fixture
def server(postgres_servers: PostgresServers) -> Iterator[PostgresServer]:
    server = postgres_servers.new(wal_level="logical", autovacuum_naptime="5s")
    server.start()
    yield server
    server.close()


def blown(
    server: PostgresServer,
    folder: Path,
    storm: Storm,
    *,
    hosts: int,
    proxied: bool = False,
    options: tuple[str, ...] = (),
) -> Verdict:
    """Run a storm, print the verdict, and check that it is sound."""

    async def story() -> tuple[Verdict, Fleet]:
        begin_decoding(server)
        bed = Bed(
            server=server,
            hosts=hosts,
            clients=CLIENTS,
            callers=CALLERS,
            pause_s=PAUSE_S,
            proxied=proxied,
            options=options,
            log=server,
        )
        return await weather(bed, folder, storm)

    verdict, fleet = asyncio.run(story())
    print(f"\n{verdict.told()}")
    assert verdict.sound, verdict.told()
    assert verdict.ledgers is not None
    assert verdict.ledgers.entries > 20  # the blows hit work under way
    assert verdict.turns > verdict.ledgers.entries
    assert set(fleet.codes) == {0}
    assert max(fleet.stops, default=0) < STOP_S_MAX
    return verdict


async def kills(sky: Sky, *, times: int) -> None:
    """Kill one host after the other: the first owns all shards, and the others take them once it is dead."""
    moments = random.Random(SEED)
    for number in range(times):
        await sky.fleet.kill(number % len(sky.fleet.places))
        await asyncio.sleep(moments.uniform(0.2, 0.8))


async def pauses(sky: Sky, *, for_s: tuple[float, ...]) -> None:
    for number, length_s in enumerate(for_s):
        await sky.fleet.pause(number // 3 % len(sky.fleet.places), length_s)
        await asyncio.sleep(0.5)


async def crashes(sky: Sky, *, for_s: tuple[float, ...]) -> None:
    for away_s in for_s:
        await sky.crash_database(away_s)
        await asyncio.sleep(0.5)


async def cuts(sky: Sky, *, rounds: int, breath_s: float = 0.0) -> None:
    """Cut commits at each place.

    Args:
        breath_s: The pause after each cut. Without it, all cuts hit the same commit, which is tried again after
            each; the pauses between its tries grow, so that many cuts take longer than a caller waits.
    """
    for _ in range(rounds):
        for place in REQUEST_BYTES:
            await sky.cut_commit(requests=place)
            await asyncio.sleep(breath_s)
        for place in ANSWER_BYTES:
            await sky.cut_commit(answers=place)
            await asyncio.sleep(breath_s)


async def rolling_restart(sky: Sky) -> None:
    for index in range(len(sky.fleet.places)):
        await sky.fleet.restart(index)


async def crashes_and_restarts(sky: Sky) -> None:
    # The database is away for longer than a host waits for another host: the owner waits for the database.
    await crashes(sky, for_s=(0.3, 6.0))
    await rolling_restart(sky)


def test_hosts_that_are_killed_lose_and_double_nothing_and_others_take_over(
    server: PostgresServer, tmp_path: Path
) -> None:
    verdict = blown(server, tmp_path, lambda sky: kills(sky, times=3), hosts=HOSTS)
    assert verdict.taken_s
    assert max(verdict.taken_s) < TAKEN_S_MAX
    assert median(verdict.taken_s) < TAKEN_S_MEDIAN


def test_hosts_that_stand_still_answer_nothing_old_and_are_killed_only_if_it_lasts(
    server: PostgresServer, tmp_path: Path
) -> None:
    verdict = blown(server, tmp_path, lambda sky: pauses(sky, for_s=(0.5, 1.0, 5.0)), hosts=HOSTS)
    assert verdict.killed_by_hosts <= 1


def test_a_database_that_crashes_and_a_restart_of_all_hosts_cost_no_request_and_no_host(
    server: PostgresServer, tmp_path: Path
) -> None:
    verdict = blown(server, tmp_path, crashes_and_restarts, hosts=HOSTS, options=("--drain", "0.5"))
    assert verdict.killed_by_hosts == 0
    assert verdict.refused == 0, verdict.refusals
    assert verdict.gives > 0


def test_commits_that_are_cut_at_any_byte_are_found_or_sent_again(server: PostgresServer, tmp_path: Path) -> None:
    verdict = blown(server, tmp_path, lambda sky: cuts(sky, rounds=1), hosts=2, proxied=True)
    assert verdict.cuts >= len(REQUEST_BYTES)
    assert verdict.refused == 0, verdict.refusals
