"""Several hosts in process: their loads run together, and one that fails ends them all."""

import multiprocessing
import os
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from multiprocessing.context import SpawnProcess
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import anyio
import pytest

from perdure.benchmarks.drivers import several_hosts
from perdure.benchmarks.drivers.in_process import EngineSetup
from perdure.benchmarks.drivers.measure import LoadTally, Span, Usage
from perdure.benchmarks.drivers.processes import ProcessEnded
from perdure.benchmarks.run_process import Child
from perdure.benchmarks.workloads.table import BY_NAME
from perdure.benchmarks.workloads.workload import Extent, Workload

from ...support.benchmarks.results import Parts
from ...support.postgres import PostgresServer, installed

pytestmark = pytest.mark.anyio

CHAIN = BY_NAME["W1"].with_in_flight(5)


async def run(folder: Path, workload: Workload = CHAIN) -> dict[str, float]:
    setup, extent = EngineSetup(folder=folder, processes=2), Extent(seconds=1, instances=11)
    with anyio.fail_after(60):
        return (await several_hosts.run_several_hosts(setup, workload, extent, Parts())).figures


def test_a_number_is_dealt_out_evenly() -> None:
    assert [several_hosts.part_of(11, index, 3) for index in range(3)] == [4, 4, 3]
    assert [several_hosts.part_of(1, index, 3) for index in range(3)] == [1, 0, 0]


def test_the_load_is_dealt_out_the_time_is_not_and_each_host_has_a_file(tmp_path: Path) -> None:
    dealt = several_hosts.shares(EngineSetup(folder=tmp_path, processes=2), CHAIN, Extent(seconds=3), "/sockets")
    assert [each.workload.in_flight for each in dealt] == [3, 2]
    assert {each.extent for each in dealt} == {Extent(seconds=3)}
    assert [each.setup.file.name for each in dealt] == ["perdure.db", "perdure.db.1"]


async def test_hosts_run_all_instances_and_each_has_its_part_of_the_store(tmp_path: Path) -> None:
    figures = await run(tmp_path)
    assert figures["instances"] == 11
    assert figures["turns_per_unit"] == pytest.approx(6 / 5), "a start and five results, on whichever host"
    assert {name for name in os.listdir(tmp_path) if name.endswith((".db", ".1"))} == {"perdure.db", "perdure.db.1"}


async def test_no_process_sums_up_before_all_loads_are_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given two hosts with the usual reports,
    said = iter(("connected", "over", "sum"))
    notes: list[str] = []

    def hear(hosts: Sequence[object], *_: object) -> list[LoadTally]:
        notes.append(f"{next(said)} {len(hosts)}")
        return [LoadTally(spans=[], engine=Usage(cpu_s=0, rss_bytes=0)) for _ in hosts]

    monkeypatch.setattr(several_hosts, "child", lambda main, share: nullcontext(share))
    monkeypatch.setattr(several_hosts, "hear", hear)
    monkeypatch.setattr(several_hosts, "go_on", lambda hosts: notes.append("go on"))
    monkeypatch.setattr(several_hosts, "leave", lambda hosts: notes.append("leave"))
    # when they are run,
    dealt = several_hosts.shares(EngineSetup(folder=tmp_path, processes=2), CHAIN, Extent(seconds=1), "")
    assert len(await several_hosts.tallies_of(dealt, Parts())) == 2
    # then each step is taken by both before the next by any.
    assert notes == ["connected 2", "go on", "over 2", "go on", "sum 2", "leave"]


def test_of_all_hosts_it_is_heard_how_far_they_are_and_that_one_of_them_is_gone() -> None:
    told, parts, pipes = Parts(), [(0.0, 0)] * 2, [multiprocessing.Pipe() for _ in range(2)]
    hosts = [Child(cast(SpawnProcess, None), ours) for ours, _ in pipes]
    # Given two hosts, of which the second reports first,
    for said in ((0.5, 10), (1.0, 17), "second"):
        pipes[1][1].send(said)
    pipes[0][1].send("first")
    # then their reports are in the order of the hosts, each once, and their progress is reported together.
    assert several_hosts.hear(hosts, parts, told) == ["first", "second"]
    assert (told.told, parts) == ([(0.25, 10), (0.5, 17)], [(0.0, 0), (1.0, 17)])
    # When one is gone while the other works, it is named at once.
    pipes[1][1].close()
    with pytest.raises(ProcessEnded, match="host 2 of 2 did not end in order; why stands above"):
        several_hosts.hear(hosts, parts, told)
    # A host that reports its end and then fails has not ended in order either.
    gone = SimpleNamespace(join=lambda patience_s: None, exitcode=1)
    with pytest.raises(ProcessEnded, match="host 1 of 2"):
        several_hosts.leave([host._replace(process=cast(SpawnProcess, gone)) for host in hosts])
    pipes[0][1].close()


@pytest.mark.slow
async def test_a_host_that_fails_ends_the_run_says_why_and_leaves_no_process(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ProcessEnded, match="did not end in order; why stands above"):
        await run(tmp_path, replace(CHAIN, output=6))
    assert "should have returned 6" in capfd.readouterr().err
    assert multiprocessing.active_children() == []


async def test_hosts_that_share_a_database_each_have_the_whole_load(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[several_hosts.Share] = []

    async def tallies_of(shares: Sequence[several_hosts.Share], *_: object) -> list[LoadTally]:
        found.extend(shares)
        return [LoadTally(spans=[Span(0, 1)], engine=Usage(cpu_s=0, rss_bytes=0))]

    async def no_server(database: str) -> None: ...

    monkeypatch.setattr(several_hosts, "pid_of_server", no_server)
    monkeypatch.setattr(several_hosts, "fresh_schema", nullcontext)
    monkeypatch.setattr(several_hosts, "tallies_of", tallies_of)
    setup, extent = EngineSetup(folder=tmp_path, processes=3), Extent(seconds=1, instances=10)
    await several_hosts.run_hosts_on_database(setup, CHAIN, extent, Parts(), "postgresql://h/d")
    assert [(each.workload, each.extent, each.database) for each in found] == [(CHAIN, extent, "postgresql://h/d")] * 3


@pytest.mark.slow
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
        outcome = await several_hosts.run_hosts_on_database(setup, CHAIN, extent, Parts(), address)
    # then all twenty have ended, each turn was taken once on whichever host, and what the server used is known.
    assert outcome.figures["instances"] == 20
    assert outcome.figures["turns_per_unit"] == pytest.approx(6 / 5)
    assert outcome.figures["server_cpu_ms_per_unit"] >= 0
    assert server.sql("SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'bench_%'") == "0"
