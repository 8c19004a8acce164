"""Idling: an engine beside a fleet asleep, in this process and as a daemon, does nothing."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from perdure.benchmarks.drivers.in_process import EngineSetup
from perdure.benchmarks.drivers.measure import Usage
from perdure.benchmarks.studies import idle
from perdure.benchmarks.studies.idle import Meter, costs, run_idle, run_idle_daemon
from perdure.benchmarks.workloads.table import BY_NAME
from perdure.benchmarks.workloads.workload import Extent

from ...support.benchmarks.results import Parts

pytestmark = pytest.mark.anyio


async def test_an_idle_engine_commits_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idle, "SETTLE_S", 0.05)
    extent = Extent(seconds=0.1, instances=50)
    outcome = await run_idle(EngineSetup(folder=tmp_path), BY_NAME["S8"], extent, Parts())
    assert (outcome.figures["instances"], outcome.figures["commits_per_s"]) == (50, 0)
    assert outcome.figures["elapsed_s"] >= 0.1
    assert outcome.figures["rss_mib"] > 10


async def test_an_idle_daemon_is_looked_at_from_outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    @asynccontextmanager
    async def serving(setup: EngineSetup) -> AsyncIterator[SimpleNamespace]:
        yield SimpleNamespace(pid=os.getpid())

    monkeypatch.setattr(idle, "SETTLE_S", 0.0)
    monkeypatch.setattr(idle, "serving", serving)
    extent = Extent(seconds=0.1, instances=10)
    outcome = await run_idle_daemon(EngineSetup(folder=tmp_path), BY_NAME["S8"], extent, Parts())
    assert outcome.figures["cpu_percent"] >= 0
    assert outcome.figures["instances"] == 10
    # Nobody outside can tell how often it commits.
    assert "commits_per_s" not in outcome.figures


def test_costs_are_per_second_and_leave_out_what_the_system_does_not_tell() -> None:
    before = Meter(at_s=10.0, used=Usage(cpu_s=1.0, rss_bytes=2**20), written_bytes=100)
    after = Meter(at_s=14.0, used=Usage(cpu_s=1.2, rss_bytes=2**21), written_bytes=4_100)
    assert costs(before, after) == pytest.approx(
        {"elapsed_s": 4.0, "cpu_percent": 5.0, "rss_mib": 2.0, "written_bytes_per_s": 1_000.0}
    )
    assert "written_bytes_per_s" not in costs(before, after._replace(written_bytes=None))
