"""A peer under the load: the same workloads, checked in the same way."""

import os
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from perdure.benchmarks.drivers.load import run_events, run_loop
from perdure.benchmarks.peers import peer_driver as module
from perdure.benchmarks.peers.peer_driver import OPENERS, PeerDriver, warm_up
from perdure.benchmarks.peers.peers import ALL, DBOS_POSTGRES, PEERS
from perdure.benchmarks.workloads.table import BY_NAME
from perdure.benchmarks.workloads.workload import Extent, Workload

from ...support.benchmarks.results import Parts, performed
from ...support.postgres import PostgresServer, installed

pytestmark = pytest.mark.anyio

FOLDER = "PERDURE_BENCH_PEERS"  # a folder that the peers are installed in

needs_peers = pytest.mark.skipif(
    FOLDER not in os.environ,
    reason=f"{FOLDER} names no folder that `perdure bench --peers DIR --install-peers` installed into",
)


class Adder:
    """A peer that carries out each request at once."""

    def __init__(self) -> None:
        self.started: set[str] = set()
        self.sent: dict[str, Any] = {}
        self.calls = 0

    async def ask(self, do: str, workflow: str, instance_id: str, value: Any) -> Any:
        match do:
            case "call":
                self.calls += 1
                return value
            case "start":
                self.started.add(instance_id)
            case "send":
                assert instance_id in self.started, "an event for an instance that is not there"
                self.sent[instance_id] = value
        return self.sent.get(instance_id)


def small(name: str) -> Workload:
    return BY_NAME[name].with_in_flight(3)


async def test_a_chain_is_one_call_and_is_judged_like_perdures() -> None:
    adder = Adder()
    driver = PeerDriver(adder.ask, [os.getpid()])
    outcome = await run_loop(driver, small("W1"), Extent(seconds=1, instances=7), Parts())
    assert adder.calls == outcome.figures["instances"] == len(outcome.latencies_us) == 7
    assert outcome.figures["rss_mib"] > 1
    assert "load_cpu_ms_per_unit" in outcome.figures


async def test_an_event_is_sent_to_instances_that_were_started_before() -> None:
    adder = Adder()
    outcome = await run_events(PeerDriver(adder.ask, []), small("W4"), Extent(seconds=1, instances=5), Parts())
    assert outcome.figures["instances"] == 5
    assert set(adder.sent) == adder.started
    assert adder.calls == 0


async def test_a_peer_is_warmed_up_with_what_it_will_get(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WARM_UP", Extent(seconds=0, instances=3))
    looped, signalled = Adder(), Adder()
    await warm_up(PeerDriver(looped.ask, []), small("W2"))
    await warm_up(PeerDriver(signalled.ask, []), small("W4"))
    assert (looped.calls, len(signalled.sent)) == (3, 3)


async def test_every_peer_can_be_opened_and_the_one_on_postgresql_has_the_server_that_perdure_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []

    @asynccontextmanager
    async def opener(home: Path, folder: Path, database: str = "its own") -> AsyncIterator[tuple[Any, list[int]]]:
        opened.append(database)
        yield Adder().ask, []

    assert set(OPENERS) == set(PEERS)
    monkeypatch.setattr(module, "WARM_UP", Extent(seconds=0, instances=1))
    monkeypatch.setattr(module, "dbos_on_database", opener)
    monkeypatch.setattr(module, "OPENERS", dict.fromkeys(OPENERS, opener))
    for name in OPENERS:
        for database in (None, "postgresql://h/d"):
            async with module.peer_driver(name, tmp_path, tmp_path, BY_NAME["W4"].with_in_flight(1), database):
                pass
    assert sorted(opened) == ["its own"] * (len(opened) - 1) + ["postgresql://h/d"]


@pytest.mark.slow
@needs_peers
@pytest.mark.parametrize("peer", [peer.name for peer in ALL])
@pytest.mark.parametrize("workload", ["W1", "W2", "W3", "W4"])
async def test_a_short_run(peer: str, workload: str) -> None:
    options: dict[str, Any] = {"in_flight": 2, "seconds": 1, "instances": 10, "peers": os.environ[FOLDER]}
    # Not pytest's folder: root's PostgreSQL runs as nobody, who may not pass through that.
    with tempfile.TemporaryDirectory() as outer, tempfile.TemporaryDirectory(dir=outer) as folder:
        outcome = await performed(Path(folder), workload, peer, **options)
    assert outcome.figures["instances"] == 10
    assert outcome.figures["cpu_ms_per_unit"] > 0


@needs_peers
@pytest.mark.skipif(not installed(), reason="there is no PostgreSQL here")
async def test_dbos_works_on_a_server_that_is_there(
    tmp_path: Path, postgres_server: Callable[[int], PostgresServer]
) -> None:
    server = postgres_server(max(installed()))
    database = server.url().partition("?")[0]
    options: dict[str, Any] = {
        "in_flight": 3,
        "seconds": 1,
        "instances": 10,
        "peers": os.environ[FOLDER],
        "database": database,
    }
    outcome = await performed(tmp_path, "W1", DBOS_POSTGRES, **options)
    assert outcome.figures["instances"] == 10
    assert server.sql("SELECT count(*) FROM pg_database WHERE datname LIKE 'bench_%'") == "0"
