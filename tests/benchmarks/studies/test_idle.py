"""Idling: an engine beside a fleet asleep, in this process and as a daemon, does nothing."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from perdure.benchmarks.drivers.measure import Usage
from perdure.benchmarks.studies import idle
from perdure.benchmarks.studies.idle import Meter, costs

from ...support.benchmarks.results import performed

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idle, "SETTLE_S", 0.05)


async def test_an_idle_engine_commits_nothing(tmp_path: Path) -> None:
    figures = (await performed(tmp_path, "S8", seconds=0.1, instances=50)).figures
    assert (figures["instances"], figures["commits_per_s"]) == (50, 0)
    assert figures["elapsed_s"] >= 0.1
    assert figures["rss_mib"] > 10


async def test_an_idle_daemon_is_looked_at_from_outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    @asynccontextmanager
    async def serving(_: object) -> AsyncIterator[SimpleNamespace]:
        yield SimpleNamespace(pid=os.getpid())

    monkeypatch.setattr(idle, "serving", serving)
    figures = (await performed(tmp_path, "S8", "http", seconds=0.1, instances=10)).figures
    assert (figures["instances"], figures["cpu_percent"] >= 0) == (10, True)
    # The number of its commits cannot be seen from outside.
    assert "commits_per_s" not in figures


def test_costs_are_per_second_and_leave_out_what_the_system_does_not_tell() -> None:
    before = Meter(at_s=10.0, used=Usage(cpu_s=1.0, rss_bytes=2**20), written_bytes=100)
    after = Meter(at_s=14.0, used=Usage(cpu_s=1.2, rss_bytes=2**21), written_bytes=4_100)
    assert costs(before, after) == pytest.approx(
        {"elapsed_s": 4.0, "cpu_percent": 5.0, "rss_mib": 2.0, "written_bytes_per_s": 1_000.0}
    )
    assert "written_bytes_per_s" not in costs(before, after._replace(written_bytes=None))
