"""A run: each kind of workload finds its way to its driver or its study."""

import os
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from perdure.benchmarks import performing
from perdure.benchmarks.drivers.in_process import EngineSetup, ProcessDriver, process_driver
from perdure.benchmarks.drivers.measure import RunOutcome
from perdure.benchmarks.performing import LOADS, STUDIES
from perdure.benchmarks.workloads.table import WORKLOADS

from ..support.benchmarks.results import performed
from ..support.postgres import PostgresServer, installed

pytestmark = pytest.mark.anyio


def test_every_study_can_be_run_by_each_of_its_drivers() -> None:
    needed = {(workload.shape, driver) for workload in WORKLOADS for driver in workload.drivers}
    assert {pair for pair in needed if pair[0] not in LOADS} == STUDIES.keys()


@pytest.mark.parametrize(
    ("workload", "driver", "options", "figure"),
    [
        ("W1", "process", {"in_flight": 5}, "units_per_commit"),
        pytest.param("W3", "http", {}, "load_cpu_ms_per_unit", marks=pytest.mark.slow),
        ("W4", "process", {"in_flight": 5}, "units_per_s"),
        ("W3", "process", {"rate": 200.0}, "sent_late_p99_ms"),
        pytest.param("W2", "process", {"in_flight": 3, "processes": 2}, "units_per_commit", marks=pytest.mark.slow),
        pytest.param("W3", "http", {"rate": 200.0, "processes": 2}, "backlog_max", marks=pytest.mark.slow),
    ],
)
async def test_a_run_comes_to_figures(
    workload: str, driver: str, options: dict[str, Any], figure: str, tmp_path: Path
) -> None:
    outcome = await performed(tmp_path, workload, driver, seconds=1.0, instances=10, **options)
    assert outcome.figures["instances"] == len(outcome.latencies_us) == 10
    assert figure in outcome.figures
    if "processes" in options:
        # There are two processes, each with a Python.
        assert outcome.figures["rss_mib"] > 40
        assert {"perdure.db", "perdure.db.1"} <= {file.name for file in os.scandir(tmp_path)}


@pytest.mark.parametrize(
    ("options", "hosts"),
    [
        ({"driver": "process"}, "run_several_hosts"),
        ({"driver": "postgresql", "database": "postgresql://h/d"}, "run_hosts_on_database"),
    ],
)
async def test_several_hosts_have_drivers_of_their_own(
    options: dict[str, Any], hosts: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run(setup: EngineSetup, *_: object) -> RunOutcome:
        return RunOutcome(figures={"hosts": setup.processes})

    monkeypatch.setattr(performing, hosts, run)
    assert (await performed(tmp_path, "W1", in_flight=3, processes=2, **options)).figures == {"hosts": 2}


@pytest.mark.parametrize(
    ("workload", "options", "see"), [("W3", {}, True), ("W1", {}, False), ("W3", {"rate": 9.0}, False)]
)
async def test_with_one_at_a_time_over_http_each_end_is_asked_for(
    workload: str, options: dict[str, Any], see: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[bool] = []

    def http_driver(setup: EngineSetup, *, see: bool) -> AbstractAsyncContextManager[ProcessDriver]:
        told.append(see)
        return process_driver(setup)

    monkeypatch.setattr(performing, "http_driver", http_driver)
    await performed(tmp_path, workload, "http", seconds=1.0, instances=2, **options)
    assert told == [see]


@pytest.mark.skipif(not installed(), reason="there is no PostgreSQL here")
async def test_a_run_on_a_database_counts_its_work_and_leaves_nothing(
    tmp_path: Path, postgres_server: Callable[[int], PostgresServer]
) -> None:
    server = postgres_server(max(installed()))
    address = server.url().partition("?")[0]
    options: dict[str, Any] = {"in_flight": 5, "seconds": 1.0, "instances": 20, "database": address}
    figures = (await performed(tmp_path, "W1", "postgresql", **options)).figures
    assert figures["units_per_s"] > 0
    assert figures["turns_per_unit"] == pytest.approx(6 / 5)
    assert figures["server_cpu_ms_per_unit"] >= 0  # it is on this machine
    assert server.sql("SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'bench_%'") == "0"
