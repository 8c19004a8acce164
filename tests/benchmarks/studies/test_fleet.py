"""The fleet: it sleeps, some of it wakes, and what it costs is counted."""

from pathlib import Path

import pytest

from perdure.benchmarks.drivers.load import Extent
from perdure.benchmarks.drivers.process_driver import EngineSetup, process_driver
from perdure.benchmarks.studies import fleet, sleepers
from perdure.benchmarks.studies.fleet import run_fleet, stored_bytes
from perdure.benchmarks.studies.sleepers import put_to_sleep
from perdure.benchmarks.studies.waking import in_so_many_s
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


async def test_a_quarter_of_a_small_fleet_wakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet, "LEAD_S", 3.0)
    monkeypatch.setattr(sleepers, "SETTLE_S", 0.01)
    parts = Parts()
    outcome = await run_fleet(EngineSetup(folder=tmp_path), BY_NAME["S7"], Extent(seconds=1, instances=200), parts)
    assert outcome.figures["instances"] == 200
    assert outcome.figures["wakers"] == len(outcome.latencies_us) == 50
    assert outcome.figures["awake_s"] * 1e6 >= max(outcome.latencies_us)
    assert parts.parts[-1][0] == 1.0


async def test_what_is_still_in_the_wal_counts_as_stored(tmp_path: Path) -> None:
    setup = EngineSetup(folder=tmp_path)
    async with process_driver(setup) as driver:
        empty = stored_bytes(setup.store)
        await put_to_sleep(driver, BY_NAME["S7"], 200, in_so_many_s(3_600))
        full = stored_bytes(setup.store)
        assert setup.store.stat().st_size < full
    assert full > empty + 200 * 100
    # When the engine has stopped, the file is all there is.
    assert setup.store.stat().st_size == stored_bytes(setup.store) == full
