"""Sleepers: a small fleet falls asleep beyond what may be in memory, and those that are due wake."""

from dataclasses import replace
from pathlib import Path

import pytest

from perdure.benchmarks.drivers.load import Extent
from perdure.benchmarks.drivers.process_driver import EngineSetup, process_driver
from perdure.benchmarks.studies import sleepers
from perdure.benchmarks.workloads.table import BY_NAME

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Parts:
    def __init__(self) -> None:
        self.parts: list[tuple[float, int]] = []

    def part(self, share: float, units: int) -> None:
        self.parts.append((share, units))


async def test_a_fleet_sleeps_in_the_store_and_wakers_are_never_early(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sleepers, "LEAD_S", 0.1)
    monkeypatch.setattr(sleepers, "SETTLE_S", 0.05)
    parts = Parts()
    async with process_driver(EngineSetup(folder=tmp_path, activations_max=10)) as driver:
        workload = replace(BY_NAME["W5"], in_flight=20)
        outcome = await sleepers.run_sleepers(driver, workload, Extent(seconds=0.05, instances=100), parts)
        in_memory = driver.engine.active_actors()["workflow"]
    assert in_memory < 100
    assert outcome.figures["instances"] == 100
    assert outcome.figures["wakers"] == len(outcome.latencies_us) == 5
    assert min(outcome.latencies_us) >= 0
    assert {"kib_per_sleeper", "late_p50_ms", "late_p99_ms"} <= outcome.figures.keys()
    assert parts.parts[-1] == (1.0, 100)
