"""The timer storm: a small one passes over as a large one would."""

from pathlib import Path

import pytest

from perdure.benchmarks.drivers.load import Extent
from perdure.benchmarks.drivers.process_driver import EngineSetup
from perdure.benchmarks.studies import timer_storm
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


async def test_every_timer_of_a_storm_fires(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timer_storm, "LEAD_S", 2.0)
    parts = Parts()
    extent = Extent(seconds=1, instances=100)
    outcome = await timer_storm.run_timer_storm(EngineSetup(folder=tmp_path), BY_NAME["S4"], extent, parts)
    assert outcome.figures["instances"] == len(outcome.latencies_us) == 100
    assert outcome.figures["reminders_per_s"] == pytest.approx(100 / outcome.figures["elapsed_s"])
    assert min(outcome.latencies_us) >= 0
    assert parts.parts[-1] == (1.0, 100)
